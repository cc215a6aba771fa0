/**
 * `skep/linux`: the running Linux kernel with the library around it, as `Kernel` is the embedded one. Node.js
 * on Linux only, with the optional package koffi, and with the rights that bpf(2) asks for.
 */
import { LinuxSystem } from './linux/index.ts';
import { KernelHandle } from './user/index.ts';

export { LinuxSystem };

export class LinuxKernel extends KernelHandle {
  /**
   * Nothing is asked of the kernel yet: without the rights, the first call says so.
   * @throws {SkepError} 'no-linux' on another system or processor, 'no-koffi' where koffi is missing
   */
  constructor() {
    super(new LinuxSystem());
  }
}
