import { posix, sep } from 'node:path';

import { RequestError } from './request-error.ts';

/** A path below a folder that is shared with other containers. @throws RequestError where it would leave it */
export function below(folder: string, name: string, what: string): string {
  const clean = posix.normalize(name.replaceAll(sep, '/')).replace(/\/+$/, '');
  const leaves = clean === '' || clean === '.' || clean.startsWith('/') || /^\.\.(\/|$)/.test(clean);
  if (leaves || clean.includes('\0') || clean.includes('\\')) {
    throw new RequestError(
      400,
      `${what} must be a relative path that stays inside, but is ${JSON.stringify(name)}`,
    );
  }
  return posix.join(folder, clean);
}
