import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { makeSecureFolder, readIfThere, writeSecureFile } from './secure-files.ts';

/** The token of the one user there is, kept in `folder` and made at the first call: 32 random bytes, base64url. */
export async function loadToken(folder: string): Promise<string> {
  await makeSecureFolder(folder);
  const path = join(folder, 'token');
  const known = (await readIfThere(path))?.trim();
  if (known !== undefined && known.length >= 32) return known;
  const token = randomBytes(32).toString('base64url');
  await writeSecureFile(path, `${token}\n`);
  return token;
}

export interface KubeconfigOptions {
  /** `https://127.0.0.1:6443` */
  readonly url: string;
  /** PEM. */
  readonly caCertificate: string;
  readonly token: string;
}

/** Writes a kubeconfig with one context, `fissium`, unless the file says the same already. */
export async function writeKubeconfig(path: string, options: KubeconfigOptions): Promise<void> {
  const name = 'fissium';
  const authority = Buffer.from(options.caCertificate).toString('base64');
  // Written by hand: to load a YAML library takes as long as much of a start. In quotes what may look like a number.
  const content = `apiVersion: v1
kind: Config
clusters:
  - name: ${name}
    cluster:
      server: ${options.url}
      certificate-authority-data: ${authority}
users:
  - name: ${name}
    user:
      token: ${JSON.stringify(options.token)}
contexts:
  - name: ${name}
    context:
      cluster: ${name}
      user: ${name}
      namespace: default
current-context: ${name}
`;
  if ((await readIfThere(path)) !== content) await writeSecureFile(path, content);
}
