/**
 * Kernels to boot in a virtual machine: Debian's for clouds, which are small and have kprobes, fentry and BPF LSM.
 * A package is downloaded once, unpacked into a cache of the user's, and never installed. What cannot be had
 * gives a reason, by which the tests that want it are skipped.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import process from 'node:process';

/** The series that are booted. */
export const kernelSeries = ['6.1', '6.12'] as const;

/** What is not built into these kernels and the tests need: devices, and the queueing discipline of tc. */
const modules = ['tun', 'veth', 'sch_ingress', 'cls_bpf'];

export interface VmKernel {
  readonly series: string;
  /** As uname -r says. */
  readonly release: string;
  /** The file of its image. */
  readonly image: string;
  /** Modules in the order in which they are loaded, unpacked. */
  readonly modules: readonly { readonly name: string; readonly bytes: Uint8Array }[];
}

/** Whether a command is on the PATH. */
export const hasCommand = (name: string): boolean =>
  spawnSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' }).status === 0;

const cache = (): string =>
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'skep', 'kernels');

/** The kernel of a series, from the cache or the packages; or why there is none. */
export function findKernel(series: string): VmKernel | { readonly reason: string } {
  const folder = join(cache(), series);
  if (!existsSync(folder)) {
    const reason = download(series, folder);
    if (reason !== undefined) return { reason };
  }
  const image = readdirSync(folder).find((name) => name.startsWith('vmlinuz-'));
  if (image === undefined) return { reason: `${folder} has no kernel image: remove it` };
  const release = image.slice('vmlinuz-'.length);
  return { series, release, image: join(folder, image), modules: readModules(folder) };
}

/** The newest package of a series, not for debugging and with its signature. */
function packageName(series: string): string | undefined {
  const pattern = `^linux-image-${series.replace('.', '\\.')}\\.[0-9].*-cloud-amd64$`;
  const found = spawnSync('apt-cache', ['search', '--names-only', pattern], { encoding: 'utf8' });
  const names = (found.stdout ?? '').split('\n').map((line) => line.split(' ')[0] ?? '');
  const numbers = (name: string): number[] => (name.match(/\d+/g) ?? []).map(Number);
  return names
    .filter((name) => name !== '')
    .sort((a, b) => {
      const [left, right] = [numbers(a), numbers(b)];
      const at = left.findIndex((number, i) => number !== right[i]);
      return at < 0 ? 0 : (left[at] ?? 0) - (right[at] ?? 0);
    })
    .at(-1);
}

/** Fills `folder` with the image and the modules; the reason where that fails. */
function download(series: string, folder: string): string | undefined {
  const missing = ['apt-get', 'apt-cache', 'dpkg-deb'].find((command) => !hasCommand(command));
  if (missing !== undefined) return `there is no ${missing} to get Debian's kernels with`;
  const name = packageName(series);
  if (name === undefined) return `no package linux-image-${series}*-cloud-amd64 is known (apt-get update)`;
  const work = mkdtempSync(join(tmpdir(), 'skep-kernel-'));
  try {
    const got = spawnSync('apt-get', ['download', '-qq', '-o', 'APT::Sandbox::User=root', name], {
      cwd: work,
      encoding: 'utf8',
    });
    const file = readdirSync(work).find((entry) => entry.endsWith('.deb'));
    if (got.status !== 0 || file === undefined) return `${name} cannot be downloaded`;
    execFileSync('dpkg-deb', ['-x', file, 'unpacked'], { cwd: work });
    keep(join(work, 'unpacked'), join(work, 'kept'));
    mkdirSync(cache(), { recursive: true });
    cpSync(join(work, 'kept'), `${folder}.part`, { recursive: true });
    renameSync(`${folder}.part`, folder);
    return undefined;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Copies what is used of an unpacked package. */
function keep(unpacked: string, kept: string): void {
  mkdirSync(kept);
  const image = readdirSync(join(unpacked, 'boot')).find((name) => name.startsWith('vmlinuz-'));
  if (image === undefined) throw new Error('the package has no kernel image');
  cpSync(join(unpacked, 'boot', image), join(kept, image));
  // Debian moves /lib into /usr; packages of either layout are about.
  const lib = ['lib/modules', 'usr/lib/modules'].map((path) => join(unpacked, path)).find(existsSync);
  if (lib === undefined) return;
  const wanted = new RegExp(`/(${modules.join('|')})\\.ko(\\.xz)?$`);
  for (const path of readdirSync(lib, { recursive: true, encoding: 'utf8' })) {
    if (wanted.test(path)) cpSync(join(lib, path), join(kept, basename(path)));
  }
}

function readModules(folder: string): { name: string; bytes: Uint8Array }[] {
  return modules.flatMap((name) => {
    const plain = join(folder, `${name}.ko`);
    if (existsSync(plain)) return [{ name, bytes: readFileSync(plain) }];
    if (!existsSync(`${plain}.xz`)) return [];
    const bytes = execFileSync('busybox', ['xzcat', `${plain}.xz`], { maxBuffer: 1 << 26 });
    return [{ name, bytes }];
  });
}
