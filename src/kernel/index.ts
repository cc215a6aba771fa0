export { type Engine, interpreter, jit } from '../vm/index.ts';
export { BPFFS_ROOT, BpfFs, type Pinnable } from './bpffs.ts';
export { type Credentials, root } from './credentials.ts';
export {
  type Device,
  type Devices,
  type Received,
  type Sent,
  tcxActions,
  type XdpActionName,
  xdpActions,
} from './devices.ts';
export { EmbeddedKernel, type KernelOptions, type SpawnOptions } from './kernel.ts';
export { Process } from './process.ts';
export { formatTraceLine, TracePipe } from './trace-pipe.ts';
export type { SysEnterEvent, SysExitEvent, TracepointEvents, TracepointName } from './tracepoint-table.ts';
export type { Tracepoints } from './tracepoints.ts';
