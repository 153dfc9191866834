import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecentFunctions } from './recent-functions.ts';
import { SharedCounts } from './shared-counts.ts';
import { Slots } from './threads/slots.ts';
import { silent } from './testing/harness.ts';

let folder: string;
let counts: SharedCounts;
let slots: Slots;
let names: readonly string[];
let isComplete: boolean;
const open: RecentFunctions[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-recent-'));
  counts = new SharedCounts();
  slots = new Slots(counts);
  names = ['a', 'b', 'c', 'd'];
  isComplete = true;
});
afterEach(async () => {
  for (const each of open.splice(0)) each.close();
  await rm(folder, { recursive: true, force: true });
});

function recent(most?: number): RecentFunctions {
  const list = (): { namespace: string; name: string }[] =>
    names.map((name) => ({ namespace: 'default', name }));
  const made = new RecentFunctions({
    file: join(folder, 'served.json'),
    counts,
    functions: { list },
    isComplete: () => isComplete,
    slotOf: slots.of,
    logger: silent,
    everyMs: 3_600_000,
    ...(most === undefined ? {} : { most }),
  });
  open.push(made);
  return made;
}

/** In another thread, as calls are. */
function serve(name: string): void {
  const thread = new SharedCounts(counts.handle());
  expect(thread.tryRun(slots.of(`default/${name}`), 1)).toBe(true);
  thread.unrun(slots.of(`default/${name}`));
}

describe('the functions that were served last', () => {
  it('come first, by the look in which they were, also after a restart', () => {
    const functions = recent();
    expect(functions.keys).toEqual([]);
    serve('c');
    functions.look();
    serve('a');
    serve('d');
    functions.look();
    functions.look();
    expect(functions.keys).toEqual(['default/a', 'default/d', 'default/c']);
    serve('c');
    functions.close();
    counts = new SharedCounts();
    slots = new Slots(counts);
    const again = recent();
    expect(again.keys).toEqual(['default/c', 'default/a', 'default/d']);
    // Nothing was served: nothing is forgotten.
    again.close();
    expect(recent(2).keys).toEqual(['default/c', 'default/a']);
  });

  it('are not those that were refused a place', () => {
    const functions = recent();
    expect(counts.tryRun(slots.of('default/a'), 0)).toBe(false);
    functions.look();
    expect(functions.keys).toEqual([]);
  });

  it('are not those that are gone, once all are known', () => {
    const functions = recent();
    for (const name of names) serve(name);
    functions.look();
    isComplete = false;
    names = ['d'];
    functions.look();
    serve('d');
    functions.look();
    expect(functions.keys).toEqual(['default/d', 'default/a', 'default/b', 'default/c']);
    isComplete = true;
    names = ['d', 'b'];
    // Also where nothing was served.
    functions.look();
    expect(functions.keys).toEqual(['default/d', 'default/b']);
    functions.close();
    expect(recent().keys).toEqual(['default/d', 'default/b']);
  });

  it('are no more than so many, in a file for its owner alone', async () => {
    const functions = recent(2);
    for (const name of ['a', 'b', 'c']) {
      serve(name);
      functions.look();
    }
    const file = join(folder, 'served.json');
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(['default/c', 'default/b']);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it.each(['', '{"a":1}', '["x", 1', '[1, null]'])('are none where the file holds %j', async (text) => {
    await writeFile(join(folder, 'served.json'), text);
    expect(recent().keys).toEqual([]);
  });
});
