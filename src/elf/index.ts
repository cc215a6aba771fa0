export * from './elf.ts';
export * from './executable.ts';
export * from './write.ts';
