/** The command lines of the tools: what is wrong with one is said in a line, as the `skep` command does. */
import { SkepError } from '../src/base/errors.ts';

export function usage(message: string): SkepError {
  return new SkepError({ code: 'usage', message });
}

/**
 * An option's value as a whole number; 'Infinity' is one.
 * @throws {SkepError} for other text
 */
export function wholeNumber(text: string, option: string): number {
  const number = text === '' ? Number.NaN : Number(text);
  if (number >= 0 && (Number.isInteger(number) || number === Number.POSITIVE_INFINITY)) return number;
  throw usage(`--${option} wants a whole number, not '${text}'`);
}

/** Says what an error means to who called `tool`, and makes it fail; throws on what is a fault of the tool. */
export function complain(tool: string, error: unknown, where?: string): void {
  const isUsage = error instanceof TypeError && 'code' in error;
  if (!(error instanceof SkepError) && !isUsage) throw error;
  const line = error instanceof SkepError ? error.line : error.message;
  console.error(`${tool}: ${where === undefined ? '' : `${where}: `}${line}`);
  process.exitCode = 1;
}
