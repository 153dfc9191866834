/** Which local runtime stands for a container image. */
import { FissiumError } from '../../errors.ts';

export type RuntimeName = 'python' | 'node';

const VARIANT = String.raw`(?:-(?:env|v?\d[\w.]*|debian|alpine|slim|buster|bookworm|trixie))*`;
const RUNTIMES: readonly (readonly [RuntimeName, RegExp])[] = [
  ['python', new RegExp(`^(?:fissium-)?python[23]?${VARIANT}$`)],
  ['node', new RegExp(`^(?:fissium-)?node(?:js)?${VARIANT}$`)],
];

/**
 * The runtime whose contract an image's name promises: `fission/python-env:3.9`, `ghcr.io/fission/node-env-22`,
 * `registry:5000/team/fissium-python@sha256:…`. Others that speak of Python (`python-fastapi-env`) call functions in
 * another way, and are none.
 */
export function runtimeOf(image: string): RuntimeName | null {
  const name = repositoryName(image);
  return RUNTIMES.find(([, pattern]) => pattern.test(name))?.[0] ?? null;
}

/** @throws FissiumError ENVIRONMENT_NOT_SERVED where no local runtime stands for the image */
export function requireRuntime(image: string): RuntimeName {
  const runtime = runtimeOf(image);
  if (runtime !== null) return runtime;
  throw new FissiumError(
    'ENVIRONMENT_NOT_SERVED',
    `No local runtime stands for the image ${JSON.stringify(image)}. In standalone, functions run as WebAssembly (image "wasm"), or as local processes for images named like python-env or node-env (for example ghcr.io/fission/python-env-3.12, fission/node-env). Any other image needs Kubernetes.`,
  );
}

/** The last part of the repository, without tag and digest, lower case. */
function repositoryName(image: string): string {
  const last = image.trim().split('@', 1)[0]?.split('/').at(-1) ?? '';
  return (last.split(':', 1)[0] ?? '').toLowerCase();
}
