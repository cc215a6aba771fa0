/** The verifier's log: how states and source lines are shown in it. */
export * from './print-numbers.ts';
export * from './print-state.ts';
export * from './source-lines.ts';
