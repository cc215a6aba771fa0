/** What the examples print with: headings, aligned tables, bars; colour only on a terminal. */

const colourful = process.stdout.isTTY === true && (process.env['NO_COLOR'] ?? '') === '';
const paint = (code: number) => (text: string) => (colourful ? `\x1b[${code}m${text}\x1b[0m` : text);

export const bold = paint(1);
export const dim = paint(2);
export const red = paint(31);
export const green = paint(32);
export const yellow = paint(33);
export const cyan = paint(36);

const width = 96;

// biome-ignore lint/suspicious/noControlCharactersInRegex: colours take no room
const colours = /\x1b\[\d+m/g;
const shownLength = (text: string): number => text.replace(colours, '').length;

// A reader that has seen enough (`| head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

export function print(...lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`${line === '' ? '' : `  ${line}`}\n`);
}

export function heading(number: number, title: string): void {
  const rule = '─'.repeat(width - title.length - 5);
  process.stdout.write(`\n${cyan(`${number}`)}  ${bold(title)} ${dim(rule)}\n\n`);
}

/** A quotation, each line behind a bar. */
export function quote(lines: readonly string[]): void {
  print(...lines.map((line) => `${dim('│')} ${line}`));
}

/** A table; titles that start with '>' are of columns whose cells go to the right. */
export function table(titles: readonly string[], rows: readonly (readonly string[])[]): void {
  const right = titles.map((title) => title.startsWith('>'));
  const names = titles.map((title) => title.replace(/^>/, ''));
  const widths = names.map((name, i) =>
    Math.max(name.length, ...rows.map((row) => shownLength(row[i] ?? ''))),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => {
        const room = ' '.repeat((widths[i] ?? 0) - shownLength(cell));
        return right[i] ? room + cell : cell + room;
      })
      .join('   ')
      .trimEnd();
  print(line(names.map(dim)), ...rows.map(line));
}

/** A bar of at most `room` characters for `value` of `most`; something that is not 0 shows. */
export function bar(value: number, most: number, room: number, block = '█'): string {
  return block.repeat(value === 0 ? 0 : Math.max(1, Math.round((value / most) * room)));
}

/** `{ protocol: 6, port: 80 }` */
export function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object' || value === null) return String(value);
  const members = Object.entries(value).map(([name, member]) => `${name}: ${show(member)}`);
  return `{ ${members.join(', ')} }`;
}
