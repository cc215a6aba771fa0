/** The verifier's log: the text itself, and how states and source lines are shown in it. */
export * from './log-buffer.ts';
export * from './print-numbers.ts';
export * from './print-state.ts';
export * from './source-lines.ts';
