/**
 * The instructions of WebAssembly that generated code uses: name, byte, and what follows it in the binary
 * format (WebAssembly core specification 2.0, §5.4). Builder and text printer read this one table.
 */

/**
 * What follows the opcode: a block type, a label, a vector of labels and a default, an index into locals,
 * globals, functions or types, a memory access (log2 of its alignment and its offset), a constant, or the
 * memory indices of a bulk instruction.
 */
export type Immediate =
  | 'none'
  | 'block'
  | 'label'
  | 'labels'
  | 'local'
  | 'function'
  | 'type'
  | 'access'
  | 'i32'
  | 'i64'
  | 'bulk';

const rows = {
  unreachable: [0x00, 'none'],
  block: [0x02, 'block'],
  loop: [0x03, 'block'],
  if: [0x04, 'block'],
  else: [0x05, 'none'],
  end: [0x0b, 'none'],
  br: [0x0c, 'label'],
  br_if: [0x0d, 'label'],
  br_table: [0x0e, 'labels'],
  return: [0x0f, 'none'],
  call: [0x10, 'function'],
  call_indirect: [0x11, 'type'],
  return_call_indirect: [0x13, 'type'],
  drop: [0x1a, 'none'],
  select: [0x1b, 'none'],
  'local.get': [0x20, 'local'],
  'local.set': [0x21, 'local'],
  'local.tee': [0x22, 'local'],
  'i32.load': [0x28, 'access'],
  'i64.load': [0x29, 'access'],
  'i32.load8_s': [0x2c, 'access'],
  'i32.load8_u': [0x2d, 'access'],
  'i32.load16_s': [0x2e, 'access'],
  'i32.load16_u': [0x2f, 'access'],
  'i64.load8_s': [0x30, 'access'],
  'i64.load8_u': [0x31, 'access'],
  'i64.load16_s': [0x32, 'access'],
  'i64.load16_u': [0x33, 'access'],
  'i64.load32_s': [0x34, 'access'],
  'i64.load32_u': [0x35, 'access'],
  'i32.store': [0x36, 'access'],
  'i64.store': [0x37, 'access'],
  'i32.store8': [0x3a, 'access'],
  'i32.store16': [0x3b, 'access'],
  'i64.store8': [0x3c, 'access'],
  'i64.store16': [0x3d, 'access'],
  'i64.store32': [0x3e, 'access'],
  'i32.const': [0x41, 'i32'],
  'i64.const': [0x42, 'i64'],
  'i32.eqz': [0x45, 'none'],
  'i32.eq': [0x46, 'none'],
  'i32.ne': [0x47, 'none'],
  'i32.lt_s': [0x48, 'none'],
  'i32.lt_u': [0x49, 'none'],
  'i32.gt_s': [0x4a, 'none'],
  'i32.gt_u': [0x4b, 'none'],
  'i32.le_s': [0x4c, 'none'],
  'i32.le_u': [0x4d, 'none'],
  'i32.ge_s': [0x4e, 'none'],
  'i32.ge_u': [0x4f, 'none'],
  'i64.eqz': [0x50, 'none'],
  'i64.eq': [0x51, 'none'],
  'i64.ne': [0x52, 'none'],
  'i64.lt_s': [0x53, 'none'],
  'i64.lt_u': [0x54, 'none'],
  'i64.gt_s': [0x55, 'none'],
  'i64.gt_u': [0x56, 'none'],
  'i64.le_s': [0x57, 'none'],
  'i64.le_u': [0x58, 'none'],
  'i64.ge_s': [0x59, 'none'],
  'i64.ge_u': [0x5a, 'none'],
  'i32.add': [0x6a, 'none'],
  'i32.sub': [0x6b, 'none'],
  'i32.mul': [0x6c, 'none'],
  'i32.div_s': [0x6d, 'none'],
  'i32.div_u': [0x6e, 'none'],
  'i32.rem_s': [0x6f, 'none'],
  'i32.rem_u': [0x70, 'none'],
  'i32.and': [0x71, 'none'],
  'i32.or': [0x72, 'none'],
  'i32.xor': [0x73, 'none'],
  'i32.shl': [0x74, 'none'],
  'i32.shr_s': [0x75, 'none'],
  'i32.shr_u': [0x76, 'none'],
  'i32.rotl': [0x77, 'none'],
  'i64.add': [0x7c, 'none'],
  'i64.sub': [0x7d, 'none'],
  'i64.mul': [0x7e, 'none'],
  'i64.div_s': [0x7f, 'none'],
  'i64.div_u': [0x80, 'none'],
  'i64.rem_s': [0x81, 'none'],
  'i64.rem_u': [0x82, 'none'],
  'i64.and': [0x83, 'none'],
  'i64.or': [0x84, 'none'],
  'i64.xor': [0x85, 'none'],
  'i64.shl': [0x86, 'none'],
  'i64.shr_s': [0x87, 'none'],
  'i64.shr_u': [0x88, 'none'],
  'i64.rotl': [0x89, 'none'],
  'i32.wrap_i64': [0xa7, 'none'],
  'i64.extend_i32_s': [0xac, 'none'],
  'i64.extend_i32_u': [0xad, 'none'],
  'i32.extend8_s': [0xc0, 'none'],
  'i32.extend16_s': [0xc1, 'none'],
  'i64.extend8_s': [0xc2, 'none'],
  'i64.extend16_s': [0xc3, 'none'],
  'i64.extend32_s': [0xc4, 'none'],
  'memory.copy': [0xfc, 'bulk'],
  'memory.fill': [0xfc, 'bulk'],
} as const satisfies Record<string, readonly [byte: number, immediate: Immediate]>;

export type OpName = keyof typeof rows;
export const opcodes: Readonly<Record<OpName, readonly [byte: number, immediate: Immediate]>> = rows;

type WithImmediate<I extends Immediate> = {
  [N in OpName]: (typeof rows)[N][1] extends I ? N : never;
}[OpName];
/** Instructions that stand alone. */
export type PlainOp = Exclude<WithImmediate<'none'>, 'else' | 'end'>;
export type AccessOp = WithImmediate<'access'>;

/** Names by byte, for the printer. */
export const opNames: readonly (OpName | undefined)[] = (() => {
  const names: (OpName | undefined)[] = [];
  for (const name of Object.keys(rows) as OpName[]) names[rows[name][0]] = name;
  return names;
})();

/** What follows the prefix byte, and how many indices of memories follow that. */
export const bulk = {
  'memory.copy': { subcode: 0x0a, memories: 2 },
  'memory.fill': { subcode: 0x0b, memories: 1 },
} as const;
export type BulkOp = keyof typeof bulk;

/** Value types, and the block type of a block without a result. */
export const valueTypes = { i32: 0x7f, i64: 0x7e } as const;
export type ValueType = keyof typeof valueTypes;
export const NO_RESULT = 0x40;
