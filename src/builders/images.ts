/** Which local toolchain stands for a builder image. */

export const TOOLCHAIN_NAMES = ['python', 'node', 'wasm'] as const;
export type ToolchainName = (typeof TOOLCHAIN_NAMES)[number];

const VARIANT = String.raw`(?:-(?:builder|env|v?\d[\w.]*|debian|alpine|slim|buster|bookworm|trixie))*`;
const TOOLCHAINS: readonly (readonly [ToolchainName, RegExp])[] = [
  ['python', new RegExp(`^(?:fissium-)?python[23]?${VARIANT}$`)],
  ['node', new RegExp(`^(?:fissium-)?node(?:js)?${VARIANT}$`)],
  // Whatever becomes WebAssembly: the source says which language it is.
  ['wasm', new RegExp(`^(?:fissium-)?wasm${VARIANT}$`)],
];

/** `fission/python-builder:3.9`, `ghcr.io/fission/node-builder-22`, `wasm`; null for others. */
export function toolchainOf(image: string): ToolchainName | null {
  const last = image.trim().split('@', 1)[0]?.split('/').at(-1) ?? '';
  const name = (last.split(':', 1)[0] ?? '').toLowerCase();
  return TOOLCHAINS.find(([, pattern]) => pattern.test(name))?.[0] ?? null;
}
