import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EmbeddedKernel } from './kernel.ts';

function withPin() {
  const kernel = new EmbeddedKernel();
  const process = kernel.spawn();
  kernel.bpffs.mkdir('/sys/fs/bpf/dir');
  const bpfFd = process.bpf('mapCreate', { mapType: 1, keySize: 4, valueSize: 4, maxEntries: 1 });
  process.bpf('objPin', { pathname: '/sys/fs/bpf/dir/pin', bpfFd });
  return kernel.bpffs;
}

test('calls on the file system end as on Linux', () => {
  const fs = withPin();
  const rows = [
    { name: 'mkdir of what is there', call: () => fs.mkdir('/sys/fs/bpf/dir'), want: 'EEXIST' },
    { name: 'mkdir in no directory', call: () => fs.mkdir('/sys/fs/bpf/no/dir'), want: 'ENOENT' },
    { name: 'mkdir below a pin', call: () => fs.mkdir('/sys/fs/bpf/dir/pin/x'), want: 'ENOTDIR' },
    { name: 'mkdir elsewhere', call: () => fs.mkdir('/tmp/x'), want: 'EPERM' },
    { name: 'mkdir by a relative path', call: () => fs.mkdir('sys/fs/bpf/x'), want: 'EPERM' },
    { name: 'mkdir out of the tree', call: () => fs.mkdir('/sys/fs/bpf/../x'), want: 'EPERM' },
    {
      name: 'a name of 256 bytes',
      call: () => fs.mkdir(`/sys/fs/bpf/${'x'.repeat(256)}`),
      want: 'ENAMETOOLONG',
    },
    {
      name: 'a path of 4096 bytes',
      call: () => fs.mkdir('/sys/fs/bpf/'.padEnd(4096, '/')),
      want: 'ENAMETOOLONG',
    },
    { name: 'rmdir of a full directory', call: () => fs.rmdir('/sys/fs/bpf/dir'), want: 'ENOTEMPTY' },
    { name: 'rmdir of a pin', call: () => fs.rmdir('/sys/fs/bpf/dir/pin'), want: 'ENOTDIR' },
    { name: 'rmdir of the root', call: () => fs.rmdir('/sys/fs/bpf'), want: 'EBUSY' },
    { name: 'unlink of a directory', call: () => fs.unlink('/sys/fs/bpf/dir'), want: 'EISDIR' },
    { name: 'unlink of nothing', call: () => fs.unlink('/sys/fs/bpf/no'), want: 'ENOENT' },
    { name: 'readdir of a pin', call: () => fs.readdir('/sys/fs/bpf/dir/pin'), want: 'ENOTDIR' },
  ];
  for (const { name, call, want } of rows) assert.throws(call, { errno: want }, name);
});

test('paths may have slashes and dots to spare', () => {
  const fs = withPin();
  assert.deepEqual(fs.readdir('/sys/fs/bpf//./dir/../dir/'), ['pin']);
  fs.unlink('//sys/fs/bpf/dir/pin');
  fs.rmdir('/sys/fs/bpf/dir/');
  assert.deepEqual(fs.readdir(), []);
});
