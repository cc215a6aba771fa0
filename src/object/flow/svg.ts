/**
 * A program's control flow as a picture: functions below each other, blocks with their instructions and the C
 * source that they come from. Green is the way of a condition that holds, red the other, blue leads up again.
 */
import { SkepError } from '../../base/errors.ts';
import type { ListedInsn } from '../listing.ts';
import type { FlowBlock, FlowFunction } from './graph.ts';
import { type Layout, layOut, type PlacedEdge, type Point } from './layout.ts';

/** Pictures with more are no help to anybody, and browsers do not show them. */
const maxBlocks = 4000;
const maxInsns = 40_000;
/** Characters of a line. */
const maxText = 96;

const char = { width: 7.2, height: 16 } as const;
const padding = 10;
const margin = 24;
const titleHeight = 30;

const style = `
svg { background: #fff; font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.title { font-weight: bold; font-size: 14px; fill: #1f2328; }
.block { fill: #f6f8fa; stroke: #8c959f; rx: 4; }
.entry { stroke: #0969da; stroke-width: 2; }
.exit { fill: #fff8c5; }
.insn { fill: #1f2328; }
.slot { fill: #8c959f; }
.source { fill: #6e5b00; font-style: italic; }
.edge { fill: none; stroke: #57606a; stroke-width: 1.4; }
.taken { stroke: #1a7f37; }
.next { stroke: #cf222e; }
.back { stroke: #0969da; }
`;

interface Line {
  readonly kind: 'source' | 'insn';
  readonly slot: string;
  readonly text: string;
}

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Text for XML, without characters that it may not have. */
function xml(text: string): string {
  const printable = text.replace(/[^\t\x20-\ud7ff\ue000-\ufffd]/g, '\ufffd');
  return printable.replace(/[&<>"]/g, (each) => escapes[each]!);
}

const cut = (text: string): string => (text.length > maxText ? `${text.slice(0, maxText - 1)}…` : text);
const round = (value: number): string => String(Math.round(value * 10) / 10);

function linesOf({ insns }: FlowBlock): Line[] {
  const lines: Line[] = [];
  let shown: ListedInsn['source'];
  for (const { slot, text, source } of insns) {
    // Several instructions in a row are of one line of C.
    if (source !== undefined && source.text !== shown?.text) {
      lines.push({ kind: 'source', slot: '', text: cut(`; ${source.text}`) });
    }
    shown = source ?? shown;
    lines.push({ kind: 'insn', slot: String(slot), text: cut(text) });
  }
  return lines;
}

const slotWidth = 6 * char.width;

function sizeOf(lines: readonly Line[]): { width: number; height: number } {
  const longest = lines.reduce((most, { text }) => Math.max(most, text.length), 8);
  return {
    width: longest * char.width + slotWidth + 2 * padding,
    height: lines.length * char.height + padding,
  };
}

function* blockMarkup(
  lines: readonly Line[],
  { x, y, width, height }: Point & { width: number; height: number },
  kind: string,
): Generator<string> {
  yield `<rect class="block${kind}" x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"/>`;
  for (const [i, { kind: lineKind, slot, text }] of lines.entries()) {
    const baseline = round(y + (i + 1) * char.height);
    if (slot !== '') {
      const right = round(x + padding + slotWidth - 2 * char.width);
      yield `<text class="slot" text-anchor="end" x="${right}" y="${baseline}">${slot}</text>`;
    }
    const left = round(x + padding + slotWidth - char.width);
    yield `<text class="${lineKind}" xml:space="preserve" x="${left}" y="${baseline}">${xml(text)}</text>`;
  }
}

function edgeMarkup({ way, isBack, points }: PlacedEdge): string {
  const kind = isBack ? ' back' : way === 'only' ? '' : ` ${way}`;
  const [first, ...rest] = points;
  let path = `M${round(first!.x)} ${round(first!.y)}`;
  let before = first!;
  for (const point of rest) {
    const middle = round((before.y + point.y) / 2);
    path +=
      isBack || before.x === point.x
        ? ` L${round(point.x)} ${round(point.y)}`
        : ` C${round(before.x)} ${middle} ${round(point.x)} ${middle} ${round(point.x)} ${round(point.y)}`;
    before = point;
  }
  const marker = isBack ? 'back' : way;
  return `<path class="edge${kind}" d="${path}" marker-end="url(#${marker})"/>`;
}

const markerColours = { only: '#57606a', taken: '#1a7f37', next: '#cf222e', back: '#0969da' } as const;

function markers(): string {
  const each = Object.entries(markerColours).map(
    ([id, colour]) =>
      `<marker id="${id}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="${colour}"/></marker>`,
  );
  return `<defs>${each.join('')}</defs>`;
}

function titleOf({ blocks, start }: FlowFunction): string {
  return blocks[0]?.insns[0]?.proto ?? `function at ${start}`;
}

/** A function's markup, at the left margin below `top`. */
function* functionMarkup(
  func: FlowFunction,
  { layout, lines, top }: { layout: Layout; lines: readonly Line[][]; top: number },
): Generator<string> {
  yield `<g transform="translate(${margin} ${round(top)})">`;
  yield `<text class="title" x="0" y="16">${xml(titleOf(func))}</text>`;
  yield `<g transform="translate(0 ${titleHeight})">`;
  for (const edge of layout.edges) yield edgeMarkup(edge);
  for (const [i, block] of layout.blocks.entries()) {
    const kind = `${i === 0 ? ' entry' : ''}${func.blocks[i]!.exits ? ' exit' : ''}`;
    yield* blockMarkup(lines[i]!, block, kind);
  }
  yield '</g></g>';
}

/**
 * The lines of an SVG document.
 * @throws {SkepError} 'too-large' for a program with more blocks than a picture can show
 */
export function svgLines(functions: readonly FlowFunction[]): string[] {
  const blocks = functions.reduce((sum, func) => sum + func.blocks.length, 0);
  const insns = functions.reduce(
    (sum, func) => sum + func.blocks.reduce((n, block) => n + block.insns.length, 0),
    0,
  );
  if (blocks > maxBlocks || insns > maxInsns) {
    throw new SkepError({
      code: 'too-large',
      message: `${blocks} blocks of ${insns} instructions are too many for a picture`,
      hint: 'write it for Graphviz: --visual dot',
    });
  }
  const body: string[] = [];
  let [top, width] = [margin, 0];
  for (const func of functions) {
    const lines = func.blocks.map(linesOf);
    const layout = layOut(func, lines.map(sizeOf));
    body.push(...functionMarkup(func, { layout, lines, top }));
    top += titleHeight + layout.height + margin;
    width = Math.max(width, layout.width, titleOf(func).length * 9);
  }
  const [w, h] = [round(width + 2 * margin), round(top)];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}">`,
    `<style>${style}</style>`,
    markers(),
    ...body,
    '</svg>',
  ];
}
