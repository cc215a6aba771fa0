/**
 * What tests use of node:test, for bundles that run in a browser: `test` collects, `runTests` runs all that was
 * collected, one after the other.
 */

type Body = () => void | Promise<void>;

/** How a test ended: `skipped` with its reason, `failed` with what was thrown. */
export interface Outcome {
  readonly name: string;
  readonly skipped?: string;
  readonly failed?: string;
}

const collected: { name: string; skip: string | undefined; body: Body }[] = [];

export function test(name: string, options: { readonly skip?: string }, body: Body): void {
  collected.push({ name, skip: options.skip, body });
}

async function outcomeOf({ name, skip, body }: (typeof collected)[number]): Promise<Outcome> {
  if (skip !== undefined) return { name, skipped: skip };
  try {
    await body();
    return { name };
  } catch (error) {
    return { name, failed: error instanceof Error ? (error.stack ?? String(error)) : String(error) };
  }
}

export async function runTests(): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const one of collected.splice(0)) outcomes.push(await outcomeOf(one));
  return outcomes;
}
