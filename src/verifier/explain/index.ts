export { type Explanation, explainRejection } from './explain.ts';
export type { Meaning } from './messages.ts';
export type { PathStep, SourceLine } from './parse-log.ts';
