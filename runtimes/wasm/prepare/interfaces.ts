/** The interfaces that the WASI host links, and how a component's imports are held against them. */
import { quoted, refusal } from './refusal.ts';

/** Without versions: each is served for any 0.2.x. Kept the same as what `wasi/` links; a test holds them together. */
export const LINKED_INTERFACES: readonly string[] = [
  'wasi:cli/environment',
  'wasi:cli/exit',
  'wasi:cli/stderr',
  'wasi:cli/stdin',
  'wasi:cli/stdout',
  'wasi:cli/terminal-input',
  'wasi:cli/terminal-output',
  'wasi:cli/terminal-stderr',
  'wasi:cli/terminal-stdin',
  'wasi:cli/terminal-stdout',
  'wasi:clocks/monotonic-clock',
  'wasi:clocks/timezone',
  'wasi:clocks/wall-clock',
  'wasi:config/runtime',
  'wasi:config/store',
  'wasi:filesystem/preopens',
  'wasi:filesystem/types',
  'wasi:http/outgoing-handler',
  'wasi:http/types',
  'wasi:io/error',
  'wasi:io/poll',
  'wasi:io/streams',
  'wasi:keyvalue/atomics',
  'wasi:keyvalue/batch',
  'wasi:keyvalue/store',
  'wasi:random/insecure',
  'wasi:random/insecure-seed',
  'wasi:random/random',
  'wasi:sockets/instance-network',
  'wasi:sockets/ip-name-lookup',
  'wasi:sockets/network',
  'wasi:sockets/tcp',
  'wasi:sockets/tcp-create-socket',
  'wasi:sockets/udp',
  'wasi:sockets/udp-create-socket',
];

const HANDLER = 'wasi:http/incoming-handler';
const P3_HANDLER = 'wasi:http/handler';
const VERSION_0_2 = /^0\.2\.\d+$/;
/** These have no release yet, only drafts of 0.2.0. */
const DRAFTS = /^wasi:(config|keyvalue)\//;
const DRAFT_0_2 = /^0\.2\.\d+(-[0-9a-z.]+)?$/;

function split(name: string): { readonly base: string; readonly version: string } {
  const at = name.indexOf('@');
  return at < 0 ? { base: name, version: '' } : { base: name.slice(0, at), version: name.slice(at + 1) };
}

/**
 * The export that answers requests, with its version.
 * @throws FissiumError PACKAGE_REFUSED where the component has none that is served
 */
export function findHandler(exports: readonly string[]): string {
  const handlers = exports.filter((name) => split(name).base === HANDLER);
  const served = handlers.find((name) => VERSION_0_2.test(split(name).version));
  if (served !== undefined) return served;
  const [other] = handlers;
  if (other !== undefined)
    throw refusal(`the component exports ${quoted(other)}, a version that is not supported`);
  const p3 = exports.find((name) => split(name).base === P3_HANDLER);
  if (p3 !== undefined) {
    throw refusal(
      `the component exports ${quoted(p3)}, the handler of WASI 0.3, which is not supported yet; build it for WASI 0.2`,
    );
  }
  if (exports.some((name) => split(name).base === 'wasi:cli/run')) {
    throw refusal('the component is a command (it exports wasi:cli/run), not an HTTP handler');
  }
  const listed = exports.slice(0, 8).map(quoted).join(', ');
  throw refusal(
    `the component exports no wasi:http/incoming-handler (${exports.length === 0 ? 'it exports nothing' : `it exports ${listed}${exports.length > 8 ? ', ...' : ''}`})`,
  );
}

/** @throws FissiumError PACKAGE_REFUSED that names every import which the platform does not have */
export function checkImports(imports: readonly string[]): void {
  const missing = imports.filter((name) => {
    const { base, version } = split(name);
    return !LINKED_INTERFACES.includes(base) || !(DRAFTS.test(base) ? DRAFT_0_2 : VERSION_0_2).test(version);
  });
  if (missing.length === 0) return;
  const packages = [...new Set(LINKED_INTERFACES.map((name) => name.slice(0, name.indexOf('/'))))].join(', ');
  throw refusal(
    `the component imports ${missing.map(quoted).join(', ')}, which the platform does not have ` +
      `(it has the interfaces of ${packages} in version 0.2.x)`,
  );
}
