/** Every suite of the contract, by name. */

import { attributes } from './attributes.ts';
import { badPrograms } from './bad-programs.ts';
import { chains } from './chains.ts';
import type { ContractTest } from './harness.ts';
import { hooks } from './hooks.ts';
import { mapKinds } from './map-kinds.ts';
import { maps } from './maps.ts';
import { objects } from './objects.ts';
import { programs } from './programs.ts';
import { reading } from './reading.ts';
import { testRun } from './test-run.ts';
import { types } from './types.ts';
import { verdicts } from './verdicts.ts';

export const suites: Readonly<Record<string, readonly ContractTest[]>> = {
  maps,
  'map kinds': mapKinds,
  programs,
  'test run': testRun,
  objects,
  hooks,
  chains,
  reading,
  verdicts,
  attributes,
  types,
  'bad programs': badPrograms,
};
