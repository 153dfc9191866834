/** Runs one file of the suite, with its modules as they are or rewritten, and writes down what comes of it. */
import { FISSIUM_IMPORTS, MEMORY_IMPORT } from '../../runtimes/wasm/rewrite/index.ts';
import { bytesOf, type Argument, type Command, type SuiteFile } from './suite.ts';

/** What stands for a module: the bytes to run, or why they were left as they are. */
export type Treated =
  | { readonly wasm: Uint8Array; readonly memory?: WebAssembly.MemoryDescriptor | null }
  | { readonly declined: string };
export type Treatment = (wasm: Uint8Array<ArrayBuffer>) => Treated;

export interface Outcome {
  /** Index into the file's commands. */
  readonly command: number;
  /** What happened, in words that are the same for the same thing. */
  readonly text: string;
}

export interface FileRun {
  readonly outcomes: readonly Outcome[];
  /** What became of each command that made an instance; null where it made none. */
  readonly instances: readonly (MadeInstance | null)[];
}

export interface MadeInstance {
  readonly exports: WebAssembly.Exports;
  /** Which of the file's commands were for it, in order. */
  readonly actions: number[];
  readonly driver: { exports: WebAssembly.Exports | null };
}

export interface Surroundings {
  readonly treat: Treatment;
  /** Imports beside `spectest` and what the file registers. */
  readonly imports: WebAssembly.Imports;
  /** Called before each command. */
  readonly before?: () => void;
}

export const NOT_THERE = 'no instance';

/** Runs all commands of the file in order. */
export function runFile(file: SuiteFile, surroundings: Surroundings): FileRun {
  return new Run(surroundings).run(file);
}

/** Runs the actions of one instance again, in order. */
export function repeat(file: SuiteFile, instance: MadeInstance): Outcome[] {
  return instance.actions.map((command) => {
    const action = file.commands[command];
    return { command, text: action ? act(action, instance) : NOT_THERE };
  });
}

class Run {
  readonly #surroundings: Surroundings;
  readonly #instances: (MadeInstance | null)[] = [];
  readonly #named = new Map<string, MadeInstance | null>();
  readonly #definitions = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly #imports: Record<string, WebAssembly.ModuleImports>;
  readonly #outcomes: Outcome[] = [];
  #lastDefinition: Uint8Array<ArrayBuffer> | null = null;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
    this.#imports = { ...surroundings.imports, spectest: spectest() };
  }

  run(file: SuiteFile): FileRun {
    file.commands.forEach((command, at) => {
      this.#surroundings.before?.();
      this.#command(command, at);
    });
    return { outcomes: this.#outcomes, instances: this.#instances };
  }

  #command(command: Command, at: number): void {
    const note = (text: string): void => void this.#outcomes.push({ command: at, text });
    switch (command[0]) {
      case 'module':
        note(this.#make(bytesOf(command[2]), command[1]));
        return;
      case 'definition':
        this.#lastDefinition = bytesOf(command[2]);
        if (command[1] !== null) this.#definitions.set(command[1], this.#lastDefinition);
        return;
      case 'instance': {
        const wasm = command[2] === null ? this.#lastDefinition : this.#definitions.get(command[2]);
        note(wasm ? this.#make(wasm, command[1]) : NOT_THERE);
        return;
      }
      case 'register':
        this.#imports[command[1]] = { ...this.#find(command[2])?.exports } as WebAssembly.ModuleImports;
        return;
      case 'driver': {
        const target = this.#instances.at(-1);
        if (target) target.driver.exports = instantiate(bytesOf(command[1]), { target: target.exports });
        return;
      }
      case 'trapping':
      case 'unlinkable':
        note(this.#instantiate(bytesOf(command[1])).text);
        return;
      case 'invalid':
        return;
      default: {
        const target = command[0] === 'drive' ? this.#instances[command[2]] : this.#find(targetOf(command));
        target?.actions.push(at);
        note(target ? act(command, target) : NOT_THERE);
      }
    }
  }

  #make(wasm: Uint8Array<ArrayBuffer>, name: string | null): string {
    const { exports, text } = this.#instantiate(wasm);
    const made = exports ? { exports, actions: [], driver: { exports: null } } : null;
    this.#instances.push(made);
    if (name !== null) this.#named.set(name, made);
    return text;
  }

  #withMemory(memory: WebAssembly.MemoryDescriptor | null): WebAssembly.Imports {
    if (!memory) return this.#imports;
    const fissium = { ...this.#imports[FISSIUM_IMPORTS], [MEMORY_IMPORT]: new WebAssembly.Memory(memory) };
    return { ...this.#imports, [FISSIUM_IMPORTS]: fissium };
  }

  #find(name: string | null): MadeInstance | null {
    return (name === null ? this.#instances.at(-1) : this.#named.get(name)) ?? null;
  }

  #instantiate(wasm: Uint8Array<ArrayBuffer>): { exports: WebAssembly.Exports | null; text: string } {
    // What this V8 does not know is nobody's.
    if (!WebAssembly.validate(wasm)) return { exports: null, text: NOT_THERE };
    const treated = this.#surroundings.treat(wasm);
    try {
      const exports =
        'wasm' in treated
          ? instantiate(treated.wasm, this.#withMemory(treated.memory ?? null))
          : instantiate(wasm, this.#imports);
      return { exports, text: 'instantiated' };
    } catch (error) {
      return { exports: null, text: failure(error) };
    }
  }
}

function instantiate(wasm: Uint8Array, imports: WebAssembly.Imports): WebAssembly.Exports {
  return new WebAssembly.Instance(new WebAssembly.Module(wasm as BufferSource), imports).exports;
}

function targetOf(command: Command): string | null {
  if (command[0] === 'invoke') return command[2];
  return command[0] === 'get' ? command[1] : null;
}

const RESULT_BYTES = 16;

function act(command: Command, { exports, driver }: MadeInstance): string {
  try {
    switch (command[0]) {
      case 'invoke': {
        const call = exports[command[3]] as (...args: unknown[]) => unknown;
        return `returned ${valueText(call(...command[4].map(argument)))}`;
      }
      case 'drive': {
        if (!driver.exports) return NOT_THERE;
        const out = new Uint8Array((driver.exports['out'] as WebAssembly.Memory).buffer);
        out.fill(0, 0, command[4] * RESULT_BYTES);
        (driver.exports[String(command[3])] as () => void)();
        return `returned ${Buffer.from(out.subarray(0, command[4] * RESULT_BYTES)).toString('hex')}`;
      }
      case 'get':
        return `is ${valueText((exports[command[2]] as WebAssembly.Global).value)}`;
      default:
        return NOT_THERE;
    }
  } catch (error) {
    return failure(error);
  }
}

/** Numbers of imports and functions stand in some messages: only traps say the same for the same thing. */
function failure(error: unknown): string {
  if (error instanceof WebAssembly.RuntimeError) {
    // The same trap, whether the engine copies the segment or an instruction does.
    const outside = /data segment \d+ is out of bounds/.test(error.message);
    return `trapped: ${outside ? 'memory access out of bounds' : error.message}`;
  }
  if (error instanceof WebAssembly.Exception) return 'threw an exception';
  if (error instanceof WebAssembly.LinkError) return 'does not link';
  if (error instanceof RangeError && /call stack/.test(error.message)) return 'exhausted the stack';
  return error instanceof Error ? `failed: ${error.name}` : `threw ${String(error)}`;
}

const hostObjects = new Map<string, object>();
const hostNames = new WeakMap<object, string>();

function hostObject(name: string): object {
  let known = hostObjects.get(name);
  if (!known) {
    known = { name };
    hostObjects.set(name, known);
    hostNames.set(known, name);
  }
  return known;
}

const scratch = new DataView(new ArrayBuffer(8));

function argument(text: Argument): unknown {
  const [kind, value = ''] = text.split(':');
  switch (kind) {
    case 'i32':
      return Number(value);
    case 'i64':
      return BigInt(value);
    case 'f32':
      scratch.setUint32(0, Number(value));
      return scratch.getFloat32(0);
    case 'f64':
      scratch.setBigUint64(0, BigInt(value));
      return scratch.getFloat64(0);
    case 'ref':
      return hostObject(value);
    default:
      return null;
  }
}

function valueText(value: unknown): string {
  if (Array.isArray(value)) return value.map(valueText).join(', ');
  switch (typeof value) {
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value);
    case 'bigint':
      return `${value}n`;
    case 'object':
      return value === null ? 'null' : `object ${hostNames.get(value) ?? ''}`;
    default:
      return typeof value;
  }
}

/** The module `spectest`, which the suite's interpreter offers (its README, "Spectest host module"). */
function spectest(): WebAssembly.ModuleImports {
  const nothing = (): void => undefined;
  const prints = ['', '_i32', '_i64', '_f32', '_f64', '_i32_f32', '_f64_f64'].map((kind) => [
    `print${kind}`,
    nothing,
  ]);
  const global = (value: 'i32' | 'i64' | 'f32' | 'f64', initial: number | bigint): WebAssembly.Global =>
    new WebAssembly.Global({ value }, initial);
  return {
    ...(Object.fromEntries(prints) as Record<string, () => void>),
    global_i32: global('i32', 666),
    global_i64: global('i64', 666n),
    global_f32: global('f32', 666.6),
    global_f64: global('f64', 666.6),
    table: new WebAssembly.Table({ initial: 10, maximum: 20, element: 'anyfunc' }),
    memory: new WebAssembly.Memory({ initial: 1, maximum: 2 }),
  };
}
