import { once } from 'node:events';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { toErrorData } from '../errors.ts';
import { deriveServiceKey, serviceVerifier, signedHeaders } from './internal-auth.ts';
import { acceptedSecrets, authSecrets, digestOf, requestSigner } from './request-signer.ts';
import { SignatureGate, type SignatureGateOptions } from './signature-gate.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** Answers with the body that was let in, or with the code of the refusal. */
async function serve(options: Partial<SignatureGateOptions> = {}, secrets = ['new', 'old']): Promise<number> {
  const verifier = serviceVerifier('router-internal', secrets);
  if (verifier === null) throw new Error('no secrets');
  const gate = new SignatureGate({ verifier, what: 'the test', ...options });
  const server = createServer((req, res) => {
    gate.admit(req, res).then(
      ({ chunks, release }) => {
        res.end(Buffer.concat(chunks));
        release();
      },
      (error: unknown) => {
        res.statusCode = 400;
        const { code, message } = toErrorData(error);
        res.setHeader('connection', 'close');
        res.end(`${code} ${message}`);
      },
    );
  });
  servers.push(server);
  server.on('checkContinue', (req, res) => server.emit('request', req, res));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const sign = requestSigner('router-internal', 'new');

async function post(
  port: number,
  body: string,
  headers: Readonly<Record<string, string>>,
  path = '/fission-function/hello?x=1',
): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', body, headers });
  return answer.text();
}

describe('SignatureGate', () => {
  it('lets a signed request in, with its body, by the secret and the one before', async () => {
    const port = await serve();
    const path = '/fission-function/hello?x=1';
    expect(await post(port, 'hi', sign('POST', path, digestOf('hi')))).toBe('hi');
    const old = requestSigner('router-internal', 'old');
    expect(await post(port, 'hi', old('POST', path, digestOf('hi')))).toBe('hi');
  });

  it.for([
    ['nothing is signed', {}, 'has no x-fission-auth-timestamp'],
    [
      'another secret signed',
      requestSigner('router-internal', 'x')('POST', '/fission-function/hello?x=1', digestOf('hi')),
      'does not fit',
    ],
    [
      'it was signed for another channel',
      requestSigner('executor', 'new')('POST', '/fission-function/hello?x=1', digestOf('hi')),
      'does not fit',
    ],
    ['another path was signed', sign('POST', '/fission-function/other', digestOf('hi')), 'does not fit'],
    ['another query was signed', sign('POST', '/fission-function/hello', digestOf('hi')), 'does not fit'],
    ['another method was signed', sign('PUT', '/fission-function/hello?x=1', digestOf('hi')), 'does not fit'],
    ['another body was signed', sign('POST', '/fission-function/hello?x=1', digestOf('ho')), 'does not fit'],
    [
      'its clock is behind',
      signedHeaders(
        deriveServiceKey('new', 'router-internal'),
        { method: 'POST', uri: '/fission-function/hello?x=1', bodyDigest: digestOf('hi') },
        undefined,
        Date.now() - 90_000,
      ),
      's old',
    ],
    [
      'its clock is ahead',
      signedHeaders(
        deriveServiceKey('new', 'router-internal'),
        { method: 'POST', uri: '/fission-function/hello?x=1', bodyDigest: digestOf('hi') },
        undefined,
        Date.now() + 90_000,
      ),
      's ahead',
    ],
    [
      'its time is none',
      { 'x-fission-auth-timestamp': 'now', 'x-fission-auth-signature': 'ab' },
      'no time in seconds',
    ],
  ] as const)('refuses a request where %s', async ([, headers, why]) => {
    const text = await post(await serve(), 'hi', headers);
    expect(text).toMatch(/^NOT_SIGNED /);
    expect(text).toContain(why);
  });

  it('holds no more of a body than it may, announced or not', async () => {
    const port = await serve({ bodyBytes: 4 });
    const path = '/fission-function/hello?x=1';
    expect(await post(port, '1234', sign('POST', path, digestOf('1234')))).toBe('1234');
    expect(await post(port, '12345', sign('POST', path, digestOf('12345')))).toMatch(
      /BODY_TOO_LARGE.* 4 bytes/,
    );
    const client = httpRequest({
      port,
      path,
      method: 'POST',
      headers: sign('POST', path, digestOf('12345')),
    });
    client.write('12');
    client.end('345');
    const [answer] = (await once(client, 'response')) as [AsyncIterable<Buffer>];
    expect(String(Buffer.concat(await Array.fromAsync(answer)))).toMatch(/BODY_TOO_LARGE.* 4 bytes/);
  });

  it('holds no more of all bodies together than it may, and lets go of those that ended', async () => {
    const port = await serve({ heldBytes: 10 });
    const path = '/fission-function/hello?x=1';
    const slow = connect(port, '127.0.0.1');
    const fields = Object.entries(sign('POST', path, digestOf('12345678')));
    const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    slow.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\n${head}Content-Length: 8\r\nExpect: 100-continue\r\n\r\n`,
    );
    expect(String(await once(slow, 'data'))).toContain('100 Continue');
    slow.write('1234567');
    const four = sign('POST', path, digestOf('1234'));
    await expect.poll(() => post(port, '1234', four)).toMatch(/PLATFORM_BUSY/);
    slow.write('8');
    expect(String(await once(slow, 'data'))).toContain('12345678');
    slow.destroy();
    expect(await post(port, '1234', four)).toBe('1234');
  });

  it('waits no longer than it may for a body, and forgets one whose client is gone', async () => {
    const port = await serve({ idleMs: 30, heldBytes: 3 });
    const path = '/fission-function/hello?x=1';
    const client = httpRequest({
      port,
      path,
      method: 'POST',
      headers: { ...sign('POST', path), 'content-length': '5' },
    });
    client.write('12');
    const [answer] = (await once(client, 'response')) as [AsyncIterable<Buffer>];
    expect(String(Buffer.concat(await Array.fromAsync(answer)))).toMatch(/IDLE_TIMEOUT/);
    client.on('error', () => undefined);
    client.destroy();
    expect(await post(port, '123', sign('POST', path, digestOf('123')))).toBe('123');
  });
});

describe('authSecrets', () => {
  it('takes none, one or two, and refuses an empty one', () => {
    expect(authSecrets({})).toEqual({ current: null, previous: null });
    const both = { FISSION_INTERNAL_AUTH_SECRET: 'a', FISSION_INTERNAL_AUTH_SECRET_OLD: 'b' };
    expect(acceptedSecrets(authSecrets(both))).toEqual(['a', 'b']);
    expect(acceptedSecrets({ current: null, previous: 'b' })).toEqual([]);
    expect(() => authSecrets({ FISSION_INTERNAL_AUTH_SECRET: '' })).toThrow('set but empty');
  });
});
