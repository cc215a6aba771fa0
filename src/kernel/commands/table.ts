/** The command table: what each bpf(2) command does here. A command that is absent fails as an unknown one. */
import { type BpfAttr, type Cmd, commands } from '../../uapi/commands.ts';
import { type Call, checkAttr } from './call.ts';
import { progQuery } from './chains.ts';
import { objGetInfoByFd } from './info.ts';
import { linkCreate, linkDetach, linkUpdate, progBindMap, rawTracepointOpen } from './links.ts';
import { mapDeleteBatch, mapLookupAndDeleteBatch, mapLookupBatch, mapUpdateBatch } from './map-batch.ts';
import { mapCreate } from './map-create.ts';
import {
  mapDeleteElem,
  mapFreeze,
  mapGetNextKey,
  mapLookupAndDeleteElem,
  mapLookupElem,
  mapUpdateElem,
} from './map-elements.ts';
import {
  btfGetFdById,
  btfLoad,
  linkGetFdById,
  mapGetFdById,
  nextId,
  objGet,
  objPin,
  progGetFdById,
} from './objects.ts';
import { progLoad } from './prog-load.ts';
import { progTestRun } from './test-run.ts';

type Handlers = { readonly [C in Cmd]: (call: Call, attr: BpfAttr<C>) => number };

/** Linux's answer to a command that it does not know. */
function absent(call: Call): never {
  throw call.fail('EINVAL', `this kernel has no ${commands[call.cmd].name}`);
}

const handlers = {
  mapCreate,
  mapLookupElem,
  mapUpdateElem,
  mapDeleteElem,
  mapGetNextKey,
  progLoad,
  objPin,
  objGet,
  progAttach: absent,
  progDetach: absent,
  progTestRun,
  progGetNextId: nextId((call) => call.kernel.programs),
  mapGetNextId: nextId((call) => call.kernel.maps),
  progGetFdById,
  mapGetFdById,
  objGetInfoByFd,
  progQuery,
  rawTracepointOpen,
  btfLoad,
  btfGetFdById,
  taskFdQuery: absent,
  mapLookupAndDeleteElem,
  mapFreeze,
  btfGetNextId: nextId((call) => call.kernel.btfs),
  mapLookupBatch,
  mapLookupAndDeleteBatch,
  mapUpdateBatch,
  mapDeleteBatch,
  linkCreate,
  linkUpdate,
  linkGetFdById,
  linkGetNextId: nextId((call) => call.kernel.links),
  enableStats: absent,
  iterCreate: absent,
  linkDetach,
  progBindMap,
  tokenCreate: absent,
  progStreamReadByFd: absent,
} as const satisfies Handlers;

/**
 * Runs a command.
 * @throws {BpfError}
 */
export function runCommand<C extends Cmd>(call: Call, cmd: C, attr: BpfAttr<C>): number {
  const handler: ((call: Call, attr: BpfAttr<C>) => number) | undefined = (handlers as Handlers)[cmd];
  checkAttr(call, attr);
  return handler(call, attr);
}
