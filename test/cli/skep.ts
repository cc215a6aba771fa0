/**
 * Runs the command as a user would, and hands back what it printed. It is put into a few files first, as it is when
 * it is published, from the sources as they are now.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { bundleCommands } from '../../tools/commands.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, `build/cli-${process.pid}`);
bundleCommands(folder, { main: join(root, `src/cli/main.${import.meta.url.slice(-2)}`) });
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** What goes before the arguments of the command: works under `sh -c` too. */
export const command = [process.execPath, '--no-warnings', join(folder, 'main.js')];

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `skep ARGS`. */
export function skep(
  args: readonly string[],
  options: { input?: string | Uint8Array; env?: object } = {},
): Ran {
  const [node = '', ...before] = command;
  const { status, stdout, stderr } = spawnSync(node, [...before, ...args], {
    input: options.input ?? '',
    env: { ...process.env, NO_COLOR: '', ...options.env },
    encoding: 'utf8',
    timeout: 60_000,
    maxBuffer: 1 << 26,
  });
  return { code: status, stdout, stderr };
}

export function example(name: string): string {
  return join(root, 'examples', name);
}

export function readExample(name: string): Uint8Array {
  return new Uint8Array(readFileSync(example(name)));
}

/** A folder for the files of one test file; `write` makes one and returns its path. */
export function scratch(): {
  path(name: string): string;
  write(name: string, data: string | Uint8Array): string;
  remove(): void;
} {
  const folder = mkdtempSync(join(tmpdir(), 'skep-cli-'));
  const path = (name: string): string => join(folder, name);
  return {
    path,
    write: (name, data) => {
      writeFileSync(path(name), data);
      return path(name);
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
}
