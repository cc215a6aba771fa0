/** What is bundled for the browser: the contract of the seam, on the embedded kernel with an engine. */
import { interpreter, jit } from '../../src/vm/index.ts';
import { embedded } from '../contract/embedded.ts';
import { runContract } from '../contract/harness.ts';
import { suites } from '../contract/suites.ts';
import { type Outcome, runTests } from './shim-test.ts';

const page = {
  contract(engine: 'interp' | 'jit'): Promise<Outcome[]> {
    runContract(embedded(engine === 'jit' ? jit : interpreter), suites);
    return runTests();
  },
};

/** What the page has in its global scope. */
export type Page = typeof page;

Object.assign(globalThis, page);
