export * from './elf.ts';
export * from './executable.ts';
