/**
 * What tests use of node:assert/strict, for bundles that run in a browser: the same names, which fail for the same
 * values (shim-assert.test.ts). Messages are short: whoever wants more runs the test under Node.
 */

export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

function show(value: unknown): string {
  const text = (inner: unknown): unknown => {
    if (typeof inner === 'bigint') return `${inner}n`;
    if (inner instanceof Map || inner instanceof Set) return [...inner];
    return inner === undefined ? 'undefined' : inner;
  };
  try {
    return JSON.stringify(value, (_, inner) => text(inner)) ?? String(value);
  } catch {
    return String(value);
  }
}

function check(holds: boolean, otherwise: () => string, message: string | Error | undefined): asserts holds {
  if (holds) return;
  if (message instanceof Error) throw message;
  throw new AssertionError(message === undefined ? otherwise() : `${message}: ${otherwise()}`);
}

type Pairs = readonly (readonly [unknown, unknown])[];
const keysOf = (value: object): PropertyKey[] =>
  Reflect.ownKeys(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));

/** Strict deep equality: types, prototypes and own enumerable properties, elements of maps and sets. */
function same(a: unknown, b: unknown, open: Pairs = []): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (open.some(([left, right]) => left === a && right === b)) return true;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  const inside: Pairs = [...open, [a, b]];
  if (a instanceof Map && b instanceof Map) {
    if (a.size !== b.size) return false;
    for (const [key, value] of a) if (!b.has(key) || !same(value, b.get(key), inside)) return false;
  }
  if (a instanceof Set && b instanceof Set) {
    if (a.size !== b.size) return false;
    for (const value of a) if (!b.has(value)) return false;
  }
  if (a instanceof Error && b instanceof Error && (a.message !== b.message || a.name !== b.name))
    return false;
  const keys = keysOf(a);
  if (keys.length !== keysOf(b).length) return false;
  return keys.every(
    (key) => Object.hasOwn(b, key) && same(a[key as keyof typeof a], b[key as keyof typeof b], inside),
  );
}

type Wanted = RegExp | ((error: unknown) => boolean) | (new (...args: never[]) => unknown) | object;

const isClass = (wanted: unknown): wanted is new (...args: never[]) => unknown =>
  typeof wanted === 'function' && wanted.prototype !== undefined;

function isWanted(error: unknown, wanted: Wanted): boolean {
  if (wanted instanceof RegExp) return wanted.test(String(error));
  if (isClass(wanted)) return error instanceof wanted;
  if (typeof wanted === 'function') return (wanted as (error: unknown) => boolean)(error) === true;
  if (typeof error !== 'object' || error === null) return false;
  const found = error as Record<string, unknown>;
  return Object.entries(wanted).every(([key, value]) => {
    if (value instanceof RegExp && typeof found[key] === 'string') return value.test(found[key]);
    return key in found && same(found[key], value);
  });
}

const assert = {
  ok(value: unknown, message?: string | Error): void {
    check(Boolean(value), () => `${show(value)} should hold`, message);
  },
  equal(actual: unknown, wanted: unknown, message?: string | Error): void {
    check(Object.is(actual, wanted), () => `${show(actual)} should be ${show(wanted)}`, message);
  },
  deepEqual(actual: unknown, wanted: unknown, message?: string | Error): void {
    check(same(actual, wanted), () => `${show(actual)} should be ${show(wanted)}`, message);
  },
  match(text: string, pattern: RegExp, message?: string | Error): void {
    check(pattern.test(text), () => `${show(text)} should match ${pattern}`, message);
  },
  throws(call: () => unknown, wanted?: Wanted, message?: string): void {
    let thrown: { error: unknown } | undefined;
    try {
      call();
    } catch (error) {
      thrown = { error };
    }
    if (thrown === undefined) throw new AssertionError(message ?? 'should throw');
    const { error } = thrown;
    if (wanted !== undefined) check(isWanted(error, wanted), () => `threw ${String(error)}`, message);
  },
  fail(message: string | Error = 'failed'): never {
    throw message instanceof Error ? message : new AssertionError(message);
  },
};

export default assert;
