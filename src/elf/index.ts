export * from './elf.ts';
