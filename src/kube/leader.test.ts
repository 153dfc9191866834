import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { KubeClient } from './client.ts';
import { LEADER_ADDRESS, LEADER_LEASE, LeaderElection } from './leader.ts';
import { type KubeObject, RESOURCES } from './resources.ts';
import { eventually } from './testing/eventually.ts';
import { SmallApi } from './testing/small-api.ts';

let api: SmallApi;
let client: KubeClient;
let elections: LeaderElection[];

beforeEach(async () => {
  api = await SmallApi.start();
  client = api.client();
  elections = [];
});

afterEach(async () => {
  await Promise.all(elections.map((election) => election.close()));
  client.close();
  await api.close();
});

function candidate(identity: string): LeaderElection {
  const election = new LeaderElection({
    client,
    logger: pino({ level: 'silent' }),
    namespace: 'fission',
    identity,
    address: `http://${identity}:8080`,
    leaseDurationMs: 1000,
    renewDeadlineMs: 150,
    retryMs: 20,
  });
  elections.push(election);
  return election;
}

const holder = async (): Promise<string | undefined> => {
  const lease = await client.get<KubeObject & { spec: { holderIdentity: string } }>(
    RESOURCES.leases,
    'fission',
    LEADER_LEASE,
  );
  return `${lease.spec.holderIdentity} ${lease.metadata.annotations?.[LEADER_ADDRESS]}`;
};

describe('LeaderElection', () => {
  it('lets one lead, who says where it is, and the other when it gives way', async () => {
    const one = candidate('one');
    await one.acquire();
    expect(await holder()).toBe('one http://one:8080');
    const two = candidate('two');
    const second = two.acquire();
    const before = api.count('PUT', LEADER_LEASE);
    await eventually('renewals', () => api.count('PUT', LEADER_LEASE) > before + 3);
    expect(two.leading).toBe(false);
    await one.close();
    await second;
    expect(one.leading).toBe(false);
    expect(await holder()).toBe('two http://two:8080');
  });

  it('gives up when it cannot renew in time, before another may take the lease', async () => {
    const one = candidate('one');
    await one.acquire();
    const two = candidate('two');
    api.intercept = ({ method, body }) =>
      method === 'PUT' && JSON.stringify(body).includes('"one"') ? { status: 500 } : undefined;
    const second = two.acquire().then(() => one.leading);
    await one.lost();
    expect(one.leading).toBe(false);
    // When the other leads, the first has known for long that it does not.
    expect(await second).toBe(false);
  });
});
