/**
 * Honest labels: what skep makes of each map kind, helper, program type, attach type and command. The
 * verifier, the runtime and docs/support.md read the same label.
 */

/**
 * `real`: behaves as Linux. `modelled`: a simulation, said in one sentence. `verified-only`: the verifier
 * knows it, running it fails with a clear error. `absent`: not there.
 */
export type Label = 'real' | 'modelled' | 'verified-only' | 'absent';

export interface Labelled {
  readonly label: Label;
  /** What a `modelled` entry simulates, or what a `real` one leaves out. */
  readonly note?: string;
}
