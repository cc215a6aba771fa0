/** Writes network.pcapng from network.pcap: `node --conditions=source examples/captures/to-pcapng.ts`. */
import { createReadStream, writeFileSync } from 'node:fs';
import { type CapturedPacket, readCapture, writeCapture } from 'skep/packet';

const file = (name: string) => new URL(name, import.meta.url);
const packets: CapturedPacket[] = [];
for await (const packet of readCapture(createReadStream(file('network.pcap')))) packets.push(packet);
writeFileSync(file('network.pcapng'), writeCapture(packets, { format: 'pcapng' }));
