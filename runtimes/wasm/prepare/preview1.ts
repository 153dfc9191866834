/** Which core modules are WASI preview 1 commands that can be served. */
import {
  IMPORT_KIND,
  readLayout,
  RewriteDeclined,
  type Import,
  type Limits,
  type ModuleLayout,
} from '../rewrite/index.ts';
import { checkBounds } from './bounds.ts';
import { quoted, refusal } from './refusal.ts';

export const PREVIEW1 = 'wasi_snapshot_preview1';
/** The WASI of 2019: the same functions under another name, some structures laid out otherwise. */
export const UNSTABLE = 'wasi_unstable';

/** The functions of WASI preview 1; all of them link, those without a meaning here answer an error number. */
const PREVIEW1_FUNCTIONS: ReadonlySet<string> = new Set(
  (
    'args_get args_sizes_get environ_get environ_sizes_get clock_res_get clock_time_get fd_advise fd_allocate ' +
    'fd_close fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_get ' +
    'fd_filestat_set_size fd_filestat_set_times fd_pread fd_prestat_get fd_prestat_dir_name fd_pwrite fd_read ' +
    'fd_readdir fd_renumber fd_seek fd_sync fd_tell fd_write path_create_directory path_filestat_get ' +
    'path_filestat_set_times path_link path_open path_readlink path_remove_directory path_rename path_symlink ' +
    'path_unlink_file poll_oneoff proc_exit proc_raise sched_yield random_get sock_accept sock_recv sock_send ' +
    'sock_shutdown'
  ).split(' '),
);

/** What toolchains other than WASI's import; the hint says which switch makes a command of it. */
const HINTS: readonly (readonly [module: RegExp, hint: string])[] = [
  [/^(gojs|go)$/, 'build Go with GOOS=wasip1 GOARCH=wasm'],
  [
    /^(wbg|__wbindgen|\.\/)/,
    'wasm-bindgen is for browsers; build Rust with --target wasm32-wasip2 or wasm32-wasip1',
  ],
  [/^wasi$/, 'WASI threads are not supported'],
  [/^env$/, 'with Emscripten use -sSTANDALONE_WASM'],
];

/**
 * Checks that a core module is a command that the platform can run, and says for which WASI it was built.
 * @throws FissiumError PACKAGE_REFUSED with the reason
 */
export function inspectCommand(wasm: Uint8Array): { readonly wasi: typeof PREVIEW1 | typeof UNSTABLE } {
  const layout = layoutOf(wasm);
  checkBounds(wasm, 'the core module');
  const wasi = layout.imports.some(({ module }) => module === UNSTABLE) ? UNSTABLE : PREVIEW1;
  for (const entry of layout.imports) checkImport(entry, wasi);
  for (const memory of layout.memories) {
    checkMemory(memory, 'the core module');
    if (memory.wide) throw refusal('the core module has a 64-bit memory, which WASI preview 1 does not know');
  }
  if (!layout.exports.some(({ name, kind }) => name === '_start' && kind === IMPORT_KIND.function)) {
    throw refusal(withoutStart(layout));
  }
  if (
    layout.imports.length > 0 &&
    !layout.exports.some(({ name, kind }) => name === 'memory' && kind === IMPORT_KIND.memory)
  ) {
    throw refusal(
      'the core module exports _start, but not its memory under the name "memory", which WASI needs',
    );
  }
  return { wasi };
}

/** @throws FissiumError PACKAGE_REFUSED where the bytes are no valid core module */
function layoutOf(wasm: Uint8Array): ModuleLayout {
  const problem = validationError(wasm);
  if (problem !== null) throw refusal(`the core module is not valid: ${problem}`);
  try {
    return readLayout(wasm);
  } catch (error) {
    if (error instanceof RewriteDeclined)
      throw refusal(`the core module cannot be read: ${error.message}`, error);
    throw error;
  }
}

/** What V8 has against a core module; null where it takes it. */
export function validationError(wasm: Uint8Array): string | null {
  const bytes = wasm as Uint8Array<ArrayBuffer>;
  if (WebAssembly.validate(bytes)) return null;
  try {
    // Only compiling says why. It stops at the first error.
    void new WebAssembly.Module(bytes);
    return 'it does not validate';
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const reason = text.replace(/^WebAssembly\.Module\(\): /, '');
    return /(extends past end|unexpected end|fell off end|out of bounds|expected \d+ bytes)/.test(reason)
      ? `${reason} (is the file truncated?)`
      : reason;
  }
}

/** @throws FissiumError PACKAGE_REFUSED for shared memories, whose waits nothing could interrupt */
export function checkMemory(memory: Limits, owner: string): void {
  if (memory.shared) throw refusal(`${owner} has a shared memory: threads in a guest are not supported`);
}

function checkImport({ module, name, kind }: Import, wasi: string): void {
  if (module === PREVIEW1 && wasi === UNSTABLE) {
    throw refusal(
      `the core module imports from both ${UNSTABLE} and ${PREVIEW1}, which lay out the same structures otherwise`,
    );
  }
  if (module !== wasi) {
    const hint = HINTS.find(([pattern]) => pattern.test(module));
    throw refusal(
      `the core module imports ${quoted(name)} from ${quoted(module)}, which the platform does not have` +
        (hint ? ` (${hint[1]})` : ''),
    );
  }
  if (kind !== IMPORT_KIND.function || !PREVIEW1_FUNCTIONS.has(name)) {
    throw refusal(`the core module imports ${quoted(name)} from ${wasi}, which has no such function`);
  }
}

function withoutStart({ exports }: ModuleLayout): string {
  const names = exports.filter(({ kind }) => kind === IMPORT_KIND.function).map(({ name }) => name);
  if (names.includes('_initialize'))
    return 'the core module is a reactor (it exports _initialize), not a command with _start';
  if (names.some((name) => name.startsWith('cabi_') || name.includes('incoming-handler'))) {
    return 'the core module was built for the component model but is no component yet: run `wasm-tools component new` (or `jco new`) on it';
  }
  const listed = names.slice(0, 5).map(quoted).join(', ');
  return `the core module exports no _start (${names.length === 0 ? 'it exports no function' : `it exports ${listed}${names.length > 5 ? ', ...' : ''}`})`;
}
