/**
 * Network devices: where XDP and tc programs attach. A packet comes in, the XDP program of the device runs over it
 * as Linux's generic XDP does (one linear buffer), then the chain of tcx ingress; or it goes out by the chain of tcx
 * egress. Verdicts and the packet come out. There is no network stack behind: who calls `receive` or `send`
 * decides what a verdict means.
 */
import { SkepError } from '../base/errors.ts';
import { skBuff, xdpMd } from '../uapi/contexts.ts';
import { Chain } from './objects/chain.ts';
import type { ProgObject } from './objects/program.ts';
import { PacketBuffer, TAILROOM, XDP_HEADROOM } from './packet-buffer.ts';
import { PacketRing } from './packet-ring.ts';
import { idleTask, type KernelRuntime } from './runtime.ts';
import { ETH_HLEN, packetType, packetTypes, skbOf } from './sk-buff.ts';

/** enum xdp_action */
export const xdpActions = { aborted: 0, drop: 1, pass: 2, tx: 3, redirect: 4 } as const;

export type XdpActionName = keyof typeof xdpActions;
const actionNames = Object.keys(xdpActions) as XdpActionName[];

export interface Received {
  /** XDP_*: XDP_PASS where no program is attached, XDP_ABORTED for a verdict that is none. */
  readonly action: number;
  /** TCX_* of the ingress chain; undefined where it is empty, or the packet did not come that far. */
  readonly tcx?: number;
  /** A copy of the packet as the programs left it. */
  readonly packet: Uint8Array;
}

/** enum tcx_action_base: `next` is for the qdisc to decide, which lets packets pass. */
export const tcxActions = { next: -1, pass: 0, drop: 2, redirect: 7 } as const;

export interface Sent {
  /** TCX_* of the egress chain; undefined where it is empty. */
  readonly tcx?: number;
  /** A copy of the packet as the programs left it. */
  readonly packet: Uint8Array;
}

/** tcx_action_code(): what is no verdict ends the chain and decides nothing. */
function tcxAction(verdict: number): number {
  const { pass, drop, redirect, next } = tcxActions;
  return [pass, drop, redirect].find((action) => action === verdict) ?? next;
}

/** What is no verdict is XDP_ABORTED. */
const xdpAction = (verdict: number): number => (verdict < actionNames.length ? verdict : xdpActions.aborted);

export class Device {
  readonly name: string;
  readonly ifindex: number;
  /** The attached program; its link sets it. */
  xdp: ProgObject | undefined;
  /** The chains of tc programs; their links are in them. */
  readonly tcx = { ingress: new Chain(), egress: new Chain() } as const;
  /** Packets received, by verdict. */
  readonly stats: Record<XdpActionName, number> = { aborted: 0, drop: 0, pass: 0, tx: 0, redirect: 0 };
  readonly #runtime: KernelRuntime;

  constructor(name: string, ifindex: number, runtime: KernelRuntime) {
    this.name = name;
    this.ifindex = ifindex;
    this.#runtime = runtime;
  }

  /**
   * A packet, link-layer header first, arrives.
   * @throws {BpfError} ENOMEM
   */
  receive(packet: Uint8Array, options: { readonly cpu?: number } = {}): Received {
    const { cpu = 0 } = options;
    const received =
      this.xdp === undefined
        ? { action: xdpActions.pass, packet: packet.slice() }
        : this.#runXdp(this.xdp, packet, cpu);
    this.stats[actionNames[received.action]!]++;
    if (received.action !== xdpActions.pass) return received;
    return { action: received.action, ...this.#runTcx('ingress', received.packet, cpu) };
  }

  /**
   * Packets arrive, one after the other: the same as `receive` for each, at a fraction of the cost. The packets that come
   * back share memory, some at a time.
   * @throws {BpfError} ENOMEM
   */
  receiveAll(packets: readonly Uint8Array[], options: { readonly cpu?: number } = {}): Received[] {
    const program = this.#forBatches();
    if (program === undefined) return packets.map((packet) => this.receive(packet, options));
    const received: Received[] = [];
    this.#runAll(program, packets, {
      cpu: options.cpu ?? 0,
      each: (actions, ring) => {
        const copies = ring.copies();
        for (let i = 0; i < actions.length; i++) received.push({ action: actions[i]!, packet: copies[i]! });
      },
    });
    return received;
  }

  /**
   * Packets arrive, one after the other, and nobody wants them back: `action` of each, as `receive` tells it.
   * @throws {BpfError} ENOMEM
   */
  verdicts(packets: readonly Uint8Array[], options: { readonly cpu?: number } = {}): Uint8Array {
    const program = this.#forBatches();
    if (program === undefined) {
      return Uint8Array.from(packets, (packet) => this.receive(packet, options).action);
    }
    const all = new Uint8Array(packets.length);
    let done = 0;
    this.#runAll(program, packets, {
      cpu: options.cpu ?? 0,
      each: (actions) => {
        all.set(actions, done);
        done += actions.length;
      },
    });
    return all;
  }

  /** The program, where packets may run through it in batches: a chain behind it sees each before the next comes. */
  #forBatches(): ProgObject | undefined {
    const { xdp } = this;
    if (xdp === undefined || this.tcx.ingress.links.length > 0) return undefined;
    return this.#runtime.runsBatches(xdp) ? xdp : undefined;
  }

  /** Runs all packets through the program; `each` is told the verdicts of as many as were in the ring at a time. */
  #runAll(
    program: ProgObject,
    packets: readonly Uint8Array[],
    { cpu, each }: { cpu: number; each: (actions: Uint8Array, ring: PacketRing) => void },
  ): void {
    const ring = new PacketRing(this.#runtime.memory, packets);
    const place = { task: idleTask, cpu, flags: 'network' } as const;
    try {
      for (let from = 0; from < packets.length; ) {
        const count = ring.fill(packets, { from, ifindex: this.ifindex });
        try {
          this.#runtime.runAll(program, ring.batch(count), place);
        } finally {
          // A run that is stopped leaves those before it done.
          each(this.#count(ring.results()), ring);
        }
        from += count;
      }
    } finally {
      ring.free();
    }
  }

  /** The actions that results are, in the statistics as well. Loops: that is what a packet costs, besides its run. */
  #count(results: Uint32Array): Uint8Array {
    const actions = new Uint8Array(results.length);
    const packets = new Uint32Array(actionNames.length);
    for (let i = 0; i < results.length; i++) {
      const action = xdpAction(results[i]!);
      actions[i] = action;
      packets[action]!++;
    }
    packets.forEach((count, action) => {
      this.stats[actionNames[action]!] += count;
    });
    return actions;
  }

  /**
   * A packet, link-layer header first, leaves.
   * @throws {BpfError} ENOMEM
   */
  send(packet: Uint8Array, options: { readonly cpu?: number } = {}): Sent {
    return this.#runTcx('egress', packet.slice(), options.cpu ?? 0);
  }

  /** tcx_run(): one program after the other until one decides. Shorter packets than a link header have no skb. */
  #runTcx(direction: keyof Device['tcx'], packet: Uint8Array, cpu: number): Sent {
    const { links } = this.tcx[direction];
    if (links.length === 0 || packet.length < ETH_HLEN) return { packet };
    const isIngress = direction === 'ingress';
    const buffer = skbOf({
      memory: this.#runtime.memory,
      packet,
      before: 0,
      ifindex: this.ifindex,
      packetType: isIngress ? packetType(packet, packetTypes.host) : packetTypes.host,
    });
    try {
      if (isIngress) buffer.setField(skBuff.ingress_ifindex, this.ifindex);
      const context = { ctx: buffer.ctx, packet: buffer };
      const place = { task: idleTask, cpu, flags: 'network' } as const;
      let verdict: number = tcxActions.next;
      for (const { program } of [...links]) {
        verdict = Number(BigInt.asIntN(32, this.#runtime.run(program, context, place)));
        if (verdict !== tcxActions.next) break;
      }
      return { tcx: tcxAction(verdict), packet: buffer.copy(buffer.data, buffer.dataEnd) };
    } finally {
      buffer.free();
    }
  }

  #runXdp(program: ProgObject, packet: Uint8Array, cpu: number): Received {
    const buffer = new PacketBuffer({
      memory: this.#runtime.memory,
      layout: xdpMd,
      bytes: packet,
      before: 0,
      headroom: XDP_HEADROOM,
      tailroom: TAILROOM,
    });
    try {
      buffer.setField(xdpMd.ingress_ifindex, this.ifindex);
      const context = { ctx: buffer.ctx, packet: buffer };
      const verdict = Number(
        BigInt.asUintN(32, this.#runtime.run(program, context, { task: idleTask, cpu, flags: 'network' })),
      );
      return { action: xdpAction(verdict), packet: buffer.copy(buffer.data, buffer.dataEnd) };
    } finally {
      buffer.free();
    }
  }
}

/** IFNAMSIZ less its NUL. */
const NAME_MAX = 15;

export class Devices {
  readonly #byName = new Map<string, Device>();
  readonly #byIndex: (Device | undefined)[] = [undefined];
  readonly #runtime: KernelRuntime;

  constructor(runtime: KernelRuntime) {
    this.#runtime = runtime;
    this.add('lo');
  }

  /**
   * A new device.
   * @throws {SkepError} 'device-name' where Linux would not take the name or it is there already
   */
  add(name: string): Device {
    const wrong = this.#wrongName(name);
    if (wrong !== undefined) {
      throw new SkepError({
        code: 'device-name',
        message: `no device can be named ${JSON.stringify(name)}: ${wrong}`,
      });
    }
    const device = new Device(name, this.#byIndex.length, this.#runtime);
    this.#byName.set(name, device);
    this.#byIndex.push(device);
    return device;
  }

  /** dev_valid_name, and that a name is free. */
  #wrongName(name: string): string | undefined {
    if (name === '' || name.length > NAME_MAX) return `names have 1 to ${NAME_MAX} characters`;
    if (name === '.' || name === '..' || /[/:\s]/.test(name)) return "'/', ':' and spaces are not allowed";
    return this.#byName.has(name) ? 'there is one already' : undefined;
  }

  byName(name: string): Device | undefined {
    return this.#byName.get(name);
  }

  byIndex(ifindex: number): Device | undefined {
    return this.#byIndex[ifindex];
  }

  /** All devices, `lo` first. */
  [Symbol.iterator](): Iterator<Device> {
    return this.#byName.values();
  }
}
