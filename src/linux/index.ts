/**
 * The running Linux kernel as a `System`, by bpf(2) through the optional package koffi. Node.js only.
 */
export { LinuxSystem } from './system.ts';
