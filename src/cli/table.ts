/**
 * Aligned tables: numbers to the right, text to the left, two spaces between columns.
 */
import type { Style } from './style.ts';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** A cell, or one with a colour that does not count for its width. */
export type Cell = string | { readonly text: string; readonly style: keyof Style };

/** The lines of a table. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  style: Style,
): string[] {
  const widths = columns.map(({ title }, column) =>
    Math.max(title.length, ...rows.map((row) => textOf(row[column]).length)),
  );
  const line = (cells: readonly (Cell | undefined)[]): string =>
    columns
      .map((column, i) => {
        const cell = cells[i];
        const padding = ' '.repeat((widths[i] as number) - textOf(cell).length);
        const text = typeof cell === 'object' ? style[cell.style](cell.text) : textOf(cell);
        return column.align === 'right' ? padding + text : text + padding;
      })
      .join('  ')
      .trimEnd();
  const titles = columns.map(({ title }): Cell => ({ text: title, style: 'strong' }));
  return [line(titles), ...rows.map(line)];
}

function textOf(cell: Cell | undefined): string {
  return typeof cell === 'object' ? cell.text : (cell ?? '');
}
