import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ResolvedCors } from '../api/index.ts';
import { FissiumError } from '../errors.ts';
import { answer, atOnce, startRouter, whole, type Harness } from './testing/harness.ts';

let harness: Harness;
beforeEach(async () => {
  harness = await startRouter();
});
afterEach(async () => {
  await harness.close();
});

const CORS: ResolvedCors = {
  allowOrigins: ['https://app.example'],
  allowMethods: [],
  allowHeaders: ['X-Token'],
  exposeHeaders: ['X-Total'],
  allowCredentials: true,
  maxAgeSeconds: 600,
};

function deploy(cors: Partial<ResolvedCors> | null, methods = ['GET', 'POST']): void {
  harness.deploy(
    'f',
    ({ method }) =>
      answer({
        headers: [
          ['Access-Control-Allow-Origin', 'https://guest.example'],
          ['Vary', 'Accept'],
        ],
        body: method,
      }),
    { route: { methods, cors: cors === null ? null : { ...CORS, ...cors } } },
  );
}

function preflight(origin: string, method = 'POST'): ReturnType<Harness['ask']> {
  return harness.ask('/f', {
    method: 'OPTIONS',
    headers: { Origin: origin, 'Access-Control-Request-Method': method },
  });
}

describe('a preflight', () => {
  it('is answered by the router for an allowed origin', async () => {
    deploy({});
    const got = await preflight('https://app.example');
    expect(got.status).toBe(204);
    expect(got.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example',
      'access-control-allow-methods': 'GET, POST',
      'access-control-allow-headers': 'X-Token',
      'access-control-allow-credentials': 'true',
      'access-control-max-age': '600',
      vary: 'Origin',
    });
    expect(got.text).toBe('');
  });

  it('is refused for any other origin, also where the list is empty', async () => {
    deploy({});
    expect((await preflight('https://evil.example')).status).toBe(403);
    deploy({ allowOrigins: [] });
    expect((await preflight('https://app.example')).status).toBe(403);
  });

  it('is answered for a method that the route does not take', async () => {
    deploy({ allowMethods: ['GET'] });
    const got = await preflight('https://app.example', 'DELETE');
    expect([got.status, got.headers['access-control-allow-methods']]).toEqual([204, 'GET']);
  });

  it('allows any origin by name of "*"', async () => {
    deploy({ allowOrigins: ['*'], allowCredentials: false });
    const got = await preflight('https://any.example');
    expect(got.headers['access-control-allow-origin']).toBe('*');
    expect(got.headers.vary).toBeUndefined();
  });

  it('never joins "*" with credentials', async () => {
    deploy({ allowOrigins: ['*'] });
    expect((await preflight('https://any.example')).status).toBe(403);
  });

  it('reaches a function whose trigger has no corsConfig but takes OPTIONS', async () => {
    deploy(null, ['GET', 'OPTIONS']);
    expect((await preflight('https://any.example')).text).toBe('OPTIONS');
  });

  it('gets no permission where nobody configured it', async () => {
    deploy(null);
    const got = await preflight('https://any.example');
    expect([got.status, got.headers['access-control-allow-origin']]).toEqual([204, undefined]);
  });
});

describe('an answer', () => {
  it('carries what the trigger allows instead of what the function says', async () => {
    deploy({});
    const got = await harness.ask('/f', { headers: { Origin: 'https://app.example' } });
    expect(got.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example',
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': 'X-Total',
      vary: 'Accept, Origin',
    });
  });

  it('says nothing to other origins, but reaches them', async () => {
    deploy({});
    const got = await harness.ask('/f', { headers: { Origin: 'https://evil.example' } });
    expect([got.status, got.headers['access-control-allow-origin']]).toEqual([200, undefined]);
  });

  it('is the function’s own without a corsConfig', async () => {
    deploy(null);
    expect((await harness.ask('/f')).headers['access-control-allow-origin']).toBe('https://guest.example');
  });

  it('of the router itself can be read by the page as well', async () => {
    harness.deploy(
      'f',
      () => {
        throw new FissiumError('GUEST_TRAPPED', 'unreachable');
      },
      { route: { cors: CORS } },
    );
    const got = await harness.ask('/f', { headers: { Origin: 'https://app.example' } });
    expect([got.status, got.headers['access-control-allow-origin']]).toEqual([502, 'https://app.example']);
  });
});

describe('a corsConfig with what no header may have', () => {
  it.for(['whole', 'streamed'] as const)(
    'fails the request instead of splitting its answer: %s',
    async (kind) => {
      const cors = { ...CORS, exposeHeaders: ['X-Total\r\nX-Evil: 1'] };
      const route = { cors, methods: ['GET'] };
      if (kind === 'whole')
        harness.deploy('f', { phase: 'ready', invoker: atOnce(() => whole('hi')) }, { route });
      else harness.deploy('f', () => answer({ body: 'hi' }), { route });
      const failed = await harness.ask('/f', { headers: { Origin: 'https://app.example' } });
      expect(failed.status).toBe(500);
      expect(failed.headers['x-evil']).toBeUndefined();
      expect(failed.headers['access-control-allow-origin']).toBe('https://app.example');
    },
  );
});
