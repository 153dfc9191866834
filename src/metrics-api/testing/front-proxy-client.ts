/** A front proxy as an API server has one, for tests: its CA, its client certificate, and requests with it. */
import 'reflect-metadata';
import { request } from 'node:https';

import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** PEM. */
export interface ClientCertificate {
  readonly certificate: string;
  readonly key: string;
}

export class FrontProxy {
  readonly caCertificate: string;
  readonly #keys: CryptoKeyPair;
  readonly #issuer: x509.X509Certificate;

  static async make(): Promise<FrontProxy> {
    const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const issuer = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'CN=front-proxy-ca',
      keys,
      signingAlgorithm: ALGORITHM,
      ...validity(),
      extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    });
    return new FrontProxy(keys, issuer);
  }

  private constructor(keys: CryptoKeyPair, issuer: x509.X509Certificate) {
    this.#keys = keys;
    this.#issuer = issuer;
    this.caCertificate = issuer.toString('pem');
  }

  async client(commonName: string): Promise<ClientCertificate> {
    const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const certificate = await x509.X509CertificateGenerator.create({
      subject: `CN=${commonName}`,
      issuer: this.#issuer.subject,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: ALGORITHM,
      ...validity(),
      extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])],
    });
    const pkcs8 = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
    return { certificate: certificate.toString('pem'), key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') };
  }
}

function validity(): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
}

export interface Asked {
  readonly port: number;
  /** Of the server, PEM. */
  readonly ca: string;
  readonly servername: string;
  readonly path: string;
  readonly method?: string;
  readonly client?: ClientCertificate;
  readonly headers?: Readonly<Record<string, string | string[]>>;
}

/** Over a connection of its own, so that each request shakes hands anew. */
export function ask(asked: Asked): Promise<{ status: number; body: Record<string, unknown> }> {
  const { port, ca, servername, path, method = 'GET', client, headers = {} } = asked;
  const { promise, resolve, reject } = Promise.withResolvers<{
    status: number;
    body: Record<string, unknown>;
  }>();
  const sent = request(
    {
      host: '127.0.0.1',
      port,
      ca,
      servername,
      path,
      method,
      agent: false,
      headers,
      ...(client === undefined ? {} : { cert: client.certificate, key: client.key }),
    },
    (answer) => {
      answer
        .toArray()
        .then((chunks: Buffer[]) =>
          resolve({
            status: answer.statusCode ?? 0,
            body: JSON.parse(Buffer.concat(chunks).toString('utf8')) as Record<string, unknown>,
          }),
        )
        .catch(reject);
    },
  );
  sent.once('error', reject).end();
  return promise;
}
