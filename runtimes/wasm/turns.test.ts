import { describe, expect, it } from 'vitest';
import { ControlBlock } from './control.ts';
import { CpuShare } from './cpu-shares.worker.ts';
import { SharedLimits } from './pool/index.ts';
import { threadMemory } from './pool/thread.ts';
import { WANTED_OFFSET } from './rewrite/grow-check.ts';
import { Turns, type GuestTurn } from './turns.worker.ts';

function busy(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

/** Holds the turn for so long, then gives way, again and again. */
async function compute(
  turn: GuestTurn,
  slices: number,
  ms: number,
  order: string[],
  name: string,
): Promise<void> {
  await turn.take();
  for (let i = 0; i < slices; i++) {
    busy(ms);
    order.push(name);
    expect(await turn.giveWay()).toBe('go');
  }
  turn.release();
}

describe('turns', () => {
  it('charge each guest for what it ran, and not for what its neighbours did', async () => {
    const turns = new Turns(new ControlBlock());
    const guests = [turns.for(1), turns.for(2), turns.for(3)];
    const before = performance.now();
    await Promise.all(guests.map((turn) => compute(turn, 5, 10, [], '')));
    const elapsed = performance.now() - before;
    const charged = guests.map(({ usedUs }) => usedUs / 1000);
    expect(charged.reduce((sum, ms) => sum + ms, 0)).toBeLessThanOrEqual(elapsed);
    // The system may run something else meanwhile, which is not charged; but never more than there was.
    for (const ms of charged) expect(ms).toBeGreaterThan(10);
  });

  it('charge a guest that gives way often for all that it ran', async () => {
    const turn = new Turns(new ControlBlock()).for(1);
    await turn.take();
    const before = process.threadCpuUsage();
    for (let slice = 0; slice < 150; slice++) {
      busy(1);
      await turn.giveWay();
    }
    turn.release();
    const { user, system } = process.threadCpuUsage(before);
    // The system counts in steps of some milliseconds; a slice is shorter.
    expect(turn.usedUs).toBeGreaterThan((user + system) * 0.7);
  });

  it('go to guests that ask for little before those that had to give way, which are not forgotten', async () => {
    const turns = new Turns(new ControlBlock());
    const order: string[] = [];
    const long = compute(turns.for(1), 4, 20, order, 'long');
    // Three of them are far below what the long one has to wait, also where each takes twice its time; all are above.
    const short = Array.from({ length: 12 }, async (_, i) => {
      const turn = turns.for(10 + i);
      await turn.take();
      busy(8);
      order.push('short');
      turn.release();
    });
    await Promise.all([long, ...short]);
    expect(order[0]).toBe('long');
    expect(order.slice(1, 4)).toEqual(['short', 'short', 'short']);
    expect(order.indexOf('long', 1)).toBeLessThan(order.lastIndexOf('short'));
  });

  it('go to functions that compute for long by what they have used, however many guests each has', async () => {
    const turns = new Turns(new ControlBlock());
    const order: string[] = [];
    const shares = [new CpuShare(4), new CpuShare(1)] as const;
    const guest = (life: number, share: CpuShare, name: string): Promise<void> =>
      compute(turns.for(life, { share }), 30, 2, order, name);
    await Promise.all([
      guest(1, shares[0], 'heavy'),
      ...[2, 3, 4].map((life) => guest(life, shares[1], 'light')),
    ]);
    expect(order).toHaveLength(120);
    // The one that is due four times as much is through before those that are due what is left.
    expect(order.lastIndexOf('heavy')).toBeLessThan(order.lastIndexOf('light'));
    // Each has been charged: by weight, what all of its guests have computed.
    const [heavy, light] = shares.map(({ usedByWeight }) => usedByWeight);
    expect(heavy).toBeGreaterThan(0);
    expect(light).toBeGreaterThan(heavy ?? 0);
  });

  it('are not had out of turn by waiting for nothing', async () => {
    const turns = new Turns(new ControlBlock());
    const order: string[] = [];
    const shares = [new CpuShare(4), new CpuShare(1)] as const;
    const evades = async (life: number): Promise<void> => {
      const turn = turns.for(life, { share: shares[1] });
      for (let i = 0; i < 15; i++) {
        await turn.take();
        busy(2);
        order.push('light');
        turn.release();
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await Promise.all([
      compute(turns.for(1, { share: shares[0] }), 15, 2, order, 'heavy'),
      ...[2, 3, 4].map(evades),
    ]);
    // In front of it they are only for as long as they have used little.
    expect(order.lastIndexOf('heavy')).toBeLessThan(order.lastIndexOf('light'));
    expect(shares[1].usedByWeight).toBeGreaterThan(0);
  });

  it('cost a function no more than its guest ran, also where that ends as it is to go on', async () => {
    const turns = new Turns(new ControlBlock());
    const share = new CpuShare(1);
    let aborted = false;
    const turn = turns.for(1, { share, isAborted: () => aborted });
    await turn.take();
    busy(5);
    const going = turn.giveWay();
    aborted = true;
    expect(await going).toBe('end');
    turn.release();
    expect(share.usedByWeight).toBe(turn.usedUs / 1000);
  });

  it('end a guest that nobody waits for, instead of going on with it', async () => {
    const turns = new Turns(new ControlBlock());
    let aborted = false;
    const turn = turns.for(1, { isAborted: () => aborted });
    await turn.take();
    const going = turn.giveWay();
    aborted = true;
    expect(await going).toBe('end');
    const closed = turns.for(2);
    await closed.take();
    const way = closed.giveWay();
    closed.close();
    expect(await way).toBe('end');
    // The thread is free.
    await turns.for(3).take();
    expect(turns.control.running().life).toBe(3);
  });
});

describe('the control block', () => {
  it('never asks a guest to yield in place of its end', () => {
    const control = new ControlBlock();
    control.enter(5, 0);
    control.kill(5);
    control.askToYield(5);
    expect(control.asked(5)).toBe('end');
    control.enter(6, 0);
    expect(control.asked(6)).toBe('nothing');
    control.askToYield(6);
    expect(control.asked(6)).toBe('yield');
    expect(control.asked(6)).toBe('nothing');
  });

  it('passes over what was meant for another life', () => {
    const control = new ControlBlock();
    control.enter(5, 0);
    control.askToYield(4);
    expect(control.asked(5)).toBe('nothing');
    control.kill(4);
    expect(control.asked(5)).toBe('nothing');
  });
});

describe('a guest on its caller’s stack', () => {
  it('ends where it wants to grow further than there is room, and nobody’s room changes', () => {
    const limits = SharedLimits.create();
    const block = new ControlBlock();
    threadMemory.attach(limits.open(), block.memory);
    const turns = new Turns(block);
    const turn = turns.for(1, { atOnce: true });
    expect(turn.takeNow()).toBe(true);
    const held = limits.held();
    const wanted = new Int32Array(block.memory.buffer, WANTED_OFFSET, 1);
    wanted[0] = 1;
    // There is always some.
    expect([turns.yield(), wanted[0]]).toEqual([0, 0]);
    wanted[0] = 4096;
    expect([turns.yield(), wanted[0]]).toEqual([1, 0]);
    expect(limits.held()).toEqual(held);
    turn.close();
    const usual = turns.for(2);
    expect(usual.takeNow()).toBe(true);
    wanted[0] = 4096;
    expect(turns.yield()).toBe(0);
    expect(limits.held().bytes).toBeGreaterThan(held.bytes);
    usual.close();
  });

  it('ends where it is asked to give way', () => {
    const block = new ControlBlock();
    const turns = new Turns(block);
    const turn = turns.for(1, { atOnce: true });
    turn.takeNow();
    expect(turns.yield()).toBe(0);
    block.askToYield(1);
    expect(turns.yield()).toBe(1);
    turn.close();
  });

  it('leaves the CPU time that it has used to the run after it', () => {
    const turns = new Turns(new ControlBlock());
    const first = turns.for(1, { atOnce: true });
    first.takeNow();
    busy(5);
    first.close();
    const second = turns.for(2, { usedUs: first.usedUs });
    expect(second.usedUs).toBe(first.usedUs);
    second.takeNow();
    second.close();
    expect(second.usedUs).toBeGreaterThanOrEqual(first.usedUs);
  });
});
