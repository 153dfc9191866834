/** `wasi:filesystem`: there is none. Nothing is preopened, so no guest can ever hold a descriptor. */
import type { IoError } from './io-error.ts';
import { err, type Result } from './result.ts';
import type { GuestState } from './state.ts';

/** Of `error-code`, what this host answers. */
export type FilesystemErrorCode = 'bad-descriptor';

type Refused = Result<never, FilesystemErrorCode>;

/** The operations of `descriptor` that give a result; all are refused. */
const DESCRIPTOR_OPERATIONS = [
  'readViaStream',
  'writeViaStream',
  'appendViaStream',
  'advise',
  'syncData',
  'getFlags',
  'getType',
  'setSize',
  'setTimes',
  'read',
  'write',
  'readDirectory',
  'sync',
  'createDirectoryAt',
  'stat',
  'statAt',
  'setTimesAt',
  'linkAt',
  'openAt',
  'readlinkAt',
  'removeDirectoryAt',
  'renameAt',
  'symlinkAt',
  'unlinkFileAt',
  'metadataHash',
  'metadataHashAt',
] as const;

function refuse(): Refused {
  return err('bad-descriptor');
}

/** Linked against, never made. */
export class Descriptor {
  static {
    for (const operation of DESCRIPTOR_OPERATIONS) {
      Object.defineProperty(Descriptor.prototype, operation, { value: refuse });
    }
  }

  isSameObject(): boolean {
    return false;
  }
}

/** Linked against, never made. */
export class DirectoryEntryStream {
  readDirectoryEntry(): Refused {
    return refuse();
  }
}

export function getDirectories(state: GuestState): [Descriptor, string][] {
  state.check();
  return [];
}

/** No error of this host came from a file. */
export function filesystemErrorCode(state: GuestState, _error: IoError): FilesystemErrorCode | undefined {
  state.check();
  return undefined;
}
