import type { ErrorCode, FissiumError } from '../../errors.ts';

/** Failures that only another spec can mend, with the word for the condition. */
const FINAL: Partial<Record<ErrorCode, string>> = {
  ARCHIVE_REFUSED: 'ArchiveRefused',
  BODY_TOO_LARGE: 'ArchiveTooLarge',
  PACKAGE_REFUSED: 'PackageRefused',
  PREPARE_TIMEOUT: 'PrepareTimeout',
  BUILD_FAILED: 'BuildFailed',
};
/** Failures that may pass: tried again, later and later. */
const PASSING: Partial<Record<ErrorCode, string>> = {
  ARCHIVE_NOT_FOUND: 'ArchiveNotFound',
  ARCHIVE_UNREACHABLE: 'ArchiveUnreachable',
  STORAGE_FULL: 'StorageFull',
  STORAGE_UNREACHABLE: 'StorageUnreachable',
  BUILDER_UNREACHABLE: 'BuilderUnreachable',
  THREAD_LOST: 'PlatformError',
  INTERNAL: 'PlatformError',
};

/** Whether nothing but another spec or another package can make this work. */
export function isFinal({ code }: FissiumError): boolean {
  return FINAL[code] !== undefined;
}

/** The word for the condition, or undefined where the failure is no fault of the package. */
export function failureReason({ code }: FissiumError): string | undefined {
  return FINAL[code] ?? PASSING[code];
}
