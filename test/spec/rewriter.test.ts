import { describe, expect, it } from 'vitest';
import {
  addInterruptionCheck,
  makeResettable,
  RESET_EXPORT,
  RewriteDeclined,
  type ResetSteps,
  type WantedMemory,
} from '../../runtimes/wasm/rewrite/index.ts';
import { makeCapture } from '../../runtimes/wasm/rewrite/snapshot/capture.ts';
import { SnapshotDeclined } from '../../runtimes/wasm/rewrite/snapshot/declined.ts';
import { runCapture } from '../../runtimes/wasm/rewrite/snapshot/run-capture.ts';
import { writeSnapshot } from '../../runtimes/wasm/rewrite/snapshot/write.ts';
import { ControlBlock } from '../../runtimes/wasm/control.ts';
import { yieldFunction } from '../../runtimes/wasm/yield.worker.ts';
import {
  NOT_THERE,
  repeat,
  runFile,
  type FileRun,
  type Outcome,
  type Surroundings,
  type Treated,
  type Treatment,
} from './run-file.ts';
import { bytesOf, readSuite, type SuiteFile } from './suite.ts';

const LIFE = 9;
/** What more memory than a module asked for can change: an access, and whether it is enough for another module. */
const MORE_MEMORY = /trapped: memory access out of bounds →|does not link → instantiated/;
const BECAME_INVALID = 'rewriting made it invalid';
const suite = readSuite();
const originals = new Map<SuiteFile, FileRun>();

/** What the file does untouched; kept, since every treatment is compared with it. */
function original(file: SuiteFile): FileRun {
  let run = originals.get(file);
  if (!run) {
    run = runFile(file, { treat: (wasm) => ({ wasm }), ...fissium(false) });
    originals.set(file, run);
  }
  return run;
}

/** What rewritten modules import; where `asks`, the first check of each command goes the long way, and goes on. */
function fissium(asks: boolean): Pick<Surroundings, 'imports' | 'before'> {
  const control = new ControlBlock();
  const decide = (): 'go' => {
    control.forget();
    return 'go';
  };
  const imports = {
    fissium: { control: control.memory, yield: yieldFunction({ decide, wait: () => Promise.resolve('go') }) },
  };
  return asks ? { imports, before: () => control.askToYield(LIFE) } : { imports };
}

/** Rewrites, and holds the result to what prepare holds it to. */
function rewritten(rewrite: () => Treated): Treated {
  try {
    const treated = rewrite();
    if ('declined' in treated) return treated;
    return WebAssembly.validate(treated.wasm as BufferSource) ? treated : { declined: BECAME_INVALID };
  } catch (error) {
    if (error instanceof SnapshotDeclined) return { declined: error.message };
    if (error instanceof RewriteDeclined) return { declined: error.message.replace(/ at byte \d+$/, '') };
    throw error;
  }
}

const interruption: Treatment = (wasm) => rewritten(() => ({ wasm: addInterruptionCheck(wasm) }));

/** @param morePages what the memory has beyond what the module asks for, as one that was used before may have */
function reset(steps: ResetSteps, morePages = 0): Treatment {
  return (source) =>
    rewritten(() => {
      const result = makeResettable(source, steps);
      if ('blocker' in result) return { declined: result.blocker };
      const { wasm, memory } = result;
      return { wasm, memory: memory && descriptor(memory, morePages) };
    });
}

function descriptor(
  { initialPages, maximumPages }: WantedMemory,
  morePages: number,
): WebAssembly.MemoryDescriptor {
  const initial = Math.min(initialPages + morePages, maximumPages ?? 65_536);
  return { initial, ...(maximumPages !== null && { maximum: maximumPages }) };
}

const both: Treatment = (wasm) => {
  const resettable = reset({})(wasm);
  if ('declined' in resettable) return resettable;
  const checked = interruption(resettable.wasm as Uint8Array<ArrayBuffer>);
  return 'declined' in checked ? checked : { ...resettable, wasm: checked.wasm };
};

/** As prepare does it, without the thread: no module of the suite keeps one. */
const snapshot: Treatment = (wasm) =>
  rewritten(() => {
    const capture = makeCapture(wasm, []);
    if (!capture) return { wasm };
    const captured = runCapture({ capture, harmless: new Map(), maxBytes: 1 << 24 });
    if (captured.kind === 'called') return { declined: 'it calls the host before its first request' };
    return captured.kind === 'captured'
      ? { wasm: writeSnapshot(wasm, captured, []) }
      : { declined: captured.reason };
  });

interface Case {
  readonly name: string;
  readonly treat: Treatment;
  readonly asks: boolean;
  /** Whether instances are reset, and their actions repeated. */
  readonly resets: boolean;
  /** Outcomes that may be others because there is more memory than the module knows of: as measured, with a little room. */
  readonly roomier: number;
  /** Percent of the modules that may be declined: what was measured, and a little room. */
  readonly declinedPercent: number;
}

const CASES: readonly Case[] = [
  {
    name: 'the interruption check',
    treat: interruption,
    asks: false,
    resets: false,
    roomier: 0,
    declinedPercent: 0,
  },
  {
    name: 'the interruption check, always asked to yield',
    treat: interruption,
    asks: true,
    resets: false,
    roomier: 0,
    declinedPercent: 0,
  },
  { name: 'the snapshot', treat: snapshot, asks: false, resets: false, roomier: 0, declinedPercent: 2 },
  { name: 'the reset', treat: reset({}), asks: false, resets: true, roomier: 20, declinedPercent: 22 },
  {
    name: 'the reset over a larger memory',
    treat: reset({}, 3),
    asks: false,
    resets: true,
    roomier: 400,
    declinedPercent: 22,
  },
  {
    name: 'the reset without the write check',
    treat: reset({ writeCheck: false }),
    asks: false,
    resets: true,
    roomier: 20,
    declinedPercent: 22,
  },
  {
    name: 'the reset with a memory of its own',
    treat: reset({ memoryImport: false }),
    asks: false,
    resets: true,
    roomier: 20,
    declinedPercent: 22,
  },
  { name: 'both', treat: both, asks: false, resets: true, roomier: 20, declinedPercent: 22 },
];

/** Which modules of the file are linked to others: rewritten all or none, as a component's are. */
function linkedModules(file: SuiteFile): Set<string> {
  const linked = new Set<string>();
  const named = new Map<string, string>();
  let last = '';
  for (const command of file.commands) {
    if (command[0] === 'register') linked.add(command[2] === null ? last : (named.get(command[2]) ?? ''));
    if (command[0] !== 'module' && command[0] !== 'unlinkable' && command[0] !== 'trapping') continue;
    const base64 = command[0] === 'module' ? command[2] : command[1];
    if (command[0] === 'module') {
      last = base64;
      if (command[1] !== null) named.set(command[1], base64);
    }
    const wasm = bytesOf(base64);
    if (!WebAssembly.validate(wasm)) continue;
    const imports = WebAssembly.Module.imports(new WebAssembly.Module(wasm));
    if (imports.some(({ module }) => module !== 'spectest')) linked.add(base64);
  }
  return linked;
}

function together(file: SuiteFile, treat: Treatment): Treatment {
  const linked = linkedModules(file);
  const whole = [...linked].every((base64) => {
    const wasm = bytesOf(base64);
    return !WebAssembly.validate(wasm) || 'wasm' in treat(wasm);
  });
  if (whole) return treat;
  return (wasm) =>
    linked.has(Buffer.from(wasm).toString('base64'))
      ? { declined: 'it is linked to one that is declined' }
      : treat(wasm);
}

describe('WebAssembly’s own test suite', () => {
  it('does on this engine what it says', () => {
    const wrong: string[] = [];
    let asked = 0;
    for (const file of suite) {
      for (const { command, text } of original(file).outcomes) {
        const action = file.commands[command];
        if ((action?.[0] !== 'invoke' && action?.[0] !== 'drive') || text === NOT_THERE) continue;
        asked++;
        const said = {
          return: /^returned/,
          trap: /^trapped/,
          exhaustion: /^exhausted/,
          exception: /^threw an/,
        };
        if (!said[action[1]].test(text))
          wrong.push(`${file.name}#${command} ${JSON.stringify(action)}: ${text}`);
      }
    }
    // Exception references and vectors cannot cross to JavaScript; of some functions no call says what they give back.
    const told = wrong.filter((text) => !/(exnref|v128|v\d+x\d+).*TypeError/.test(text));
    expect(told).toEqual([]);
    expect(asked).toBeGreaterThan(59_000);
  });

  it.each(CASES)(
    'is the same with $name',
    ({ name, treat, asks, resets, roomier: mayBeRoomier, declinedPercent }) => {
      const declined = new Map<string, number>();
      let modules = 0;
      let compared = 0;
      let repeated = 0;
      let roomier = 0;
      const differences: string[] = [];
      // Between the virtual and the real size of a memory nothing traps (see `rewrite/virtual-memory.ts`), and what
      // was written there is found by whoever grows into it.
      const tell = (found: readonly string[]): void => {
        const first = found.findIndex((text) => MORE_MEMORY.test(text));
        const strange = first < 0 ? found : found.slice(0, first);
        roomier += found.length - strange.length;
        differences.push(...strange);
      };
      for (const file of suite) {
        const before = original(file);
        const inFile = resets ? together(file, treat) : treat;
        const after = runFile(file, {
          ...fissium(asks),
          treat: (wasm) => {
            const result = inFile(wasm);
            modules++;
            if ('declined' in result) declined.set(result.declined, (declined.get(result.declined) ?? 0) + 1);
            return result;
          },
        });
        compared += after.outcomes.length;
        const acted = new Set(after.instances.flatMap((instance) => instance?.actions ?? []));
        const others = ({ command }: Outcome): boolean => !acted.has(command);
        for (const each of difference(
          file,
          before.outcomes.filter(others),
          after.outcomes.filter(others),
          'made',
        ))
          tell([each]);
        const isLinked = file.commands.some(([kind]) => kind === 'register');
        for (const instance of after.instances) {
          const actions = new Set(instance?.actions ?? []);
          const ofIt = ({ command }: Outcome): boolean => actions.has(command);
          const expected = before.outcomes.filter(ofIt);
          tell(difference(file, expected, after.outcomes.filter(ofIt), 'first'));
          const clean = instance?.exports[RESET_EXPORT] as ((wroteOutside: number) => void) | undefined;
          // Of what modules do to each other as they are made, nothing is repeated.
          if (!instance || !clean || isLinked) continue;
          clean(0);
          const again = repeat(file, instance);
          repeated += again.length;
          tell(difference(file, expected, again, 'after reset'));
        }
      }
      const share = ([...declined.values()].reduce((sum, count) => sum + count, 0) / modules) * 100;
      process.stdout.write(
        `${name}: ${compared} outcomes the same, ${repeated} again after a reset (${roomier} otherwise, in more memory), ` +
          `${share.toFixed(2)} % of ${modules} modules declined${reasons(declined)}\n`,
      );
      expect(differences).toEqual([]);
      expect(roomier).toBeLessThanOrEqual(mayBeRoomier);
      expect(repeated).toBeGreaterThanOrEqual(resets ? 12_000 : 0);
      expect(declined.get(BECAME_INVALID)).toBeUndefined();
      expect(share).toBeLessThanOrEqual(declinedPercent);
    },
    120_000,
  );
});

function reasons(declined: ReadonlyMap<string, number>): string {
  const list = [...declined].toSorted((a, b) => b[1] - a[1]).map(([reason, count]) => `${count} ${reason}`);
  return list.length === 0 ? '' : ` (${list.join('; ')})`;
}

function difference(
  file: SuiteFile,
  before: readonly Outcome[],
  after: readonly Outcome[],
  when: string,
): string[] {
  return before.flatMap(({ command, text }, i) => {
    const other = after[i];
    if (other?.command === command && other.text === text) return [];
    return [
      `${file.name} #${command} ${when}: ${JSON.stringify(file.commands[command])?.slice(0, 120)} ${text} → ${other?.text}`,
    ];
  });
}
