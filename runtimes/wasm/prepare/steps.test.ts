import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { cgiGuest } from '../p1/testing/run-cgi.ts';
import { linkCommand } from './command.ts';
import { ALL_STEPS, REWRITE_STEPS, stepsWithout, TOLD_SO } from './steps.ts';
import { PreparedGuest } from './testing/prepared-guest.ts';

const GUESTS = join(import.meta.dirname, '../../../test/guests/built');

const open: PreparedGuest[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((guest) => guest.close()));
});

describe('a component', () => {
  it.each(REWRITE_STEPS)('is prepared without %s, says so, and answers the same', async (step) => {
    const source = await readFile(join(GUESTS, 'torture.wasm'));
    const guest = await PreparedGuest.of(source, stepsWithout([step]));
    open.push(guest);
    const { mergeBlocker, resetBlocker, modules, reason } = guest.manifest;
    expect({
      mergeBlocker,
      resetBlocker,
      imported: modules.every(({ importsMemory }) => importsMemory === true),
      interruptible: modules.every(({ interruptible }) => interruptible),
      says: reason.includes(`without the interruption check: ${TOLD_SO}`),
    }).toEqual({
      mergeBlocker: step === 'merge' ? TOLD_SO : null,
      resetBlocker: { reset: TOLD_SO, 'virtual-memory': 'module0: its memory grows' }[step as string] ?? null,
      imported: step !== 'memory-import' && step !== 'merge',
      interruptible: step !== 'interruption',
      says: step === 'interruption',
    });
    for (let i = 0; i < 3; i++) expect(await guest.call()).toContain('/hello\n');
  });

  it('has all of them otherwise', async () => {
    const guest = await PreparedGuest.of(await readFile(join(GUESTS, 'torture.wasm')));
    open.push(guest);
    expect(guest.manifest).toMatchObject({
      resetBlocker: null,
      mergeBlocker: null,
      modules: [{ interruptible: true, importsMemory: true }],
    });
  });
});

describe('a command', () => {
  it('is prepared without the reset, the window of its write check, or its memory as an import', async () => {
    const wasm = await readFile(join(GUESTS, 'cgi.wasm'));
    const whole = linkCommand(wasm);
    expect(whole).toMatchObject({ blocker: null, plan: { window: {}, memory: {} } });
    expect(linkCommand(wasm, stepsWithout(['reset']))).toMatchObject({ blocker: TOLD_SO });
    expect(linkCommand(wasm, stepsWithout(['write-check']))).toMatchObject({
      blocker: null,
      plan: { window: null },
    });
    expect(linkCommand(wasm, stepsWithout(['memory-import']))).toMatchObject({ plan: { memory: null } });
    expect(linkCommand(wasm, stepsWithout(['memory-import', 'reset'])).plan.memory).toBeNull();
    expect(linkCommand(wasm, ALL_STEPS).wasm).toEqual(whole.wasm);
    expect((await (await cgiGuest(wasm)).run()).body).toBe('Hello from CGI!\n');
  });
});
