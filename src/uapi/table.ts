/** Looking rows of a table of facts up by number. */

/** A function from `id` to the name of the row that has it. */
export function namesById<T extends Record<string, { readonly id: number }>>(
  table: T,
): (id: number) => (keyof T & string) | undefined {
  const names = new Map(Object.entries(table).map(([name, row]) => [row.id, name as keyof T & string]));
  return (id) => names.get(id);
}
