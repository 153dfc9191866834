import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';

import { hostCallCheck } from '../../auth/host-calls.ts';
import { deriveServiceKey } from '../../auth/internal-auth.ts';
import { requestSigner } from '../../auth/request-signer.ts';
import { routersOnCluster } from './testing/routers.ts';

const { backend, startRouter, deploy, slice, hosts, introduce, routed } = routersOnCluster();

describe('signatures of a router on a cluster', () => {
  it('signs what it hands on and takes only what is signed, with bodies that stream', async () => {
    const uid = await deploy('pooled', 'python');
    const auth = { current: 'of this installation', previous: null };
    const routers = [await startRouter('router-1', auth), await startRouter('router-2', auth)];
    await introduce(routers);
    for (const router of routers) await routed(router, '/pooled');
    const pod = await backend((req, res) => {
      req.pipe(res);
    });
    await slice('pod', { 'fissium.io/part': 'function', functionUid: uid }, [pod.port]);
    const body = 'x'.repeat(200_000);
    for (const { url } of routers) {
      const chunks = Readable.toWeb(Readable.from([Buffer.from(body)])) as unknown as ReadableStream;
      const answer = await fetch(`${url}/pooled?a=1`, {
        method: 'POST',
        body: chunks,
        duplex: 'half',
      } as RequestInit);
      expect([answer.status, await answer.text()]).toEqual([200, body]);
    }
    expect(pod.seen).toHaveLength(2);
    for (const { headers } of pod.seen)
      expect(Object.keys(headers).join(' ')).not.toContain('x-fission-auth');
    for (const { peersPort } of routers) {
      const path = '/fission-function/default/pooled';
      const elsewhere = requestSigner('router-internal', auth.current)('GET', path);
      for (const headers of [{}, elsewhere]) {
        const refused = await fetch(`http://127.0.0.1:${peersPort}${path}`, { headers });
        expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([
          500,
          'INTERNAL',
        ]);
      }
    }
  });

  it('signs what it sends to a Wasm host, with bodies that are there and bodies that stream', async () => {
    await deploy('hello', 'wasm');
    const auth = { current: 'next', previous: 'before' };
    const router = await startRouter('router-1', auth);
    await routed(router, '/hello');
    const check = hostCallCheck([deriveServiceKey('before', 'wasm-host', 'default')]);
    const host = await backend((req, res) => {
      const header = (name: string): string | undefined => req.headers[name]?.toString();
      try {
        check?.({ header });
      } catch (error) {
        res.writeHead(500).end(String(error));
        return;
      }
      req.pipe(res);
    });
    await hosts('hello', [host.port]);
    expect((await fetch(`${router.url}/hello?a=%20b`)).status).toBe(200);
    const whole = await fetch(`${router.url}/hello`, { method: 'POST', body: 'whole' });
    expect(await whole.text()).toBe('whole');
    const body = Readable.toWeb(Readable.from([Buffer.from('streams')])) as unknown as ReadableStream;
    const streamed = await fetch(`${router.url}/hello`, {
      method: 'POST',
      body,
      duplex: 'half',
    } as RequestInit);
    expect(await streamed.text()).toBe('streams');
    expect(host.seen).toHaveLength(3);
  });
});
