/** What holds the archives of a storage service. */
import type { Readable } from 'node:stream';

import type { SpooledArchive } from '../archives.ts';
import type { ArchiveId } from './archive-id.ts';

export interface ArchiveInfo {
  readonly id: ArchiveId;
  readonly sizeBytes: number;
  /** When it was stored last, milliseconds since 1970. */
  readonly storedMs: number;
}

/** A folder or a bucket. What `put` resolved with is there after a crash; nothing half written is ever given. */
export interface ArchiveStorage {
  /** Fission's `X-FISSION-STORAGETYPE`. */
  readonly type: 'local' | 's3';
  /** Fission's `X-FISSION-BUCKET`. */
  readonly bucket?: string;
  /** Where uploads are written while they come. */
  readonly spoolFolder: string;
  /** Stores what was spooled, and takes its file away, also where that fails. @throws FissiumError STORAGE_FULL */
  put(id: ArchiveId, spooled: SpooledArchive): Promise<void>;
  find(id: ArchiveId): Promise<ArchiveInfo | undefined>;
  /** @throws FissiumError ARCHIVE_NOT_FOUND */
  read(id: ArchiveId): Promise<Readable>;
  /** Removes it unless it was stored, or stored again, since; says whether it did. @default thanMs whenever that was */
  remove(id: ArchiveId, thanMs?: number): Promise<boolean>;
  list(): AsyncIterable<ArchiveInfo>;
}
