/** skep as a library: load an object, set a map, run a packet through, look at the result. */
import { readFileSync } from 'node:fs';
import { Kernel } from 'skep';
import { ethernet } from 'skep/packet';

const kernel = new Kernel();
const firewall = kernel.load(readFileSync(new URL('firewall.bpf.o', import.meta.url)));
try {
  firewall.map('blocked').set(80, 1);

  const packet = ethernet().ipv4({ src: '192.0.2.1' }).tcp({ dstPort: 80 }).payload('GET /').build();
  const { retval } = firewall.program('firewall').testRun({ data: packet });

  console.log(retval === 1 ? 'dropped' : 'passed');
  for (const [flow, traffic] of firewall.map('flows').entries()) console.log(flow, traffic);
} finally {
  firewall.close();
  kernel.close();
}
