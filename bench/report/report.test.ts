import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunResult, Series } from '../../src/bench/model.ts';
import { htmlReport } from '../../src/bench/report/html.ts';
import { findChromium, screenshot } from './screenshot.ts';
import { textReport } from '../../src/bench/report/text.ts';

const RIVALS = ['fissium', 'fissium-jco', 'wasmtime', 'jco-serve', 'workerd'];
const scenario = (name: string, series: readonly Series[]) => ({
  name,
  title: `Scenario <${name}>`,
  what: 'What & why',
  method: { warmUp: 'none', rounds: 3, order: 'alternated', program: 'hello' },
  series,
  notRun: [{ rival: 'workerd', what: 'events', why: 'it has <none>' }],
  notes: ['a note'],
  published: [{ who: 'Somebody', what: 'cold', value: '58 ms', where: 'a page' }],
  loadAverageBefore: 0.1,
  loadAverageAfter: 1,
  othersBusy: 0.01,
  durationS: 10,
});
const series = (metric: string, at: Series['at'], unit: Series['unit'], scale: number): Series[] =>
  RIVALS.filter((name) => name !== 'wasmtime').map((rival, i) => ({
    rival,
    metric,
    at,
    unit,
    better: unit === 'req/s' ? 'more' : 'less',
    each: 'one',
    raw: [1, 1.3, 2].map((x) => x * scale * (i + 1)),
  }));

const RESULT: RunResult = {
  format: 1,
  command: 'npm run bench',
  startedAt: '2026-01-01T00:00:00Z',
  durationS: 100,
  quick: true,
  machine: {
    cpu: 'a CPU',
    cores: 2,
    memoryGiB: 8,
    os: 'Linux',
    node: '26',
    v8: '14',
    fissium: '0.1.0',
    commit: 'abc',
    loadAverage: 3,
    busy: 0.5,
    steal: 0,
  },
  warnings: ['BUSY MACHINE: do not publish'],
  rivals: RIVALS.map((name) => ({
    name,
    title: `The ${name} server`,
    isolation: 'a fresh instance',
    ...(name === 'wasmtime'
      ? { available: false, why: 'not in PATH' }
      : { available: true, version: '1', how: '/bin' }),
  })),
  scenarios: [
    scenario('coldstart', [
      ...series('first request of a running server', {}, 'ms', 0.3),
      ...['queue', 'specialise', 'instantiate', 'guest', 'host', 'wait', 'outside'].flatMap((part, i) =>
        ['first request', 'usual request'].flatMap((request) =>
          series(`${request}, from the receipt: ${part}`, {}, 'ms', i / 10),
        ),
      ),
      ...series('engine: mean of instantiate and answer', {}, 'ms', 0.03),
    ]),
    scenario(
      'throughput',
      [1, 16, 500]
        .flatMap((connections) => series('closed loop: answers', { connections }, 'req/s', 1000))
        .concat(
          [100, 1000, 4000, 4900, 8000].flatMap((rate) =>
            series('open loop: p99', { rate }, 'ms', rate / 100),
          ),
        ),
    ),
    scenario(
      'density',
      ['each its own', 'one for all'].flatMap((code) =>
        [1, 100].flatMap((functions) => series('memory', { functions, code }, 'MiB', functions * 2)),
      ),
    ),
    scenario('deploy', series('edit to answer', {}, 'ms', 400)),
  ],
};

/** What `fissium bench` writes: one function, its latencies as histograms. */
const SUBJECT: RunResult = {
  ...RESULT,
  subject: { title: 'my <function>', facts: ['GET http://localhost/fn', 'platform & version'] },
  rivals: RESULT.rivals.slice(0, 1),
  scenarios: [
    scenario(
      'throughput',
      [1, 16].map((connections) => ({
        rival: 'fissium',
        metric: 'closed loop: p50',
        at: { connections },
        unit: 'ms',
        better: 'less',
        each: 'one run',
        raw: [connections],
        detail: {
          rounds: [
            {
              buckets: [
                [0.1, 0.2, 5],
                [0.2, 0.4, 50],
                [90, 100, 1],
              ],
            },
          ],
        },
      })),
    ),
  ],
};

describe('the report', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fissium-bench-report-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('says on top that the machine was busy, and below what was not measured', () => {
    const html = htmlReport(RESULT);
    expect(html.indexOf('BUSY MACHINE')).toBeLessThan(html.indexOf('In short'));
    expect(html).toContain('not in PATH');
    expect(html).toContain('it has &lt;none&gt;');
    expect(html).not.toMatch(/<script|NaN|undefined|Infinity/);
    const text = textReport(RESULT);
    expect(text.indexOf('BUSY MACHINE')).toBeLessThan(10);
    expect(text).toContain('not found: The wasmtime server: not in PATH');
    expect(text).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('of one function has its facts and no comparison', () => {
    const html = htmlReport(SUBJECT);
    expect(html).toContain('<h1>Fissium: my &lt;function&gt;</h1>');
    expect(html).toContain('platform &amp; version');
    expect(html).not.toMatch(/Who is compared|In short|<script|NaN|undefined|Infinity/);
    const text = textReport(SUBJECT);
    expect(text).toContain('my <function>; GET http://localhost/fn');
    expect(text).not.toMatch(/against each rival|not measured: there|NaN|undefined/);
  });

  // Said in the test's own title where there is no browser.
  const browser = findChromium();
  it.skipIf(browser === null)(
    `is drawn by a browser without loading anything, light and dark (${browser ?? 'no Chromium or no playwright-core found'})`,
    async () => {
      const html = join(folder, 'report.html');
      await writeFile(html, htmlReport(RESULT));
      const backgrounds = new Set<string>();
      for (const scheme of ['light', 'dark'] as const) {
        const png = join(folder, `${scheme}.png`);
        const found = await screenshot(html, png, scheme);
        expect(found).toMatchObject({
          requests: [],
          complaints: [],
          charts: 9,
          cutOff: [],
          overlaps: [],
          sideways: false,
          title: 'Fissium benchmarks',
        });
        expect((await stat(png)).size).toBeGreaterThan(20_000);
        backgrounds.add(found.background);
      }
      expect(backgrounds.size).toBe(2);
    },
  );

  it.skipIf(browser === null)('of one function is drawn too', async () => {
    const html = join(folder, 'subject.html');
    await writeFile(html, htmlReport(SUBJECT));
    expect(await screenshot(html, join(folder, 'subject.png'), 'dark')).toMatchObject({
      complaints: [],
      charts: 1,
      cutOff: [],
    });
  });

  it.skipIf(browser === null)('fits a telephone', async () => {
    const html = join(folder, 'narrow.html');
    await writeFile(html, htmlReport(RESULT));
    const found = await screenshot(html, join(folder, 'narrow.png'), 'light', { width: 375 });
    expect(found).toMatchObject({ sideways: false, overlaps: [], cutOff: [] });
    // Charts keep a size at which their text can be read, and are moved sideways.
    expect(found.smallestText).toBeGreaterThan(9);
  });
});
