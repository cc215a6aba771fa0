/** The rights of a new fd, from BPF_F_RDONLY and BPF_F_WRONLY (bpf_get_file_flag). */
import type { OpenMode } from '../fd-table.ts';
import type { Call } from './call.ts';

const F_RDONLY = 1 << 3;
const F_WRONLY = 1 << 4;
/** BPF_OBJ_FLAG_MASK */
export const ACCESS_MASK = F_RDONLY | F_WRONLY;

export function fileMode(call: Call, flags: number): OpenMode {
  if ((flags & ACCESS_MASK) === ACCESS_MASK) throw call.fail('EINVAL', 'both BPF_F_RDONLY and BPF_F_WRONLY');
  return { read: (flags & F_WRONLY) === 0, write: (flags & F_RDONLY) === 0 };
}
