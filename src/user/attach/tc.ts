/**
 * Traffic control: tcx and netkit, chains of programs on a device with links; and the classic way, a filter of the
 * qdisc clsact by netlink (tc-bpf(8)), in direct-action mode. The qdisc is made where it is missing and left
 * there, as others may have come to use it.
 */
import { SkepError } from '../../base/errors.ts';
import { attachTypes } from '../../uapi/attach-types.ts';
import { BpfError } from '../../uapi/errno.ts';
import type { System } from '../../uapi/seam.ts';
import { chainPlace } from './chain.ts';
import { isOlder } from './missing.ts';
import { attribute, flags, message, recordOf, u32s } from './netlink.ts';
import { type Attaching, type Attachment, cannot } from './types.ts';
import { ifindexOf } from './xdp.ts';

/** tcx and netkit. */
export function attachInChain(attaching: Attaching): Attachment {
  const { system, program, attachType } = attaching;
  const targetIfindex = ifindexOf(attaching);
  const place = chainPlace(attaching);
  return { fd: system.bpf('linkCreate', { progFd: program.fd, targetIfindex, attachType, ...place }) };
}

const RTM = { newQdisc: 36, newFilter: 44, delFilter: 45 } as const;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const bpfAttributes = { fd: 6, name: 7, flags: 8 } as const;
const ACT_DIRECT = 1;
/** Handles of clsact and of its two chains (linux/pkt_sched.h). */
const CLSACT = { parent: 0xffff_fff1, handle: 0xffff_0000 } as const;
const parents: ReadonlyMap<number, number> = new Map([
  [attachTypes.tcx_ingress.id, 0xffff_fff2],
  [attachTypes.tcx_egress.id, 0xffff_fff3],
]);
/** ETH_P_ALL in network order. */
const ALL_PROTOCOLS = 0x0300;
const TCMSG_SIZE = 20;

/** Programs of SEC("tc"): by tcx where the kernel has that, else by a filter. */
export function attachTc(attaching: Attaching): Attachment {
  const { system, program, options, attachType } = attaching;
  const parent = parents.get(attachType);
  if (parent === undefined) {
    throw cannot(
      program,
      'its section does not say which way packets go',
      "attach({ device: 'eth0', attachType: 'tcx_ingress' }), or 'tcx_egress'",
    );
  }
  if (options.legacy !== true && !isOlder(system, [6, 6])) return attachInChain(attaching);
  const wants = (['before', 'after', 'place', 'expectedRevision'] as const).find(
    (name) => options[name] !== undefined,
  );
  if (wants !== undefined) {
    throw cannot(program, `a classic filter has no '${wants}'`, 'tcx has, since Linux 6.6');
  }
  return byFilter(attaching, ifindexOf(attaching), parent);
}

/** struct tcmsg: family, ifindex, handle, parent, info (priority and protocol). */
const tcmsg = (ifindex: number, rest: { handle: number; parent: number; info?: number }): Uint8Array =>
  u32s(0, ifindex, rest.handle, rest.parent, rest.info ?? 0);

function byFilter({ system, program }: Attaching, ifindex: number, parent: number): Attachment {
  makeClsact(system, ifindex);
  const fd = system.dup(program.fd);
  try {
    const made = setFilter(
      system,
      { fd, name: program.name, more: flags.exclusive | flags.echo },
      {
        ifindex,
        handle: 0,
        parent,
        info: ALL_PROTOCOLS,
      },
    );
    const remove = message(RTM.delFilter, {
      record: tcmsg(ifindex, made),
      attributes: [attribute(TCA_KIND, 'bpf')],
    });
    return {
      fd,
      legacy: {
        how: 'a filter of tc',
        end() {
          system.netlink(remove);
        },
        replace(next) {
          setFilter(system, { fd: next, name: program.name, more: flags.replace }, { ifindex, ...made });
        },
      },
    };
  } catch (error) {
    system.close(fd);
    throw error;
  }
}

function makeClsact(system: System, ifindex: number): void {
  try {
    const attributes = [attribute(TCA_KIND, 'clsact')];
    const more = flags.create | flags.exclusive;
    system.netlink(message(RTM.newQdisc, { record: tcmsg(ifindex, CLSACT), attributes, more }));
  } catch (error) {
    if (!(error instanceof BpfError) || error.errno !== 'EEXIST') throw error;
  }
}

interface FilterPlace {
  readonly handle: number;
  readonly parent: number;
  readonly info: number;
}

/** Makes or replaces a filter; where the kernel has put it. */
function setFilter(
  system: System,
  { fd, name, more }: { fd: number; name: string; more: number },
  { ifindex, ...place }: FilterPlace & { ifindex: number },
): FilterPlace {
  const options = [
    attribute(bpfAttributes.fd, fd),
    attribute(bpfAttributes.name, name),
    attribute(bpfAttributes.flags, ACT_DIRECT),
  ];
  const answers = system.netlink(
    message(RTM.newFilter, {
      record: tcmsg(ifindex, place),
      attributes: [attribute(TCA_KIND, 'bpf'), attribute(TCA_OPTIONS, options)],
      more: flags.create | more,
    }),
  );
  if ((more & flags.echo) === 0) return place;
  const made = answers.map((answer) => recordOf(answer, TCMSG_SIZE)).find((record) => record !== undefined);
  if (made === undefined) {
    throw new SkepError({ code: 'netlink', message: 'the kernel did not say which filter it made' });
  }
  return { parent: place.parent, handle: made.getUint32(8, true), info: made.getUint32(16, true) };
}
