/** The embedded kernel, with each engine, as targets of the contract. */
import assert from 'node:assert/strict';
import { EmbeddedKernel, type Process } from '../../src/kernel/index.ts';
import type { Engine } from '../../src/vm/index.ts';
import type { Target } from './harness.ts';

const unprivileged = {
  uid: 65534,
  gid: 65534,
  capabilities: { bpf: false, perfmon: false, netAdmin: false, sysAdmin: false },
};

export const embedded = (engine: Engine): Target => ({
  name: `embedded, ${engine.name}`,
  version: 0x061200,
  skip: [],
  start() {
    const kernel = new EmbeddedKernel({ cpus: 4, memoryLimit: 64 << 20, engine });
    const device = kernel.devices.add('eth0');
    const pinDirectory = '/sys/fs/bpf/contract';
    kernel.bpffs.mkdir(pinDirectory);
    const processes: Process[] = [];
    return {
      spawn(kind = 'root') {
        const process = kernel.spawn(kind === 'root' ? {} : { credentials: unprivileged });
        processes.push(process);
        return process;
      },
      pinDirectory,
      unlink: (path) => kernel.bpffs.unlink(path),
      device: device.name,
      receive: (packet) => device.receive(packet).action,
      get bytesInUse() {
        return kernel.memory.bytesInUse;
      },
      close() {
        for (const process of processes) process.end();
        for (const name of kernel.bpffs.readdir(pinDirectory)) kernel.bpffs.unlink(`${pinDirectory}/${name}`);
        const watcher = kernel.spawn();
        for (const cmd of ['mapGetNextId', 'progGetNextId', 'btfGetNextId', 'linkGetNextId'] as const) {
          assert.throws(
            () => watcher.bpf(cmd, { startId: 0 }),
            { errno: 'ENOENT' },
            `${cmd}: an object leaked`,
          );
        }
      },
    };
  },
});
