/** The section `metadata.code.branch_hint`, which tells compilers that a branch is not taken. */
import { ByteWriter } from './bytes.ts';
import { SECTION, sectionOf, type Section } from './sections.ts';

const NAME = 'metadata.code.branch_hint';
const UNLIKELY = 0;

export class BranchHints {
  readonly #out = new ByteWriter(4096);
  readonly #offsets: number[] = [];
  #function = -1;
  #functions = 0;

  /** What follows belongs to this function; call in the order of their indices. */
  begin(functionIndex: number): void {
    this.#flush();
    this.#function = functionIndex;
  }

  /** The `if` or `br_if` at this offset from the beginning of the function's locals is hardly ever taken. */
  unlikely(offset: number): void {
    this.#offsets.push(offset);
  }

  /** Stands before the code section. */
  section(): Section {
    this.#flush();
    const payload = new ByteWriter(this.#out.length + 16);
    payload.u32(this.#functions);
    payload.copy(this.#out.view());
    return { ...sectionOf(SECTION.custom, payload.view()), name: NAME };
  }

  #flush(): void {
    if (this.#offsets.length === 0) return;
    this.#functions++;
    this.#out.u32(this.#function);
    this.#out.u32(this.#offsets.length);
    for (const offset of this.#offsets) {
      this.#out.u32(offset);
      this.#out.byte(1);
      this.#out.byte(UNLIKELY);
    }
    this.#offsets.length = 0;
  }
}
