/**
 * What the verifier's messages mean: what it knew, what it needed to know, and what a program can do about it. One row
 * a message, the more special ones first. The words of the messages are Linux's; the explanations are ours.
 */

/** What a row may use of the place where the program was rejected. */
export interface Place {
  /** What a register held, in the log's words; 'something that the log does not show' where it does not. */
  readonly reg: (name: string) => string;
  /** The lines before the last one, which often have the numbers. */
  readonly details: readonly string[];
}

export interface Meaning {
  readonly knew: string;
  readonly needed: string;
  /** What usually helps. */
  readonly help?: string | undefined;
}

export interface MessageRow {
  readonly pattern: RegExp;
  readonly explain: (match: RegExpExecArray, place: Place) => Meaning;
}

const row = (pattern: RegExp, explain: MessageRow['explain']): MessageRow => ({ pattern, explain });

const one = (match: RegExpExecArray, index = 1): string => match[index] ?? '';

/** The first number after a word in the details: `value_size=16`. */
function detail({ details }: Place, name: string): string | undefined {
  for (const line of details) {
    const found = new RegExp(`(?:^|[ ,(])${name}=(-?\\w+)`).exec(line)?.[1];
    if (found !== undefined) return found;
  }
  return undefined;
}

function accessText(place: Place): string {
  const size = detail(place, 'value_size') ?? detail(place, 'mem_size') ?? detail(place, 'key_size');
  const off = detail(place, 'off');
  const bytes = detail(place, 'size');
  if (size === undefined || off === undefined || bytes === undefined) return 'the access may lie outside';
  return `an access of ${bytes} bytes at offset ${off} of something that has ${size} bytes`;
}

export const messages: readonly MessageRow[] = [
  row(/^(R\d+) !read_ok$/, (m) => ({
    knew: `on this path nothing was ever written to ${one(m)}, or a call has since made it invalid`,
    needed: `a value in ${one(m)} on every path that leads here`,
    help: 'initialise the variable where it is declared; r1 to r5 are lost in every call, so keep what you need in a local variable. For R0, return a value on every path',
  })),
  row(/^(R\d+) offset is outside of the packet$/, (m, place) => ({
    knew: `${detail(place, 'r') ?? '0'} bytes are known to be there, and ${one(m)} is used for ${detail(place, 'size') ?? 'some'} at offset ${detail(place, 'off') ?? '0'}`,
    needed: 'a comparison with data_end, on this path, that covers all bytes of the access',
    help: 'write `if (ptr + size > data_end) return …` with the very pointer that is used, and again after any call that changes the packet',
  })),
  row(/^(R\d+) bitwise operator (\S+) on pointer prohibited$/, (m, place) => ({
    knew: `${one(m)} is ${place.reg(one(m))}, a pointer`,
    needed: `a number: ${one(m, 2)} of a pointer would be an address that nobody can follow`,
    help: 'mask the offset before it is added to the pointer',
  })),
  row(/^(R\d+) 32-bit pointer arithmetic prohibited$/, (m, place) => ({
    knew: `${one(m)} is ${place.reg(one(m))}, a pointer of 64 bits`,
    needed: '64-bit arithmetic: 32 bits would cut the address',
    help: 'keep pointers in pointer types or `long`, never in `int`',
  })),
  row(/^(R\d+) invalid mem access '(\w+_or_null_?)'$/, (m, place) => ({
    knew: `${one(m)} is ${place.reg(one(m))}: it may be NULL`,
    needed: 'a check that it is not NULL, on this path, before it is used',
    help: 'write `if (!ptr) return …` right after the call that returned it',
  })),
  row(/^(R\d+) invalid mem access 'scalar'$/, (m, place) => ({
    knew: `${one(m)} is ${place.reg(one(m))}, a number and no pointer`,
    needed: 'a pointer that the verifier has followed from where it came',
    help: 'a pointer is lost when it is kept as a number, goes through a map, or was released; read other memory with bpf_probe_read_kernel() or BPF_CORE_READ()',
  })),
  row(/^(R\d+) invalid mem access '(.+)'$/, (m, place) => ({
    knew: `${one(m)} is ${place.reg(one(m))}`,
    needed: 'a pointer to memory that programs may access',
  })),
  row(/^invalid write to stack (R\d+) off=(-?\d+) size=(\d+)$/, (m) => ({
    knew: `${one(m)} points to offset ${one(m, 2)} of the stack, and ${one(m, 3)} bytes are to be written there`,
    needed: 'an offset from -512 to below 0: a program has 512 bytes of stack',
    help: 'put large variables into a map (a per-CPU array of one element) and not on the stack',
  })),
  row(/^invalid read from stack (R\d+) off=(-?\d+)(?:\+\d+)? size=(\d+)$/, (m) => ({
    knew: `${one(m)} points to offset ${one(m, 2)} of the stack, and of the ${one(m, 3)} bytes there not all were written on this path`,
    needed: 'bytes that were written before, at an offset from -512 to below 0',
    help: 'initialise the whole variable, padding included: `struct key k = {};` or __builtin_memset()',
  })),
  row(/^invalid indirect (?:read|access) (?:from|to) stack/, () => ({
    knew: 'a helper is given memory on the stack of which some bytes were never written, or which is not all on the stack',
    needed: 'every byte that the helper reads to be written before',
    help: 'initialise the whole variable, padding included: `struct key k = {};`',
  })),
  row(/^misaligned stack access off (.+) size (\d+)$/, (m) => ({
    knew: `the stack would be accessed at ${one(m)}`,
    needed: `an offset that is a multiple of ${one(m, 2)}: the stack is always accessed aligned`,
    help: 'do not pack structs that live on the stack, and copy members out with memcpy',
  })),
  row(/^misaligned (.*?)access off (.+) size (\d+)$/, (m) => ({
    knew: `the ${one(m) === '' ? 'memory ' : one(m)}would be accessed at ${one(m, 2)}`,
    needed: `an address that is a multiple of ${one(m, 3)}: alignment was asked for, or this kind of memory needs it`,
    help: 'access the bytes one by one, or align the member',
  })),
  row(/^invalid size of register (spill|fill)$/, (m) => ({
    knew: 'a pointer is on its way to or from the stack in fewer than 8 bytes',
    needed: `all 8 bytes: a pointer cannot be ${one(m) === 'spill' ? 'stored' : 'loaded'} in part`,
    help: 'keep pointers in variables of pointer type',
  })),
  row(/^(R\d+) (min|max) value is outside of the allowed memory range$/, (m, place) => ({
    knew: `${one(m)} is ${place.reg(one(m))}: at its ${one(m, 2) === 'min' ? 'least' : 'greatest'}, ${accessText(place)}`,
    needed: `every value that the offset can have to lie within, also the ${one(m, 2) === 'min' ? 'least' : 'greatest'} one`,
    help: 'compare the index with the size right before it is used, and use the same variable; or mask it: `i &= SIZE - 1`',
  })),
  row(/^(R\d+) min value is negative, either use unsigned index/, (m, place) => ({
    knew: `${one(m)} is ${place.reg(one(m))}: its offset may be negative`,
    needed: 'an offset that is not below zero',
    help: 'use an unsigned type for the index, or check `if (i < 0)` as well',
  })),
  row(/^(R\d+) min value is negative, either use unsigned or/, (m, place) => ({
    knew: `${one(m)}, a size, is ${place.reg(one(m))}: it may be negative`,
    needed: 'a size from 0 to what the memory has',
    help: 'use an unsigned type for the size and bound it: `if (len > sizeof(buf)) len = sizeof(buf);` or `len &= sizeof(buf) - 1`',
  })),
  row(/^(R\d+) unbounded memory access, (make sure|use)/, (m, place) => ({
    knew: `${one(m)} is ${place.reg(one(m))}: nothing bounds it from above`,
    needed: 'an upper bound for the offset or the size',
    help: 'compare it with a constant, on this path, before it is used; the compiler may have compared a copy: `barrier_var(i)` or a mask helps',
  })),
  row(/^(R\d+) invalid zero-sized read/, (m, place) => ({
    knew: `${one(m)}, a size, is ${place.reg(one(m))}: it may be 0`,
    needed: 'a size of at least 1 for this helper',
    help: 'return before the call where the size is 0',
  })),
  row(/^invalid bpf_context access off=(-?\d+) size=(\d+)/, (m) => ({
    knew: `${one(m, 2)} bytes at offset ${one(m)} of the context are to be accessed`,
    needed: 'a field that programs of this type may access like this, in a size that it has',
    help: 'the field may be for other program or attach types, for reading only, or for its full size only',
  })),
  row(/^(R\d+) pointer arithmetic on (\w+_or_null_?) prohibited, null-check it first$/, (m) => ({
    knew: `${one(m)} may be NULL (${one(m, 2)})`,
    needed: 'a check that it is not NULL before anything is added to it',
    help: 'write `if (!ptr) return …` right after the call that returned it; taking the address of a member adds to it, too',
  })),
  row(/^math between (\w+) pointer and register with unbounded min value is not allowed$/, (m) => ({
    knew: `what is added to the ${one(m)} pointer may be any number, negative ones included`,
    needed: 'a number with a lower bound',
    help: 'use an unsigned type, or compare the number with a constant first',
  })),
  row(/^math between (\w+) pointer and (-?\d+) is not allowed$/, (m) => ({
    knew: `${one(m, 2)} is to be added to a ${one(m)} pointer`,
    needed: 'a number of less than 2^29 in size',
    help: 'the number is often an address or a flag that was not meant as an offset',
  })),
  row(/^value (-?\d+) makes (\w+) pointer be out of bounds$/, (m) => ({
    knew: `the offset of the ${one(m, 2)} pointer would reach ${one(m)}`,
    needed: 'an offset of less than 2^29 in size',
    help: 'bound the number before it is added',
  })),
  row(/^(R\d+) pointer arithmetic with (\S+) operator prohibited$/, (m, place) => ({
    knew: `${one(m)} is ${place.reg(one(m))}, a pointer`,
    needed: `addition or subtraction: ${one(m, 2)} makes no sense with an address`,
    help: 'compute the offset first, then add it to the pointer',
  })),
  row(/^dereference of modified (\w+) ptr (R\d+) off=(-?\d+) disallowed$/, (m) => ({
    knew: `${one(m, 2)} is a ${one(m)} pointer that was moved by ${one(m, 3)}`,
    needed: 'the pointer as it came: the offset belongs into the access itself',
    help: 'the compiler moved it: use the member at a constant place, or add `volatile` to the access',
  })),
  row(/^negative offset (\w+) ptr (R\d+) off=(-?\d+) disallowed$/, (m) => ({
    knew: `${one(m, 2)} is a ${one(m)} pointer that was moved back by ${one(m, 3)}`,
    needed: 'a pointer that was not moved before its object',
  })),
  row(/^variable (\w+) access var_off=(.+) disallowed$/, (m) => ({
    knew: `a ${one(m)} pointer was moved by a number that is not known: ${one(m, 2)}`,
    needed: 'an offset that is a constant',
    help: 'read the fields by name, not by a computed index',
  })),
  row(/^(R\d+) pointer \+= pointer prohibited$/, (m, place) => ({
    knew: `both operands are pointers; ${one(m)} is ${place.reg(one(m))}`,
    needed: 'a pointer and a number',
    help: 'subtract pointers to get a distance; add numbers only',
  })),
  row(/^(R\d+) pointer (\S+) pointer prohibited$/, (m, place) => ({
    knew: `both operands are pointers; ${one(m)} is ${place.reg(one(m))}`,
    needed: 'numbers, or a pointer and a number that is added or subtracted',
  })),
  row(/^(R\d+) pointer arithmetic on (\w+) prohibited$/, (m) => ({
    knew: `${one(m)} is a pointer of kind ${one(m, 2)}`,
    needed: 'a kind of pointer that may be moved: this one is used as it is',
    help: 'compare with data_end, and move data instead',
  })),
  row(/^(R\d+) tried to subtract pointer from scalar$/, (m) => ({
    knew: `${one(m)} is a number, and what is subtracted is a pointer`,
    needed: 'the pointer on the left',
  })),
  row(/^(R\d+) subtraction from stack pointer prohibited$/, (m) => ({
    knew: `${one(m)} points to the stack, and a number that is not a constant is subtracted`,
    needed: 'an offset that is added',
    help: 'index arrays on the stack from their start',
  })),
  row(/^(R\d+) type=(\S+) expected=(.+)$/, (m, place) => ({
    knew: `${one(m)}, an argument of the call, is ${place.reg(one(m))} (${one(m, 2)})`,
    needed: `one of: ${one(m, 3)}`,
    help: one(m, 2).includes('or_null')
      ? 'check the pointer for NULL first'
      : 'check the order of the arguments; memory for a helper is on the stack, in a map or in a packet',
  })),
  row(/^(.+) would lead to reference leak$/, (m) => ({
    knew: `at ${one(m)}, something that was acquired on this path was not given back`,
    needed: 'that every reference is released on every path, also where an error is returned early',
    help: 'call bpf_sk_release(), bpf_ringbuf_submit() or bpf_ringbuf_discard(), or the release function of what was acquired',
  })),
  row(/^Unreleased reference id=(\d+) alloc_insn=(\d+)/, (m) => ({
    knew: `what instruction ${one(m, 2)} acquired is still held`,
    needed: 'that every reference is released on every path',
  })),
  row(/^BPF_ATOMIC (stores|loads) (?:into|from) (R\d+) (\S+) is not allowed$/, (m) => ({
    knew: `${one(m, 2)} is a pointer of kind ${one(m, 3)}`,
    needed: 'memory that atomic operations work on: map values, the stack, arenas',
  })),
  row(/^(R\d+) must be referenced when passed to release function$/, (m, place) => ({
    knew: `${one(m)} is ${place.reg(one(m))}: nothing that this program acquired`,
    needed: 'what an acquiring call returned, and not yet released',
    help: 'release what was looked up, once; sockets of the context are not yours to release',
  })),
  row(/^(R\d+) leaks addr (?:as return value|into (?:helper function|map|mem|ctx|packet))/, (m) => ({
    knew: `${one(m)} holds a pointer, an address of the kernel`,
    needed: 'a number, or a loader with CAP_PERFMON: others may not learn addresses',
  })),
  row(
    /^(R\d+) (?:stack )?pointer arithmetic (?:of map value )?goes out of range, prohibited for !root/,
    (m) => ({
      knew: `${one(m)} would leave its object, if only while it is not used`,
      needed: 'a pointer that stays within its object at every step, or a loader with CAP_PERFMON',
    }),
  ),
  row(/^invalid bpf_ld_imm64 insn$/, () => ({
    knew: 'a load of 64 bits takes two slots, and the second is missing or not empty',
    needed: 'a second slot of zeros but for its immediate',
  })),
  row(/^jump out of range from insn (\d+) to (-?\d+)$/, (m) => ({
    knew: `instruction ${one(m)} jumps to ${one(m, 2)}`,
    needed: 'a target within the same function',
  })),
  row(/^unreachable insn (\d+)$/, (m) => ({
    knew: `no path leads to instruction ${one(m)}`,
    needed: 'a program without dead instructions at load',
    help: 'compilers leave none; in hand-written code, remove it',
  })),
  row(/^last insn is not an exit or jmp$/, () => ({
    knew: 'the last instruction of the function goes on to the next',
    needed: 'an exit or a jump at the end of each function',
    help: 'often a function that does not return, or __builtin_unreachable()',
  })),
  row(/^same insn cannot be used with different pointers$/, () => ({
    knew: 'one instruction accesses memory through pointers of different kinds, depending on the path',
    needed: 'one kind for each instruction, for the kernel rewrites it',
    help: 'keep the accesses in separate branches; the compiler merged them: asm volatile("") between them helps',
  })),
  row(/^cannot pass map_type (\d+) into func (\S+)$/, (m) => ({
    knew: `the map is of type ${one(m)}`,
    needed: `a kind of map that ${one(m, 2).split('#')[0]}() works on`,
  })),
  row(/^program of this type cannot use helper (\S+)$/, (m) => ({
    knew: `${one(m).split('#')[0]}() exists`,
    needed: 'a program type (and capabilities of the loader) for which it is allowed',
    help: 'check SEC(): each program type has helpers of its own',
  })),
  row(/^(?:invalid|unknown) func (\S+)$/, (m) => ({
    knew: `the program calls ${one(m)}`,
    needed: 'a helper that this kernel has',
  })),
  row(/^cannot call GPL-restricted function from non-GPL compatible program$/, () => ({
    knew: 'the licence of the program is not compatible with the GPL',
    needed: 'a GPL-compatible licence for this helper',
    help: 'char LICENSE[] SEC("license") = "GPL"; or "Dual BSD/GPL", "Dual MIT/GPL"',
  })),
  row(/^At program exit the register R0 has (.+) should have been in \[(-?\d+), (-?\d+)\]$/, (m) => ({
    knew: `the return value is ${one(m)}`,
    needed: `a number from ${one(m, 2)} to ${one(m, 3)}, for this type and attach type`,
    help: 'return constants; a number from elsewhere must be compared first',
  })),
  row(/^At program exit the register R0 is not a known value \((.+)\)$/, (m) => ({
    knew: `the return value is ${one(m)}`,
    needed: 'a number',
  })),
  row(/^fd (-?\d+) is not pointing to valid bpf_map$/, (m) => ({
    knew: `the program names fd ${one(m)}`,
    needed: 'the fd of a map: the loader puts it there',
    help: 'load the object with a loader that creates its maps, and keep the fds open',
  })),
  row(/^(?:infinite loop detected at insn (\d+)|back-edge from insn \d+ to (\d+))$/, (m) => ({
    knew: `the loop at instruction ${one(m) || one(m, 2)} comes round with nothing changed`,
    needed: 'a loop that ends: its counter must change and be compared with a bound',
    help: 'use bpf_for(), bpf_loop() or may_goto for bounds that are not known',
  })),
  row(/^BPF program is too large\. Processed (\d+) insn$/, (m) => ({
    knew: `${one(m)} instructions were followed along all paths`,
    needed: 'at most 1,000,000',
    help: 'loops with branches inside multiply: use bpf_loop() or bpf_for(), or split the program by tail calls and global functions',
  })),
  row(/^The sequence of (\d+) jumps is too complex\.$/, (m) => ({
    knew: `${one(m)} branches wait to be explored`,
    needed: 'fewer branches at once',
    help: 'use bpf_loop(), or move parts into global functions',
  })),
  row(/^combined stack size of (\d+) calls is (\d+)\. Too large$/, (m) => ({
    knew: `${one(m)} nested calls need ${one(m, 2)} bytes of stack together`,
    needed: 'at most 512 bytes',
    help: 'put large variables into a per-CPU array, or make functions inline so that they share',
  })),
  row(/^helper call might sleep in a non-sleepable prog$/, () => ({
    knew: 'the program may not sleep',
    needed: 'a program that may: a section whose name ends in .s, such as lsm.s or fentry.s',
  })),
  row(/^(R\d+) does not point to a readonly map'$/, (m) => ({
    knew: `${one(m)} points to a value that may change`,
    needed: 'a string in a read-only, frozen map',
    help: 'declare it `static const char fmt[] = "…";` so that it is in .rodata',
  })),
  row(/^(?:tracing|socket filter) progs cannot use (\S+) yet$/, (m) => ({
    knew: `a map of the program has a ${one(m)} in its value`,
    needed: 'a program type that may use one',
  })),
  row(/^div by zero$|^division by zero$/, () => ({
    knew: 'the divisor is the constant 0',
    needed: 'another divisor',
  })),
  row(/^write into map forbidden/, () => ({
    knew: 'the map is read-only for programs (BPF_F_RDONLY_PROG): .rodata, or its flags say so',
    needed: 'a map that may be written',
    help: 'a `const` variable lives in .rodata: drop the const, or do not write it',
  })),
  row(/^(R\d+) invalid (\w+) access off=(-?\d+) size=(\d+)$/, (m) => ({
    knew: `${one(m, 4)} bytes at offset ${one(m, 3)} of a ${one(m, 2)} are to be read`,
    needed: 'a field of it, in a size that it has',
    help: 'a socket of a packet shows less than a full one: call bpf_sk_fullsock() or bpf_tcp_sock() first',
  })),
  row(/^(R\d+) cannot write into (\S+)$/, (m) => ({
    knew: `${one(m)} points to something of kind ${one(m, 2)}, which is for reading`,
    needed: 'memory that programs may write',
  })),
  row(/^(R\d+) pointer comparison prohibited$/, (m) => ({
    knew: `${one(m)} is a pointer`,
    needed: 'a comparison of numbers, or a loader with CAP_PERFMON: others may not learn addresses',
  })),
  row(/^(R\d+) variable stack access prohibited for !root, var_off=(.+) off=/, (m) => ({
    knew: `${one(m)} points into the stack at an offset that varies: ${one(m, 2)}`,
    needed: 'an offset that is a constant, or a loader with CAP_PERFMON',
  })),
  row(/^the call stack of (\d+) frames is too deep/, (m) => ({
    knew: `${one(m)} functions call one another`,
    needed: 'at most 8 frames',
    help: 'make functions inline, or end in a tail call',
  })),
  row(/^invalid access to map value pointer, value_size=(\d+) off=(\d+)$/, (m) => ({
    knew: `the address of byte ${one(m, 2)} of a value of ${one(m)} bytes is taken`,
    needed: 'an offset within the value of an array of one element',
  })),
  row(/^get_local_storage\(\) doesn't support non-zero flags$/, () => ({
    knew: 'the second argument of bpf_get_local_storage() may be other than 0',
    needed: 'the constant 0',
  })),
  row(/^(BPF_\w+|BPF_LD_\[ABS\|IND\]|BPF_JMP\/JMP32) uses reserved fields$/, (m) => ({
    knew: `an instruction (${one(m)}) sets a field that it does not have`,
    needed: 'zero in all fields that the instruction does not use',
  })),
  row(/^(R\d+) is invalid$/, (m) => ({
    knew: `${one(m)} is no register that programs may name`,
    needed: 'R0 to R10',
  })),
  row(/^unknown opcode (\w+)$/, (m) => ({
    knew: `0x${one(m)} is no instruction`,
    needed: 'an instruction that this kernel knows',
    help: 'compile for an older instruction set: clang -mcpu=v3',
  })),
  row(/^frame pointer is read only$/, () => ({
    knew: 'r10 is the frame pointer',
    needed: 'another register to be written',
  })),
];
