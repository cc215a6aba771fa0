export * from './elf.ts';
export * from './executable.ts';
export * from './usdt.ts';
export * from './write.ts';
