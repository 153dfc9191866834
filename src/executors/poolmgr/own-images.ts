/** Which images hold a runtime of ours, which takes environment variables with the request to specialise. */
import type { Environment } from '../../api/index.ts';

/** `true` on an Environment whose image is ours, or takes `env` as ours do, under whatever name. */
export const RUNTIME_ANNOTATION = 'fissium.io/runtime';

const OWN_IMAGE = /^fissium-(python|node)([-_.].*)?$/;

/**
 * By the last part of the image's name (`registry:5000/team/fissium-python:3.13`), or by the annotation
 * `fissium.io/runtime`, which also says `false` of an image that is only called so.
 */
export function isOwnRuntime({ metadata, spec }: Environment): boolean {
  const said = metadata.annotations?.[RUNTIME_ANNOTATION];
  if (said !== undefined) return said === 'true';
  const last = spec.runtime.image.split('@', 1)[0]?.split('/').at(-1) ?? '';
  return OWN_IMAGE.test((last.split(':', 1)[0] ?? '').toLowerCase());
}
