/** The server's certificates: its own CA, and a leaf that is renewed before it expires. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { CertificateFiles, Validity } from './certificates.ts';
import { makeSecureFolder, readIfThere, writeSecureFile } from './secure-files.ts';

/** All as PEM. */
export interface ServerIdentity extends CertificateFiles {
  readonly caCertificate: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const CA_DAYS = 3650;
const LEAF_DAYS = 365;
/** A leaf with less left than this is replaced. */
const RENEW_DAYS = 30;
/** So that a client whose clock is a little behind takes a new certificate. */
const BACKDATE_MS = 5 * 60 * 1000;

/**
 * The identity kept in `folder` (made if missing), valid for all of the hosts. A CA that is near its end is
 * replaced too, so whoever trusts it reads the new kubeconfig.
 */
export async function loadServerIdentity(
  folder: string,
  hosts: readonly string[],
  now = new Date(),
): Promise<ServerIdentity> {
  await makeSecureFolder(folder);
  const ca =
    (await loadPair(folder, 'ca', (found) => outlives(found, now, LEAF_DAYS))) ?? (await makeCa(folder, now));
  const issuer = new X509Certificate(ca.certificate);
  const leaf =
    (await loadPair(folder, 'server', (found) => {
      const covers = hosts.every(
        (host) => (isIP(host) === 0 ? found.checkHost(host) : found.checkIP(host)) !== undefined,
      );
      return covers && found.verify(issuer.publicKey) && outlives(found, now, RENEW_DAYS);
    })) ?? (await makeLeaf(folder, ca, hosts, now));
  return { ...leaf, caCertificate: ca.certificate };
}

/** Names and addresses that clients on this machine use, and the one that is listened on. */
export function certificateHosts(host: string): string[] {
  const anywhere = host === '0.0.0.0' || host === '::' || host === '';
  return [...new Set(['localhost', '127.0.0.1', '::1', ...(anywhere ? [] : [host])])];
}

/** The stored pair, if it is whole and good enough. */
async function loadPair(
  folder: string,
  name: string,
  accepts: (certificate: X509Certificate) => boolean,
): Promise<CertificateFiles | undefined> {
  const certificate = await readIfThere(join(folder, `${name}.crt`));
  const key = await readIfThere(join(folder, `${name}.key`));
  if (certificate === undefined || key === undefined) return undefined;
  try {
    const parsed = new X509Certificate(certificate);
    // A crash between the two files leaves a pair that does not fit.
    const whole = parsed.checkPrivateKey(createPrivateKey(key));
    return whole && accepts(parsed) ? { certificate, key } : undefined;
  } catch {
    // Unreadable: made anew like a missing one.
    return undefined;
  }
}

function outlives(certificate: X509Certificate, now: Date, days: number): boolean {
  return Date.parse(certificate.validTo) - now.getTime() > days * DAY_MS;
}

function validity(now: Date, days: number): Validity {
  return {
    notBefore: new Date(now.getTime() - BACKDATE_MS),
    notAfter: new Date(now.getTime() + days * DAY_MS),
  };
}

async function makeCa(folder: string, now: Date): Promise<CertificateFiles> {
  const { createCa } = await import('./certificates.ts');
  return storePair(folder, 'ca', await createCa(validity(now, CA_DAYS)));
}

async function makeLeaf(
  folder: string,
  ca: CertificateFiles,
  hosts: readonly string[],
  now: Date,
): Promise<CertificateFiles> {
  const { createServerCertificate } = await import('./certificates.ts');
  return storePair(folder, 'server', await createServerCertificate(ca, hosts, validity(now, LEAF_DAYS)));
}

async function storePair(folder: string, name: string, pair: CertificateFiles): Promise<CertificateFiles> {
  await writeSecureFile(join(folder, `${name}.key`), pair.key);
  await writeSecureFile(join(folder, `${name}.crt`), pair.certificate);
  return pair;
}
