/** The contract of the seam, on the embedded kernel with each engine. */
import { interpreter, jit } from '../../src/vm/index.ts';
import { embedded } from './embedded.ts';
import { runContract } from './harness.ts';
import { suites } from './suites.ts';

for (const engine of [interpreter, jit]) runContract(embedded(engine), suites);
