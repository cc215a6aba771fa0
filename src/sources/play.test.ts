import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { test } from 'node:test';
import { SkepError } from '../base/errors.ts';
import { writeCapture } from '../packet/index.ts';
import { playCapture } from './index.ts';

const network = new URL('../../examples/captures/network.pcap', import.meta.url);

test('a capture reaches the device packet by packet', async () => {
  const seen: number[] = [];
  const device = { receive: (packet: Uint8Array) => seen.push(packet.length) };
  const told: number[] = [];
  const count = await playCapture(createReadStream(network), device, ({ data }, received) => {
    assert.equal(received, told.length + 1);
    told.push(data.length);
  });
  assert.equal(count, 77);
  assert.deepEqual(seen, told);
});

test('packets that are not Ethernet are refused', async () => {
  const capture = writeCapture([{ data: new Uint8Array(20) }], { linkType: 113 });
  const device = { receive: () => assert.fail('received') };
  await assert.rejects(playCapture([capture], device), (error) => {
    assert.ok(error instanceof SkepError);
    assert.match(error.line, /packet 1 is of link type 113; a device takes Ethernet/);
    return true;
  });
});
