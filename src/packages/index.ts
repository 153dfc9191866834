export { ARCHIVE_LIMIT_BYTES, ArchiveStore, type PutOptions, type StoredArchive } from './archives.ts';
export { packArtifact } from './artifact.ts';
export { extractArchive, type ExtractOptions } from './extract.ts';
export { ArchiveFetcher, type ArchiveFetcherOptions, archiveUrl, pinNameOf } from './fetcher.ts';
export {
  type ArchiveId,
  archiveIdOf,
  formatArchiveId,
  isDigest,
  parseArchiveId,
} from './storage/archive-id.ts';
export { FolderStorage } from './storage/folder-storage.ts';
export { archivesNamedBy, listNamedArchives, listUsersOf } from './storage/named-archives.ts';
export { ArchivePruner, type PrunerOptions } from './storage/pruner.ts';
export { type S3Options } from './storage/s3-client.ts';
export { S3Storage, type S3StorageOptions } from './storage/s3-storage.ts';
export { type ArchiveInfo, type ArchiveStorage } from './storage/storage.ts';
export { createStorageHandler, type StorageHandler, type StorageServiceOptions } from './storage/service.ts';
export { SeveralModulesError, unpackWasm, type UnpackOptions, type WasmFile } from './unpack.ts';
export { PACKAGE_FILES_LIMIT_BYTES, readPackageFiles } from './package-files.ts';
