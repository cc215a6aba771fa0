/** A rejection for people: the C line, the instruction, the verifier's words, what they mean, and the way there. */
import type { Explanation, PathStep, SourceLine } from '../verifier/explain/index.ts';
import type { Style } from './style.ts';

/** The branches nearest to the rejection that are shown. */
const BRANCHES = 12;

export function explanationLines(explanation: Explanation, style: Style): string[] {
  const { message, details, insn, text, source, meaning } = explanation;
  const lines: string[] = [];
  if (source !== undefined) lines.push(style.strong(sourceText(source)));
  if (insn !== undefined) lines.push(`insn ${insn}: ${text}`);
  lines.push(...details, style.bad(message));
  if (meaning !== undefined) {
    lines.push(`known:  ${meaning.knew}`, `needed: ${meaning.needed}`);
    if (meaning.help !== undefined) lines.push(`try:    ${meaning.help}`);
  }
  return [...lines, ...pathLines(explanation.branches, style)];
}

function pathLines(branches: readonly PathStep[], style: Style): string[] {
  if (branches.length === 0) return [];
  const shown = branches.slice(-BRANCHES);
  const lines = ['path:'];
  if (shown.length < branches.length) {
    lines.push(style.faint(`  … ${branches.length - shown.length} branches before`));
  }
  for (const step of shown) {
    const jump = `insn ${step.insn}: ${step.text}`;
    const way = step.branch === 'taken' ? 'jumps' : 'goes on';
    lines.push(step.source === undefined ? `  ${jump}: ${way}` : `  ${sourceText(step.source)}`);
    if (step.source !== undefined) lines.push(style.faint(`    ${jump}: ${way}`));
  }
  return lines;
}

function sourceText({ text, file, line }: SourceLine): string {
  return file === undefined ? text : `${file}:${line}: ${text}`;
}
