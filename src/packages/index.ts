export { ARCHIVE_LIMIT_BYTES, ArchiveStore, type PutOptions, type StoredArchive } from './archives.ts';
export { ArchiveFetcher, type ArchiveFetcherOptions, archiveUrl } from './fetcher.ts';
export { createStorageHandler, type StorageHandler, type StorageServiceOptions } from './storage-service.ts';
export { SeveralModulesError, unpackWasm, type UnpackOptions, type WasmFile } from './unpack.ts';
export { PACKAGE_FILES_LIMIT_BYTES, readPackageFiles } from './package-files.ts';
