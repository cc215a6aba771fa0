/** The function that a thrown exception ends the program with, where BTF names one (bpf_find_exception_callback_insn_off). */
import { type Btf, btfLinkages } from '../btf/index.ts';
import type { Env } from './env.ts';

const TAG = 'exception_callback:';
const RECORD = 8;

/** Where it starts, in slots; undefined where there is none. */
export function exceptionCallback(env: Env): number | undefined {
  const { btf } = env;
  const info = env.input.funcInfo;
  if (btf === undefined || info === undefined || info.length < RECORD) return undefined;
  const view = new DataView(info.buffer, info.byteOffset, info.byteLength);
  const names = tagsOf(btf, view.getUint32(4, true));
  const [name] = names;
  if (name === undefined) return undefined;
  if (names.length > 1) env.reject('EINVAL', 'multiple exception callback tags for main subprog');
  const id = btf.find(name, 'func');
  const type = id === undefined ? undefined : btf.type(id);
  if (type?.kind !== 'func') {
    return env.reject('ENOENT', `exception callback '${name}' could not be found in BTF`);
  }
  if (type.linkage !== btfLinkages.global) {
    env.reject('EINVAL', `exception callback '${name}' must have global linkage`);
  }
  for (let at = 0; at + RECORD <= info.length; at += RECORD) {
    if (view.getUint32(at + 4, true) !== id) continue;
    const start = view.getUint32(at, true);
    if (start === 0) env.reject('EINVAL', 'invalid exception callback insn_off in func_info: 0');
    return start;
  }
  return env.reject('EINVAL', 'exception callback type id not found in func_info');
}

function tagsOf(btf: Btf, id: number): string[] {
  const names: string[] = [];
  for (const tagId of btf.idsOf('declTag')) {
    const tag = btf.type(tagId);
    if (tag.kind !== 'declTag' || tag.type !== id || tag.component !== -1) continue;
    if (tag.name.startsWith(TAG)) names.push(tag.name.slice(TAG.length));
  }
  return names;
}
