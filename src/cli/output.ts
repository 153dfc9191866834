/** The only place that prints: lines, tables, objects as JSON or YAML, warnings, progress. */

/** What a command writes to: a process's streams, or a test's. */
export interface TextSink {
  write(chunk: string | Uint8Array): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export const OUTPUT_FORMATS = ['json', 'yaml', 'wide', 'name'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** A column of a table; `wide` ones are shown with `-o wide` only. */
export interface Column<T> {
  readonly title: string;
  readonly value: (item: T) => string | number | boolean | undefined;
  readonly wide?: boolean;
}

/** Something under way that is shown if it takes longer than half a second. */
export interface Progress {
  update(text: string): void;
  /** Takes the display away. May be called more than once. */
  end(): void;
}

const PROGRESS_DELAY_MS = 500;

export class Output {
  readonly #stdout: TextSink;
  readonly #stderr: TextSink;
  readonly verbose: boolean;

  constructor(stdout: TextSink, stderr: TextSink, verbose: boolean) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.verbose = verbose;
  }

  /** A line of the result, on stdout. */
  line(text = ''): void {
    this.#stdout.write(`${text}\n`);
  }

  /** Bytes of the result as they are: a function's code, a response's body. */
  raw(chunk: string | Uint8Array): void {
    this.#stdout.write(chunk);
  }

  /** A line about the result, on stderr: stdout stays what a pipe wants. */
  note(text: string): void {
    this.#stderr.write(`${text}\n`);
  }

  warn(text: string): void {
    this.note(`warning: ${text}`);
  }

  /** Only with -v. */
  debug(text: string): void {
    if (this.verbose) this.note(text);
  }

  json(value: unknown): void {
    this.line(JSON.stringify(value, null, 2));
  }

  async yaml(value: unknown): Promise<void> {
    this.raw(await toYaml(value));
  }

  /** Rows under their titles, in columns as wide as they need, three spaces apart like kubectl's. */
  table<T>(items: readonly T[], columns: readonly Column<T>[], wide = false): void {
    const shown = columns.filter((column) => wide || column.wide !== true);
    const rows = [shown.map((column) => column.title)];
    for (const item of items) rows.push(shown.map((column) => cell(column.value(item))));
    const widths = shown.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
    for (const row of rows) {
      this.line(
        row
          .map((value, index) => value.padEnd(widths[index] ?? 0))
          .join('   ')
          .trimEnd(),
      );
    }
  }

  /**
   * Shows `text` once it takes more than half a second: a spinner where stderr is a terminal, else plain lines.
   */
  progress(text: string): Progress {
    let current = text;
    let shown: { update(text: string): void; end(): void } | undefined;
    let ended = false;
    const timer = setTimeout(() => {
      if (this.#stderr.isTTY === true) {
        void spinner(current).then((started) => {
          if (ended) started.end();
          else {
            shown = started;
            shown.update(current);
          }
        });
      } else {
        this.note(`${current} …`);
        shown = { update: (next) => this.note(`${next} …`), end: () => {} };
      }
    }, PROGRESS_DELAY_MS);
    return {
      update(next) {
        if (next === current) return;
        current = next;
        shown?.update(next);
      },
      end() {
        if (ended) return;
        ended = true;
        clearTimeout(timer);
        shown?.end();
      },
    };
  }
}

function cell(value: string | number | boolean | undefined): string {
  return value === undefined ? '' : String(value).replaceAll('\n', ' ');
}

async function spinner(text: string): Promise<{ update(text: string): void; end(): void }> {
  const { default: yoctoSpinner } = await import('yocto-spinner');
  const running = yoctoSpinner({ text, stream: process.stderr }).start();
  return {
    update(next) {
      running.text = next;
    },
    end() {
      running.stop();
    },
  };
}

/** A value as a YAML document with a newline at its end. */
export async function toYaml(value: unknown): Promise<string> {
  const { stringify } = await import('yaml');
  // Through JSON first: `undefined` and dates become what an API would show.
  return stringify(JSON.parse(JSON.stringify(value)) as unknown, {
    lineWidth: 0,
    aliasDuplicateObjects: false,
  });
}
