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

  /** A value that the function refers to; the expression for it. */
  constant(value: unknown): string {
    this.#constants.push(value);
    return `k[${this.#constants.length - 1}]`;
  }

  /**
   * The function, called with `cx` (a GuestStore), and compiled with these parameters in front.
   * @param params the function's own parameters
   */
  compile(params: readonly string[]): (cx: unknown, host: unknown) => (...args: never[]) => unknown {
    const body = `${this.#prelude.join('\n')}\nreturn (${params.join(', ')}) => {\n${this.#lines.join('\n')}\n};`;
    // The text is ours: names of the component enter it only as JSON strings and through `camel`.
    // oxlint-disable-next-line typescript/no-implied-eval -- compiled once per signature: this is what makes a host call cost nanoseconds
    const make = new Function('cx', 'host', 'k', body) as (
      cx: unknown,
      host: unknown,
      k: readonly unknown[],
    ) => (...args: never[]) => unknown;
    const constants = this.#constants;
    return (cx, host) => make(cx, host, constants);
  }
}
