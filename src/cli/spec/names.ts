/** Names of Fission's application specifications. */

/** Folder of the specifications, where no --specdir says otherwise. */
export const SPEC_DIR = 'specs';
/** Holds the deployment's name and uid. */
export const CONFIG_FILE = 'fission-deployment-config.yaml';
/** Patterns of files in the folder that are no specifications. */
export const IGNORE_FILE = '.specignore';
/** Annotations of what was made by `spec apply`: only that is ever changed or deleted by it. */
export const UID_ANNOTATION = 'fission-uid';
export const NAME_ANNOTATION = 'fission-name';
/** How a Package refers to an ArchiveUploadSpec. */
export const ARCHIVE_SCHEME = 'archive://';
