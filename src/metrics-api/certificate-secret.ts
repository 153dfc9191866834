/** The certificate with which every replica answers: made by whichever comes first, kept in a Secret. */
import { createPrivateKey, X509Certificate } from 'node:crypto';

import {
  isAlreadyExists,
  isConflict,
  isNotFound,
  type KubeClient,
  RESOURCES,
  type Secret,
} from '../kube/index.ts';

/** All as PEM. */
export interface ServingCertificate {
  readonly certificate: string;
  readonly key: string;
  readonly caCertificate: string;
}

export interface CertificateOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly secretName: string;
  /** What clients call the server. */
  readonly hosts: readonly string[];
  readonly now?: () => Date;
}

const DAY_MS = 24 * 3600 * 1000;
const CA_DAYS = 3650;
const LEAF_DAYS = 365;
/** A certificate with less left is replaced. */
const RENEW_DAYS = 30;
/** For clocks that are a little behind. */
const BACKDATE_MS = 5 * 60 * 1000;
const TRIES = 5;

/** What the Secret holds, after making it or renewing it where that is due. */
export async function servingCertificate(options: CertificateOptions): Promise<ServingCertificate> {
  for (let tries = 1; ; tries += 1) {
    const secret = await read(options);
    const held = secret === undefined ? undefined : certificateOf(secret, options);
    if (held !== undefined) return held;
    try {
      await write(options, secret);
    } catch (error) {
      // Another replica was first: what it wrote is read next.
      if (tries === TRIES || !(isAlreadyExists(error) || isConflict(error))) throw error;
    }
  }
}

async function read({ client, namespace, secretName }: CertificateOptions): Promise<Secret | undefined> {
  try {
    return await client.get<Secret>(RESOURCES.secrets, namespace, secretName);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** undefined where it is not whole, not for these names, or near its end. */
function certificateOf(
  secret: Secret,
  { hosts, now = () => new Date() }: CertificateOptions,
): ServingCertificate | undefined {
  const [certificate, key, caCertificate] = [
    field(secret, 'tls.crt'),
    field(secret, 'tls.key'),
    field(secret, 'ca.crt'),
  ];
  try {
    const leaf = new X509Certificate(certificate);
    const isGood =
      outlives(leaf, RENEW_DAYS, now()) &&
      leaf.checkPrivateKey(createPrivateKey(key)) &&
      leaf.verify(new X509Certificate(caCertificate).publicKey) &&
      hosts.every((host) => leaf.checkHost(host) !== undefined);
    return isGood ? { certificate, key, caCertificate } : undefined;
  } catch {
    return undefined;
  }
}

async function write(options: CertificateOptions, before: Secret | undefined): Promise<void> {
  const { client, namespace, secretName, hosts, now = () => new Date() } = options;
  // Takes its time to load, and is needed once a year.
  const { createCa, createServerCertificate } = await import('../apiserver/certificates.ts');
  const days = (count: number) => ({
    notBefore: new Date(now().getTime() - BACKDATE_MS),
    notAfter: new Date(now().getTime() + count * DAY_MS),
  });
  const ca = caOf(before, now()) ?? (await createCa(days(CA_DAYS)));
  const leaf = await createServerCertificate(ca, hosts, days(LEAF_DAYS));
  const data = encoded({
    'ca.crt': ca.certificate,
    'ca.key': ca.key,
    'tls.crt': leaf.certificate,
    'tls.key': leaf.key,
  });
  if (before === undefined) {
    const metadata = {
      name: secretName,
      namespace,
      labels: { 'app.kubernetes.io/managed-by': 'fissium' },
    };
    await client.create<Secret>(RESOURCES.secrets, { metadata, type: 'Opaque', data });
  } else {
    await client.replace<Secret>(RESOURCES.secrets, { ...before, data: { ...before.data, ...data } });
  }
}

/** The CA that the cluster trusts already stays for as long as it signs what is still valid. */
function caOf(secret: Secret | undefined, now: Date): { certificate: string; key: string } | undefined {
  if (secret === undefined) return undefined;
  const [certificate, key] = [field(secret, 'ca.crt'), field(secret, 'ca.key')];
  try {
    const parsed = new X509Certificate(certificate);
    const isGood = outlives(parsed, LEAF_DAYS, now) && parsed.checkPrivateKey(createPrivateKey(key));
    return isGood ? { certificate, key } : undefined;
  } catch {
    return undefined;
  }
}

function outlives({ validToDate }: X509Certificate, days: number, now: Date): boolean {
  return validToDate.getTime() - now.getTime() > days * DAY_MS;
}

function field({ data = {} }: Secret, name: string): string {
  return Buffer.from(data[name] ?? '', 'base64').toString('utf8');
}

function encoded(texts: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
  );
}
