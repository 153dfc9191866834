/** Of `wasi:filesystem/types.error-code`, what this host answers. */
export type FilesystemErrorCode =
  | 'bad-descriptor'
  | 'busy'
  | 'exist'
  | 'insufficient-space'
  | 'invalid'
  | 'is-directory'
  | 'name-too-long'
  | 'no-entry'
  | 'not-directory'
  | 'not-empty'
  | 'not-permitted'
  | 'quota'
  | 'read-only'
  | 'unsupported';
