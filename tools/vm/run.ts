/**
 * A script in a virtual machine that has Node and a folder of files, /skep. Puts the initial RAM file system
 * together, boots it with a kernel, and hands back what the script wrote to /dev/ttyS1.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Archive } from './initramfs.ts';
import { hasCommand, type VmKernel } from './kernels.ts';
import { boot, type Ended, QEMU } from './machine.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Why no machine can be run here; undefined where one can. */
export function whyNoVm(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'it takes Linux on x86-64';
  const missing = [QEMU, 'busybox', 'ldd'].find((command) => !hasCommand(command));
  return missing === undefined ? undefined : `there is no ${missing}`;
}

export interface VmRun {
  readonly kernel: VmKernel;
  /** A shell script, run in /skep. */
  readonly script: string;
  /** Puts the files of the script into the archive. */
  readonly pack: (archive: Archive) => void;
  readonly seconds: number;
  readonly onLine: (line: string) => void;
}

/** Runs it to its end, or kills it. */
export async function runInVm({ kernel, script, pack, seconds, onLine }: VmRun): Promise<Ended> {
  const folder = mkdtempSync(join(tmpdir(), 'skep-vm-'));
  try {
    const initrd = join(folder, 'initrd');
    const archive = new Archive(initrd);
    packSystem(archive);
    archive.file('/modules/order', kernel.modules.map(({ name }) => name).join('\n'));
    for (const { name, bytes } of kernel.modules) archive.file(`/modules/${name}.ko`, bytes);
    pack(archive);
    archive.file('/run', `cd /skep\n${script}\n`);
    archive.close();
    return await boot({ image: kernel.image, initrd, append: 'lsm=bpf', folder, seconds, onLine });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What tests call beside Node; busybox has some of them, with fewer options. */
const tools = ['sh', 'ip', 'unshare', 'nsenter', 'setpriv', 'cat', 'sleep'];

/** What makes it a system: busybox, the Node that runs this, tools, their libraries, users. */
function packSystem(archive: Archive): void {
  for (const folder of ['/proc', '/sys', '/dev', '/tmp', '/root']) archive.folder(folder);
  archive.file('/bin/busybox', readFileSync(whereIs('busybox') as string), 0o755);
  archive.file('/init', readFileSync(join(root, 'tools/vm/init.sh')), 0o755);
  const programs = new Map([['/bin/node', process.execPath]]);
  for (const tool of tools) {
    const path = whereIs(tool);
    if (path !== undefined) programs.set(`/usr/bin/${tool}`, path);
  }
  const libraries = new Set<string>();
  for (const [to, path] of programs) {
    archive.file(to, readFileSync(path), 0o755);
    for (const library of execFileSync('ldd', [path], { encoding: 'utf8' }).match(/\/\S+/g) ?? []) {
      if (existsSync(library)) libraries.add(library);
    }
  }
  for (const library of libraries) archive.file(library, readFileSync(library), 0o755);
  archive.file('/etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n');
  archive.file('/etc/group', 'root:x:0:\nnogroup:x:65534:\n');
}

/** The path of a command on this machine. */
function whereIs(command: string): string | undefined {
  const { stdout } = spawnSync('sh', ['-c', `command -v ${command}`], { encoding: 'utf8' });
  return stdout.trim() === '' ? undefined : stdout.trim();
}

/** The native module by which Node calls the kernel, for this machine alone. */
export function packKoffi(archive: Archive): void {
  const native = (path: string): boolean => !/\/(doc|vendor|musl_\w+)$/.test(path);
  for (const name of ['koffi', '@koromix']) {
    const from = join(root, 'node_modules', name);
    if (existsSync(from)) archive.copy(from, `/skep/node_modules/${name}`, native);
  }
}
