/**
 * What `skep btf dump` is asked for, in bpftool's words: `file FILE`, `id N`, `prog PROG` or `map MAP` with a part, and
 * `format raw|c`. A program or map is given by `id N`, `name NAME` or `pinned PATH`, or by one of these without the
 * word; a FILE also.
 */
import { usageError } from './args.ts';
import { Words } from './words.ts';

const formats = ['raw', 'c'] as const;
const parts = ['key', 'value', 'kv', 'all'] as const;
export type Format = (typeof formats)[number];
export type Part = (typeof parts)[number];

export interface BtfRequest {
  readonly source:
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'id'; readonly id: number }
    /** `named` is an id, a path that starts with /, or a name. */
    | { readonly kind: 'prog'; readonly named: string }
    | { readonly kind: 'map'; readonly named: string; readonly part: Part };
  readonly format: Format;
}

const usage = 'skep btf dump file FILE | id N | map MAP [key|value|kv|all] | prog PROG [format raw|c]';

function sourceOf(words: Words): BtfRequest['source'] {
  const kind = words.left > 1 ? words.take(['file', 'id', 'prog', 'map']) : undefined;
  switch (kind) {
    case 'id':
      return { kind, id: words.number('id') };
    case 'prog':
      return { kind, named: words.object('program') };
    case 'map':
      return { kind, named: words.object('map'), part: words.take(parts) ?? 'kv' };
    default:
      return { kind: 'file', path: words.next('FILE') };
  }
}

/** @throws {SkepError} 'usage' */
export function parseBtfRequest(operands: readonly string[]): BtfRequest {
  const words = new Words(operands, { command: 'skep btf dump', usage });
  let source: BtfRequest['source'] | undefined;
  let format: Format = 'raw';
  while (words.left > 0) {
    if (words.left > 1 && words.take(['format']) !== undefined) {
      const name = words.next('format');
      const known = formats.find((each) => each === name);
      if (known === undefined) throw usageError(`there is no format '${name}'`, 'formats are raw and c');
      format = known;
    } else if (source === undefined) {
      source = sourceOf(words);
    } else {
      throw usageError(`unexpected argument '${words.next('')}' for 'skep btf dump'`, usage);
    }
  }
  if (source === undefined) throw usageError("'skep btf dump' wants a FILE", usage);
  return { source, format };
}
