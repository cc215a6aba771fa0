/**
 * Where an unsigned range and a tnum have one value in common, that is the value (the last part of
 * __update_reg64_bounds). A range such as [1, 4096] of a multiple of 4096 is what no deduction of
 * bounds from bits sees.
 */
import { smear, W_MASK, W_UMAX, W_UMIN, W_VALUE } from './words.ts';

/** A qword: the successor that `successor` found. */
const next = new Uint32Array(2);

/**
 * The smallest value above z = `low, high` of the tnum at word `t`; its largest where there is none, its smallest
 * where z is below all. Let d be the highest known bit in which z differs from the tnum. Where z lacks a one
 * there, the successor is z above d and the least possible from d down; else it counts up in the unknown
 * bits above d.
 */
function successor(u: Uint32Array, t: number, low: number, high: number): void {
  const value = u[t]!;
  const valueHigh = u[t + 1]!;
  const mask = u[t + 2]!;
  const maskHigh = u[t + 3]!;
  const most = (value | mask) >>> 0;
  const mostHigh = (valueHigh | maskHigh) >>> 0;
  if (high > mostHigh || (high === mostHigh && low >= most)) {
    next[0] = most;
    next[1] = mostHigh;
    return;
  }
  if (high < valueHigh || (high === valueHigh && low < value)) {
    next[0] = value;
    next[1] = valueHigh;
    return;
  }
  const belowHigh = smear((high ^ valueHigh) & ~maskHigh);
  const below = belowHigh === 0 ? smear((low ^ value) & ~mask) : -1;
  const d = below ^ (belowHigh === 0 ? below >>> 1 : -1);
  const dHigh = belowHigh ^ (belowHigh >>> 1);
  if (((value & d) | (valueHigh & dHigh)) !== 0) {
    next[0] = (low & ~below) | (value & below);
    next[1] = (high & ~belowHigh) | (valueHigh & belowHigh);
    return;
  }
  const filled = low | ~mask | below;
  const carry = filled === -1 ? 1 : 0;
  next[0] = value | ((filled + 1) & mask);
  next[1] = valueHigh | (((high | ~maskHigh | belowHigh) + carry) & maskHigh);
}

/** The one value that range and tnum of the register at word `w` allow, written to `value`; false if more. */
export function meetsInOneValue(u: Uint32Array, w: number, value: Uint32Array): boolean {
  const t = w + W_VALUE;
  const m = w + W_MASK;
  const low = u[w + W_UMIN]!;
  const high = u[w + W_UMIN + 1]!;
  const minFits = (low & ~u[m]!) === (u[t]! | 0) && (high & ~u[m + 1]!) === (u[t + 1]! | 0);
  // The common case, two neighbours: the least value with and without the lowest unknown bit.
  const lowest = u[m]! & -u[m]!;
  if (minFits && lowest !== 0 && (low & lowest) === 0) {
    const top = u[w + W_UMAX + 1]!;
    if (high < top || (high === top && (low | lowest) >>> 0 <= u[w + W_UMAX]!)) return false;
  }
  successor(u, t, low, high);
  const n0 = next[0]!;
  const n1 = next[1]!;
  const max = u[w + W_UMAX]!;
  const maxHigh = u[w + W_UMAX + 1]!;
  const beyond = n1 > maxHigh || (n1 === maxHigh && n0 > max);
  if (minFits) {
    if (!beyond) return false;
    value[0] = low;
    value[1] = high;
    return true;
  }
  const isMost = n0 === (u[t]! | u[m]!) >>> 0 && n1 === (u[t + 1]! | u[m + 1]!) >>> 0;
  if (!isMost) {
    if (beyond) return false;
    successor(u, t, n0, n1);
    if (!(next[1]! > maxHigh || (next[1]! === maxHigh && next[0]! > max))) return false;
  }
  value[0] = n0;
  value[1] = n1;
  return true;
}
