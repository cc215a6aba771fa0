/** The contract of the seam, on the embedded kernel. */
import { embedded } from './embedded.ts';
import { runContract } from './harness.ts';
import { suites } from './suites.ts';

runContract(embedded, suites);
