/** What backtracking looks for: registers and stack slots whose value was relied upon, by frame. */

export const MAX_FRAMES = 8;

/** Registers and slots whose origin is looked for, by frame: a mask of registers, two words of slots. */
export class Wanted {
  frame = 0;
  readonly regs = new Int32Array(MAX_FRAMES);
  private readonly slots = new Int32Array(2 * MAX_FRAMES);

  get empty(): boolean {
    for (let i = 0; i <= this.frame; i++) if (this.regs[i] !== 0 || this.hasSlots(i)) return false;
    return true;
  }

  clear(frame: number): void {
    this.regs[frame] = this.slots[2 * frame] = this.slots[2 * frame + 1] = 0;
  }

  hasReg(reg: number): boolean {
    return ((this.regs[this.frame] as number) & (1 << reg)) !== 0;
  }

  setReg(reg: number, frame = this.frame): void {
    this.regs[frame] = (this.regs[frame] as number) | (1 << reg);
  }

  clearReg(reg: number, frame = this.frame): void {
    this.regs[frame] = (this.regs[frame] as number) & ~(1 << reg);
  }

  hasSlots(frame: number): boolean {
    return ((this.slots[2 * frame] as number) | (this.slots[2 * frame + 1] as number)) !== 0;
  }

  hasSlot(frame: number, slot: number): boolean {
    return ((this.slots[2 * frame + (slot >> 5)] as number) & (1 << (slot & 31))) !== 0;
  }

  setSlot(frame: number, slot: number): void {
    const at = 2 * frame + (slot >> 5);
    this.slots[at] = (this.slots[at] as number) | (1 << (slot & 31));
  }

  clearSlot(frame: number, slot: number): void {
    const at = 2 * frame + (slot >> 5);
    this.slots[at] = (this.slots[at] as number) & ~(1 << (slot & 31));
  }

  regText(frame: number): string {
    const names: string[] = [];
    for (let reg = 0; reg < 32; reg++) if ((this.regs[frame] as number) & (1 << reg)) names.push(`r${reg}`);
    return names.join(',');
  }

  slotText(frame: number): string {
    const names: string[] = [];
    for (let slot = 0; slot < 64; slot++) if (this.hasSlot(frame, slot)) names.push(`-${(slot + 1) * 8}`);
    return names.join(',');
  }
}
