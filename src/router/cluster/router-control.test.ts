import { describe, expect, it } from 'vitest';

import { RESOURCES } from '../../kube/index.ts';
import { LEADER_ADDRESS, LEADER_LEASE } from '../../kube/leader.ts';
import { eventually } from '../../kube/testing/eventually.ts';
import { routersOnCluster } from './testing/routers.ts';

const { put, backend, startRouter, deploy, slice, hosts, introduce, routed } = routersOnCluster();

describe('a router on a cluster', () => {
  it("calls Wasm hosts by the function's name, with Fission's headers, and says what it has to do", async () => {
    const host = await backend((req, res) => {
      req.pipe(res.writeHead(201, { 'x-answer': 'yes' }));
    });
    const uid = await deploy('hello', 'wasm');
    await hosts('hello', [host.port]);
    const router = await startRouter('router-1');
    await routed(router, '/hello');
    const answer = await fetch(`${router.url}/hello?a=1`, { method: 'POST', body: 'a body' });
    expect([answer.status, answer.headers.get('x-answer'), await answer.text()]).toEqual([
      201,
      'yes',
      'a body',
    ]);
    const [request] = host.seen;
    expect(request?.url).toBe('/fission-function/default/hello/?a=1');
    expect(request?.headers['x-fission-function-uid']).toBe(uid);
    expect(request?.headers['x-fission-full-url']).toBe('/hello?a=1');
    expect(request?.headers.host).toBe(new URL(router.url).host);
    const loads = router.control.loads();
    expect(loads.functions).toMatchObject([{ uid, strategy: 'poolmgr', running: 0, queued: 0 }]);
    expect(loads.endpoints).toMatchObject([{ pod: 'default/hosts-hello-0', running: 0 }]);
  });

  it('goes to another host where one does not take the connection, with the body whole', async () => {
    const host = await backend((req, res) => {
      req.pipe(res);
    });
    await deploy('hello', 'wasm');
    const closed = await backend(() => undefined);
    await closed.close();
    await hosts('hello', [closed.port, host.port]);
    const router = await startRouter('router-1');
    await routed(router, '/hello');
    const body = 'x'.repeat(100_000);
    for (let i = 0; i < 8; i++) {
      const answer = await fetch(`${router.url}/hello`, { method: 'POST', body: body + i });
      expect(await answer.text()).toBe(body + i);
    }
  });

  it('has a call wait where nothing runs the function, tells the leader, and goes on when a pod is there', async () => {
    const reports: unknown[] = [];
    const leader = await backend((req, res) => {
      void (async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk);
        reports.push(JSON.parse(Buffer.concat(chunks).toString()));
        res.writeHead(202).end();
      })();
    });
    await put(RESOURCES.leases, {
      metadata: {
        namespace: 'fission',
        name: LEADER_LEASE,
        annotations: { [LEADER_ADDRESS]: `http://127.0.0.1:${leader.port}` },
      },
    });
    const uid = await deploy('scaled', 'python', {
      InvokeStrategy: {
        StrategyType: 'execution',
        ExecutionStrategy: { ExecutorType: 'newdeploy', MinScale: 0, MaxScale: 1 },
      },
    });
    const router = await startRouter('router-1');
    await routed(router, '/scaled');
    const answers = [1, 2, 3].map((n) => fetch(`${router.url}/scaled?n=${n}`));
    await eventually('three that wait', () => router.control.loads().functions[0]?.queued === 3);
    await eventually('a report', () => JSON.stringify(reports).includes('"queued":3'));
    expect(reports.at(-1)).toEqual({
      functions: [{ namespace: 'default', name: 'scaled', uid, running: 0, queued: 3 }],
    });
    const pod = await backend((req, res) => {
      res.end(req.url);
    });
    await slice('pod', { 'fissium.io/part': 'function', functionUid: uid }, [pod.port]);
    const texts = await Promise.all(answers.map(async (answer) => (await answer).text()));
    // The function's own pods see its own paths.
    expect(texts).toEqual(['/?n=1', '/?n=2', '/?n=3']);
  });

  it("hands calls of a pool's function to the router that has its pods, once", async () => {
    const uid = await deploy('pooled', 'python');
    const routers = [await startRouter('router-1'), await startRouter('router-2')];
    await introduce(routers);
    for (const router of routers) await routed(router, '/pooled');
    const waitingAt = (): number[] => routers.map(({ control }) => control.loads().functions[0]?.queued ?? 0);
    const calls = Array.from({ length: 6 }, (_, n) => fetch(`${routers[n % 2]?.url}/pooled`));
    await eventually('all at one router', () => Math.max(...waitingAt()) === 6);
    expect(Math.min(...waitingAt())).toBe(0);
    let most = 0;
    let now = 0;
    const pod = await backend((_req, res) => {
      most = Math.max(most, ++now);
      setTimeout(() => {
        now--;
        res.end('done');
      }, 5);
    });
    // Pods are reached at the runtimes' own port; a slice of the function's stands for one here.
    await slice('pod', { 'fissium.io/part': 'function', functionUid: uid }, [pod.port]);
    const texts = await Promise.all(calls.map(async (call) => (await call).text()));
    expect(texts).toEqual(Array.from({ length: 6 }, () => 'done'));
    // requestsPerPod is 1, over both routers.
    expect(most).toBe(1);
  });
});
