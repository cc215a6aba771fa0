/**
 * Honest labels: what skep makes of each map kind, helper, program type, attach type and command. The
 * verifier, the runtime and docs/support.md read the same label.
 */

export const labels = {
  real: 'behaves as Linux does',
  modelled: 'a simulation, as its note says',
  'verified-only': 'the verifier knows it; running it fails with a clear error',
  absent: 'not there',
} as const;

export type Label = keyof typeof labels;

export interface Labelled {
  readonly label: Label;
  /** What a `modelled` entry simulates, or what a `real` one leaves out. */
  readonly note?: string;
}

/** The names of the rows that run: an implementation `satisfies Record<Running<typeof table>, …>`. */
export type Running<T extends Record<string, Labelled>> = {
  [N in keyof T]: T[N]['label'] extends 'real' | 'modelled' ? N : never;
}[keyof T];

/** The names of the rows that the verifier alone knows. */
export type VerifiedOnly<T extends Record<string, Labelled>> = {
  [N in keyof T]: T[N]['label'] extends 'verified-only' ? N : never;
}[keyof T];
