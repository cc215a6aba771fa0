/** The contract of the seam, on every kernel that is here. */
import { embedded } from './embedded.ts';
import { runContract } from './harness.ts';
import { hooks } from './hooks.ts';
import { maps } from './maps.ts';
import { objects } from './objects.ts';
import { programs } from './programs.ts';
import { testRun } from './test-run.ts';

runContract(embedded, { maps, programs, 'test run': testRun, objects, hooks });
