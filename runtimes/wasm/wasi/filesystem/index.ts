/** `wasi:filesystem`: the function's files and a private `/tmp`, all in memory. */
import type { IoError } from '../io-error.ts';
import type { GuestState } from '../state.ts';
import { Descriptor } from './descriptor.ts';
import type { FilesystemErrorCode } from './error-code.ts';

export { Descriptor, DirectoryEntryStream } from './descriptor.ts';
export type { FilesystemErrorCode } from './error-code.ts';
export { packFiles, type FileToPack } from './file-set.ts';
export { GuestVolume, tmpQuotaBytes } from './volume.ts';

/** One folder, the root: everything that the guest may see lies in it. */
export function getDirectories(state: GuestState): [Descriptor, string][] {
  state.check();
  const { volume } = state;
  return [[new Descriptor(state, volume, volume.root, { read: true, write: false }), '/']];
}

export function filesystemErrorCode(state: GuestState, error: IoError): FilesystemErrorCode | undefined {
  state.check();
  return error.filesystemErrorCode;
}
