/** The generated function around a trampoline, which makes it for one instance. */
type Factory = (cx: unknown, host: unknown, k: readonly unknown[]) => (...args: never[]) => unknown;

/**
 * By their text, in the order in which they were made. What tools of one kind make has the same signatures, and what V8
 * compiled and optimised for one function then serves the next: its first call finds warm code, and specialising it
 * compiles nothing.
 */
const factories = new Map<string, Factory>();
/** Those made first give way: texts depend on what components import, which is theirs to choose. */
const MAX_FACTORIES = 2000;

function factoryOf(body: string): Factory {
  let factory = factories.get(body);
  if (factory === undefined) {
    // The text is ours: names of the component enter it only as JSON strings and through `camel`.
    // oxlint-disable-next-line typescript/no-implied-eval -- compiled once per signature: this is what makes a host call cost nanoseconds
    factory = new Function('cx', 'host', 'k', body) as Factory;
    const [oldest] = factories.keys();
    if (oldest !== undefined && factories.size >= MAX_FACTORIES) factories.delete(oldest);
    factories.set(body, factory);
  }
  return factory;
}

/** A JavaScript function body under construction. */
export class Code {
  readonly #lines: string[] = [];
  readonly #prelude: string[] = [];
  readonly #constants: unknown[] = [];
  #names = 0;

  line(text: string): void {
    this.#lines.push(text);
  }

  /** A new variable name. */
  fresh(): string {
    return `v${this.#names++}`;
  }

  /** Declares a variable with a value, and gives its name. */
  let(expression: string): string {
    const name = this.fresh();
    this.line(`let ${name} = ${expression};`);
    return name;
  }

  /** An expression that is evaluated once for each instance; the name of its value. */
  once(expression: string): string {
    const name = this.fresh();
    this.#prelude.push(`const ${name} = ${expression};`);
    return name;
  }

  /**
   * A value that the function refers to; the expression for it. For whatever differs between components whose code is
   * otherwise the same.
   */
  constant(value: unknown): string {
    const known = this.#constants.indexOf(value);
    return `k${known < 0 ? this.#constants.push(value) - 1 : known}`;
  }

  /**
   * The function, called with `cx` (a GuestStore), and compiled with these parameters in front.
   * @param params the function's own parameters
   */
  compile(params: readonly string[]): (cx: unknown, host: unknown) => (...args: never[]) => unknown {
    const constants = this.#constants;
    const names = constants.map((_, i) => `k${i}`);
    const factory = factoryOf(
      `const [${names.join(', ')}] = k;\n${this.#prelude.join('\n')}\nreturn (${params.join(', ')}) => {\n${this.#lines.join('\n')}\n};`,
    );
    return (cx, host) => factory(cx, host, constants);
  }
}
