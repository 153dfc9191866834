import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DeployedFunction } from './host.ts';
import { hoarder, type Way, WAYS } from './testing/hoarders.ts';
import { call, request, TestHost } from './testing/host.ts';

let host: TestHost;
let neighbour: DeployedFunction;
beforeAll(async () => {
  host = await TestHost.start(1);
  neighbour = await host.deploy('hello.wasm');
});
afterAll(() => host.close());

const hello = async (): Promise<string> => (await call(neighbour, '/')).body;

const ALL = Object.keys(WAYS) as Way[];
/** Over jco's engine a hundred thousand calls take seconds: there the limit of CPU time is met before this cap. */
const OVER_JCO = ALL.filter((way) => way !== 'bodies written byte by byte');

it.each([...ALL.map((way) => ['component', way] as const), ...OVER_JCO.map((way) => ['jco', way] as const)])(
  'with the engine %s a guest that hoards %s is ended, and its neighbours in the thread go on',
  async (engine, way) => {
    const fn = await host.deploy(await hoarder(way), { engine });
    const hoarding = call(fn, '/').catch((error: unknown) => error);
    expect(await hello()).toBe('Hello, world!\n');
    expect(await hoarding).toMatchObject({
      code: 'GUEST_TRAPPED',
      message: expect.stringMatching(/at once|more than|poll was called with 1000000/) as unknown,
    });
    expect(await hello()).toBe('Hello, world!\n');
    await fn.close();
  },
);

it.each([
  ['fields with many small entries', 30_000],
  ['bodies written in large parts', 120],
] as const)('many that hold %s below their own cap share one, and the modest go on', async (way, rounds) => {
  const fn = await host.deploy(await hoarder(way, rounds));
  const abort = new AbortController();
  const hoarding = Array.from({ length: 60 }, () =>
    fn.invoke(request('/', { signal: abort.signal })).then(
      () => 'answered',
      (error: { code: string }) => error.code,
    ),
  );
  // Those that are refused end at once; the others sit on what they have.
  expect(await Promise.race(hoarding)).toBe('PLATFORM_BUSY');
  for (let i = 0; i < 20; i++) expect(await hello()).toBe('Hello, world!\n');
  abort.abort();
  const ends = await Promise.all(hoarding);
  expect(new Set(ends)).toEqual(new Set(['PLATFORM_BUSY', 'CLIENT_GONE']));
  // What they held is there again for others, once the thread has seen them end.
  const again = async (): Promise<string> => {
    const next = new AbortController();
    const one = fn.invoke(request('/', { signal: next.signal })).then(
      () => 'answered',
      (error: { code: string }) => error.code,
    );
    expect(await hello()).toBe('Hello, world!\n');
    next.abort();
    return one;
  };
  await expect.poll(again, { timeout: 20_000 }).toBe('CLIENT_GONE');
  await fn.close();
});
