/** The contract of the seam, on the running Linux kernel where that may be asked. */

import { enterSandbox } from '../support/linux-sandbox.ts';
import type { Target } from './harness.ts';
import { runContract } from './harness.ts';
import { linux } from './linux.ts';
import { suites } from './suites.ts';

const all = Object.entries(suites).flatMap(([suite, tests]) => tests.map(({ name }) => `${suite}: ${name}`));

/** Every test skipped, and why. */
const absent = (reason: string): Target => ({ ...linux(''), skip: [{ reason, tests: all }] });

const sandbox = enterSandbox();
runContract('reason' in sandbox ? absent(sandbox.reason) : linux(sandbox.bpffs), suites);
