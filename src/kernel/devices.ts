/**
 * Network devices: where XDP programs attach. A packet goes in, the program of the device runs over it as
 * Linux's generic XDP does (one linear buffer), and its verdict and the packet come out. There is no network
 * stack behind: who calls `receive` decides what a verdict means.
 */
import { SkepError } from '../base/errors.ts';
import { xdpMd } from '../uapi/contexts.ts';
import type { ProgObject } from './objects/program.ts';
import { PacketBuffer, TAILROOM, XDP_HEADROOM } from './packet-buffer.ts';
import { idleTask, type KernelRuntime } from './runtime.ts';

/** enum xdp_action */
export const xdpActions = { aborted: 0, drop: 1, pass: 2, tx: 3, redirect: 4 } as const;

export type XdpActionName = keyof typeof xdpActions;
const actionNames = Object.keys(xdpActions) as XdpActionName[];

export interface Received {
  /** XDP_*: XDP_PASS where no program is attached, XDP_ABORTED for a verdict that is none. */
  readonly action: number;
  /** A copy of the packet as the program left it. */
  readonly packet: Uint8Array;
}

export class Device {
  readonly name: string;
  readonly ifindex: number;
  /** The attached program; its link sets it. */
  xdp: ProgObject | undefined;
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
    const received =
      this.xdp === undefined
        ? { action: xdpActions.pass, packet: packet.slice() }
        : this.#runXdp(this.xdp, packet, options.cpu ?? 0);
    this.stats[actionNames[received.action] ?? 'aborted']++;
    return received;
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
      const action = verdict < actionNames.length ? verdict : xdpActions.aborted;
      return { action, packet: buffer.copy(buffer.data, buffer.dataEnd) };
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
