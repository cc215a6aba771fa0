/**
 * Colours, only where a person looks: on a terminal, and not with NO_COLOR (https://no-color.org).
 */
export type Style = Readonly<Record<'good' | 'bad' | 'strong' | 'faint', (text: string) => string>>;

const codes = { good: '32', bad: '31', strong: '1', faint: '2' } as const;

export function styleFor(stream: { isTTY?: boolean }): Style {
  const on = stream.isTTY === true && (process.env['NO_COLOR'] ?? '') === '';
  const paint = (code: string) => (text: string) => (on ? `\x1b[${code}m${text}\x1b[0m` : text);
  return {
    good: paint(codes.good),
    bad: paint(codes.bad),
    strong: paint(codes.strong),
    faint: paint(codes.faint),
  };
}
