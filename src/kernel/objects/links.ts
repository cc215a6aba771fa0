/**
 * Links: attachments as objects. A link holds its program; the attachment ends with the link's last
 * reference, or earlier by BPF_LINK_DETACH where its kind allows that.
 */
import type { Errno } from '../../uapi/errno.ts';
import { linkTypes } from '../../uapi/link-types.ts';
import type { Chain } from './chain.ts';
import { KernelObject, type Registry } from './object.ts';
import type { PerfEvent } from './perf-event.ts';
import type { ProgObject } from './program.ts';

/** Where an XDP link hooks in: a network device, with the program that it runs. */
export interface XdpHook {
  readonly ifindex: number;
  xdp: ProgObject | undefined;
}

/** Where a raw tracepoint link hooks in. */
export interface RawTracepointHook {
  readonly rawName: string;
  readonly rawPrograms: Set<{ readonly program: ProgObject }>;
}

abstract class Link extends KernelObject {
  readonly kind = 'link';
  readonly id: number;
  readonly #registry: Registry<LinkObject>;
  protected current: ProgObject;

  /** Takes a reference on `program`. */
  constructor(program: ProgObject, registry: Registry<LinkObject>) {
    super();
    this.current = program.get();
    this.#registry = registry;
    this.id = registry.add(this as Link as LinkObject);
  }

  get program(): ProgObject {
    return this.current;
  }

  /** The errno where it fails; most kinds cannot replace their program. */
  update(_next: ProgObject, _expected: ProgObject | undefined): Errno | undefined {
    return 'EINVAL';
  }

  /** The errno where it fails; most kinds cannot be detached before they are closed. */
  detach(): Errno | undefined {
    return 'ENOTSUP';
  }

  /** Ends the attachment, if it has not ended yet. */
  protected abstract unhook(): void;

  protected release(): void {
    this.unhook();
    this.#registry.remove(this.id);
    this.current.put();
  }
}

export class XdpLink extends Link {
  readonly type = linkTypes.xdp.id;
  #device: XdpHook | undefined;

  /** The device must have no program. */
  constructor(program: ProgObject, device: XdpHook, registry: Registry<LinkObject>) {
    super(program, registry);
    this.#device = device;
    device.xdp = program;
  }

  /** 0 once detached. */
  get ifindex(): number {
    return this.#device?.ifindex ?? 0;
  }

  /** bpf_xdp_link_update */
  override update(next: ProgObject, expected: ProgObject | undefined): Errno | undefined {
    if (this.#device === undefined) return 'ENOLINK';
    const old = this.current;
    if (expected !== undefined && expected !== old) return 'EPERM';
    if (next === old) return undefined;
    if (next.facts.type !== old.facts.type) return 'EINVAL';
    if (next.facts.expectedAttachType !== old.facts.expectedAttachType) return 'EINVAL';
    this.current = next.get();
    this.#device.xdp = next;
    old.put();
    return undefined;
  }

  override detach(): undefined {
    this.unhook();
  }

  protected unhook(): void {
    if (this.#device) this.#device.xdp = undefined;
    this.#device = undefined;
  }
}

/** Where a tcx link hooks in: one of the two chains of a device. */
export interface TcxHook {
  readonly ifindex: number;
  readonly attachType: number;
  readonly chain: Chain;
}

export class TcxLink extends Link {
  readonly type = linkTypes.tcx.id;
  readonly attachType: number;
  #hook: TcxHook | undefined;

  /** `at` is where `placeFor` of the chain said. */
  constructor(
    program: ProgObject,
    { hook, at }: { hook: TcxHook; at: number },
    registry: Registry<LinkObject>,
  ) {
    super(program, registry);
    this.#hook = hook;
    this.attachType = hook.attachType;
    hook.chain.insert(at, this);
  }

  /** 0 once detached. */
  get ifindex(): number {
    return this.#hook?.ifindex ?? 0;
  }

  /** tcx_link_update */
  override update(next: ProgObject, expected: ProgObject | undefined): Errno | undefined {
    const old = this.current;
    if (next.facts.type !== old.facts.type) return 'EINVAL';
    if (this.#hook === undefined) return 'ENOLINK';
    if (expected !== undefined && expected !== old) return 'EPERM';
    if (next === old) return undefined;
    if (this.#hook.chain.has(next)) return 'EEXIST';
    this.current = next.get();
    this.#hook.chain.changed();
    old.put();
    return undefined;
  }

  override detach(): undefined {
    this.unhook();
  }

  protected unhook(): void {
    this.#hook?.chain.remove(this);
    this.#hook = undefined;
  }
}

export class RawTracepointLink extends Link {
  readonly type = linkTypes.raw_tracepoint.id;
  readonly tracepoint: RawTracepointHook;

  constructor(program: ProgObject, tracepoint: RawTracepointHook, registry: Registry<LinkObject>) {
    super(program, registry);
    this.tracepoint = tracepoint;
    tracepoint.rawPrograms.add(this);
  }

  protected unhook(): void {
    this.tracepoint.rawPrograms.delete(this);
  }
}

/** A tracepoint program on a perf event. It runs for every task, whatever the event itself was opened for. */
export class PerfEventLink extends Link {
  readonly type = linkTypes.perf_event.id;
  readonly event: PerfEvent;

  /** Takes a reference on `event`, which must have no program. */
  constructor(program: ProgObject, event: PerfEvent, registry: Registry<LinkObject>) {
    super(program, registry);
    this.event = event.get();
    event.attached = true;
    event.tracepoint.programs.add(this);
  }

  protected unhook(): void {
    this.event.tracepoint.programs.delete(this);
    this.event.attached = false;
    this.event.put();
  }
}

export type LinkObject = XdpLink | TcxLink | RawTracepointLink | PerfEventLink;
