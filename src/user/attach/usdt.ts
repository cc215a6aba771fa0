/**
 * Probes that executables and libraries carry themselves (USDT): a uprobe on each place of the code that the notes of
 * the file name, with the semaphore that tells the code that somebody listens. The program finds the arguments by a
 * record, whose number is the cookie of the place, or, on kernels without cookies, is found by the address.
 */
import { attachKinds } from '../../uapi/attach-kinds.ts';
import { BpfError } from '../../uapi/errno.ts';
import type { BinaryProbe, BinaryProbes, PerfEventAttr } from '../../uapi/seam.ts';
import { supports } from '../features.ts';
import type { UsdtPlace } from '../usdt-specs.ts';
import { isOlder } from './missing.ts';
import { attachToEvents } from './perf.ts';
import { sourceOfEvents, target } from './probes.ts';
import { type Attaching, type Attachment, cannot, wanted } from './types.ts';
import { usdtSpec } from './usdt-args.ts';

/** Where config has the semaphore: format/ref_ctr_offset of the source of events. */
const SEMAPHORE_SHIFT = 32n;

export function attachUsdt(attaching: Attaching): Attachment {
  const { system, program, options } = attaching;
  const { path, machine, isFixed, probes } = findProbes(attaching);
  const type = sourceOfEvents(system, 'uprobe');
  if (type === undefined) {
    const { config } = attachKinds.usdt;
    throw new BpfError('ENOENT', 'uprobe events', `this kernel was built without ${config}`);
  }
  const events = probes.map(
    (probe): PerfEventAttr => ({
      type,
      config: probe.semaphore << SEMAPHORE_SHIFT,
      config1: path,
      config2: probe.offset,
      ...target(options.pid),
    }),
  );
  if (program.usdt === undefined)
    return attachToEvents(
      attaching,
      events.map((event) => ({ event })),
    );
  if (machine === undefined) throw cannot(program, `the registers of the processor of ${path} are not known`);
  const byAddress = !supports(system, 'bpfCookie');
  if (byAddress && !isFixed) {
    const message = `it asks for arguments, and where ${path} is loaded is known to no one`;
    throw cannot(program, message, 'Linux 5.15 tells programs by cookies which probe they are on');
  }
  const places = probes.map(
    ({ args, address }): UsdtPlace => ({
      spec: usdtSpec(machine, { args, cookie: options.cookie ?? 0n }),
      address: byAddress ? address : undefined,
    }),
  );
  const { ids, remove } = program.usdt.add(places);
  try {
    const cookies = events.map((event, i) => ({
      event,
      cookie: byAddress ? undefined : BigInt(ids[i] as number),
    }));
    return { ...attachToEvents(attaching, cookies), after: remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** The places of the probe that the section or the options name: 'BINARY:PROVIDER:NAME'. */
function findProbes(attaching: Attaching): BinaryProbes {
  const { system, program, options } = attaching;
  const [, path, own] = /^(.+?):([^:]*:[^:]*)$/.exec(program.attachTo ?? '') ?? [];
  const example = "{ binary: 'libc.so.6', usdt: 'libc:setjmp' }";
  const binary = wanted(attaching, options.binary ?? path, { name: 'executable', example });
  const probe = wanted(attaching, options.usdt ?? own, { name: 'probe', example });
  const found = system.binaryProbes(binary, (provider, name) => `${provider}:${name}` === probe);
  if (found.probes.length === 0) {
    throw cannot(program, `${found.path} has no probe '${probe}'`, 'readelf -n lists the probes of a file');
  }
  if (found.probes.some(hasSemaphore) && isOlder(system, [4, 20])) {
    throw cannot(program, `the probe '${probe}' has a semaphore`, 'Linux 4.20 counts up semaphores');
  }
  return found;
}

const hasSemaphore = ({ semaphore }: BinaryProbe): boolean => semaphore !== 0n;
