import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { digestOf, requestSigner } from '../../auth/request-signer.ts';
import { createMetrics, type PlatformMetrics } from '../../observe/index.ts';
import type { DemandReport } from '../../router/cluster/demand.ts';
import { ControllerListener } from './controller-listener.ts';

const AUTH = { current: 'of this installation', previous: 'of last year' };
const REPORT: DemandReport = {
  functions: [{ namespace: 'default', name: 'hello', uid: 'u', running: 0, queued: 3 }],
};

let metrics: PlatformMetrics;
let listener: ControllerListener;
let url: string;
let taken: DemandReport[];

beforeEach(async () => {
  metrics = createMetrics({ processMetrics: false });
  taken = [];
  listener = new ControllerListener({
    logger: pino({ level: 'silent' }),
    metrics,
    ready: () => true,
    auth: AUTH,
    demand: () => (report) => {
      taken.push(report);
      return Promise.resolve();
    },
  });
  url = `http://127.0.0.1:${await listener.listen('127.0.0.1', 0)}`;
});
afterEach(async () => {
  await listener.close();
  metrics.close();
});

async function demand(body: string, headers: Readonly<Record<string, string>>): Promise<Response> {
  return fetch(`${url}/v1/demand`, { method: 'POST', body, headers });
}

describe("the controller's port with a secret", () => {
  it('takes what a router signed, by the secret and the one before', async () => {
    const body = JSON.stringify(REPORT);
    for (const secret of [AUTH.current, AUTH.previous]) {
      const headers = requestSigner('executor', secret)('POST', '/v1/demand', digestOf(body));
      expect((await demand(body, headers)).status).toBe(202);
    }
    expect(taken).toEqual([REPORT, REPORT]);
  });

  it('refuses what nobody signed, or not so, and says why', async () => {
    const body = JSON.stringify(REPORT);
    const sign = requestSigner('executor', AUTH.current);
    const elsewhere = requestSigner('router-internal', AUTH.current)('POST', '/v1/demand', digestOf(body));
    for (const headers of [
      {},
      elsewhere,
      sign('POST', '/v1/demand'),
      sign('GET', '/v1/demand', digestOf(body)),
    ]) {
      const answer = await demand(body, headers);
      expect(answer.status).toBe(401);
      expect(((await answer.json()) as { message: string }).message).toContain("the controller's port");
    }
    expect(taken).toEqual([]);
  });

  it('answers health and metrics to everybody, and a body that is too long not at all', async () => {
    for (const path of ['/healthz', '/readyz', '/metrics'])
      expect((await fetch(url + path)).status).toBe(200);
    const long = 'x'.repeat(5 * 1024 * 1024);
    const headers = requestSigner('executor', AUTH.current)('POST', '/v1/demand', digestOf(long));
    expect((await demand(long, headers)).status).toBe(413);
  });
});
