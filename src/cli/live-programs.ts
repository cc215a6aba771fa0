/**
 * Finding a program of a kernel that was there before: by its id, its name or the path of a pin.
 */
import { SkepError } from '../base/errors.ts';
import { BpfError } from '../uapi/errno.ts';
import { type KernelHandle, Program } from '../user/index.ts';

/**
 * The program that `wanted` means; its caller closes it. A name has to be that of one program.
 * @throws {SkepError} 'no-program' where there is none, or several
 */
export function findProgram(kernel: KernelHandle, wanted: string): Program {
  if (wanted.startsWith('/')) {
    const handle = kernel.openPinned(wanted);
    if (handle instanceof Program) return handle;
    handle.close();
    throw new SkepError({
      code: 'no-program',
      message: `${wanted} is not a program: it is a ${handle.what}`,
    });
  }
  if (/^\d+$/.test(wanted)) return kernel.programById(Number(wanted));
  const found = kernel.programIds().flatMap((id) => programNamed(kernel, id, wanted));
  const [program, ...others] = found;
  if (program !== undefined && others.length === 0) return program;
  for (const each of found) each.close();
  throw new SkepError({
    code: 'no-program',
    message:
      program === undefined
        ? `the kernel has no program '${wanted}'`
        : `several programs are named '${wanted}'`,
    hint: 'a program is also found by its id or its pin',
  });
}

/** Programs come and go between the list of ids and a look at one. */
function programNamed(kernel: KernelHandle, id: number, name: string): Program[] {
  try {
    const program = kernel.programById(id);
    if (program.name === name) return [program];
    program.close();
    return [];
  } catch (error) {
    if (error instanceof BpfError && error.errno === 'ENOENT') return [];
    throw error;
  }
}
