import { describe, expect, it } from 'vitest';
import { FissiumError } from '../errors.ts';
import { FunctionTable, type FunctionEntry, type FunctionState } from './function-table.ts';
import { limits } from './testing/resources.ts';

function entry(state: FunctionState): FunctionEntry {
  return { namespace: 'default', name: 'f', uid: 'u', limits: limits(), state };
}
const REFUSED = { phase: 'refused', error: new FissiumError('PACKAGE_REFUSED', 'no') } as const;

describe('whenSettled', () => {
  const never = new AbortController().signal;

  it('resolves at once for what is settled or not there', async () => {
    const table = new FunctionTable();
    expect(await table.whenSettled('default', 'f', never)).toBeUndefined();
    table.set(entry(REFUSED));
    expect((await table.whenSettled('default', 'f', never))?.state).toBe(REFUSED);
  });

  it('waits through a further version that is prepared', async () => {
    const table = new FunctionTable();
    table.set(entry({ phase: 'preparing' }));
    const settled = table.whenSettled('default', 'f', never);
    table.set(entry({ phase: 'preparing' }));
    table.set(entry(REFUSED));
    expect((await settled)?.state).toBe(REFUSED);
  });

  it('resolves with undefined when the function is deleted', async () => {
    const table = new FunctionTable();
    table.set(entry({ phase: 'preparing' }));
    const settled = table.whenSettled('default', 'f', never);
    table.delete('default', 'f');
    expect(await settled).toBeUndefined();
  });

  it('rejects with the reason of its signal', async () => {
    const table = new FunctionTable();
    table.set(entry({ phase: 'preparing' }));
    const controller = new AbortController();
    const settled = table.whenSettled('default', 'f', controller.signal);
    controller.abort(new Error('enough'));
    await expect(settled).rejects.toThrow('enough');
    await expect(table.whenSettled('default', 'f', controller.signal)).rejects.toThrow('enough');
  });
});

describe('subscribe', () => {
  it('tells of changes until it is ended', () => {
    const table = new FunctionTable();
    const told: string[] = [];
    const stop = table.subscribe({
      set: ({ state }) => told.push(state.phase),
      deleted: (_, name) => told.push(`deleted ${name}`),
    });
    table.set(entry(REFUSED));
    table.delete('default', 'f');
    table.delete('default', 'f');
    stop();
    table.set(entry(REFUSED));
    expect(told).toEqual(['refused', 'deleted f']);
    expect([...table.list()]).toHaveLength(1);
  });
});
