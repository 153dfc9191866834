import { describe, expect, it } from 'vitest';

import { eventually } from '../../kube/testing/eventually.ts';
import { routersOnCluster } from './testing/routers.ts';

const { backend, startRouter, deploy, slice, routed } = routersOnCluster();

describe('times of a call on a cluster', () => {
  it.each([
    // functionTimeout counts from when there is a pod; SpecializationTimeout until then.
    { starting: 30, answering: 1, podMs: 1_500, status: 200, says: 'done' },
    { starting: 1, answering: 30, podMs: null, status: 504, says: 'SpecializationTimeout' },
  ])('gives a start of $starting s and then an answer of $answering s: $status', async (given) => {
    const uid = await deploy('slow', 'python', {
      functionTimeout: given.answering,
      InvokeStrategy: {
        StrategyType: 'execution',
        ExecutionStrategy: {
          ExecutorType: 'newdeploy',
          MinScale: 0,
          MaxScale: 1,
          SpecializationTimeout: given.starting,
        },
      },
    });
    const router = await startRouter('router-1');
    await routed(router, '/slow');
    const call = fetch(`${router.url}/slow`);
    if (given.podMs !== null) {
      await new Promise((resolve) => setTimeout(resolve, given.podMs));
      const pod = await backend((_req, res) => res.end('done'));
      await slice('pod', { 'fissium.io/part': 'function', functionUid: uid }, [pod.port]);
    }
    const answer = await call;
    expect([answer.status, await answer.text()]).toEqual([
      given.status,
      expect.stringContaining(given.says) as string,
    ]);
  });

  it('does not let a pod that is there answer later than functionTimeout', async () => {
    const uid = await deploy('stuck', 'python', {
      functionTimeout: 1,
      InvokeStrategy: {
        StrategyType: 'execution',
        ExecutionStrategy: { ExecutorType: 'newdeploy', MinScale: 0, MaxScale: 1 },
      },
    });
    const router = await startRouter('router-1');
    await routed(router, '/stuck');
    const call = fetch(`${router.url}/stuck`);
    await eventually('it waits', () => router.control.loads().functions[0]?.queued === 1);
    const pod = await backend(() => undefined);
    await slice('pod', { 'fissium.io/part': 'function', functionUid: uid }, [pod.port]);
    const answer = await call;
    expect([answer.status, await answer.text()]).toEqual([504, expect.stringContaining('functionTimeout')]);
  });
});
