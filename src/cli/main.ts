#!/usr/bin/env node
/**
 * The `skep` command: finds the command in the table, runs it, and turns what it throws into one line and
 * an exit code. 0 done, 1 failed or rejected, 2 the command line is wrong.
 */
import { readFileSync } from 'node:fs';
import nodeModule from 'node:module';
import { Bug, SkepError } from '../base/errors.ts';
import { parseCommandLine } from './args.ts';
import { commands } from './commands.ts';
import { Invocation, type Streams } from './invocation.ts';

/** Node from 22.8 on keeps what it compiled for the next time, in its folder for that, unless it is told not to. */
(nodeModule as { enableCompileCache?: () => unknown }).enableCompileCache?.();

async function main(argv: readonly string[], streams: Streams): Promise<number> {
  const [first] = argv;
  if (first === undefined) {
    streams.stderr.write(`${(await import('./help.ts')).helpFor([], commands)}\n`);
    return 2;
  }
  if (first === '--version' || first === '-V') {
    streams.stdout.write(`skep ${version()}\n`);
    return 0;
  }
  if (first === '-h' || first === '--help') return main(['help'], streams);
  if (argv.length === 2 && (argv[1] === '-h' || argv[1] === '--help') && isGroup(first)) {
    return main(['help', first], streams);
  }
  const parsed = parseCommandLine(argv, commands);
  if (parsed.options.has('help')) return main(['help', ...parsed.command.name.split(' ')], streams);
  return parsed.command.run(new Invocation(parsed, streams));
}

function isGroup(word: string): boolean {
  return commands.some(({ name }) => name.startsWith(`${word} `));
}

/** From the package's own package.json: src/cli and dist/cli lie equally deep. */
function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** What went wrong, on standard error; the exit code. */
function report(error: unknown, { stderr }: Streams): number {
  const wantsStack = (process.env['SKEP_DEBUG'] ?? '') !== '';
  if (error instanceof SkepError) {
    stderr.write(`skep: ${error.line}\n`);
    if (wantsStack) stderr.write(`${error.stack}\n`);
    return error.code === 'usage' ? 2 : 1;
  }
  const what = error instanceof Error ? error.message : String(error);
  const kind = error instanceof Bug ? 'a bug in skep' : 'a bug in skep (unexpected error)';
  const hint = wantsStack ? '' : '; SKEP_DEBUG=1 shows where';
  stderr.write(
    `skep: ${kind}: ${what.split('\n')[0]} (please report it with the command and its input${hint})\n`,
  );
  if (wantsStack && error instanceof Error) stderr.write(`${error.stack}\n`);
  return 1;
}

// `skep … | head` ends when head does: nobody reads on, which is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

// A command's handles end with its process: that one was not closed by hand is no news.
process.removeAllListeners('warning');
process.on('warning', ({ name, message }) => {
  if (name !== 'SkepWarning') process.stderr.write(`${name}: ${message}\n`);
});

try {
  process.exitCode = await main(process.argv.slice(2), process);
} catch (error) {
  process.exitCode = report(error, process);
}
