/** Of a function's name and namespace, together. */
const WORDS_MAX_LENGTH = 35;
const WORD_MAX_LENGTH = 17;
const UID_LENGTH = 17;

/**
 * What a function's Deployment, Service and HPA are called: `newdeploy-hello-default-b1c2-0123456789ab`. Fission's
 * own rule, which users' scripts know; at most 63 characters.
 */
export function objectName(
  strategy: 'newdeploy' | 'container',
  fn: { readonly namespace: string; readonly name: string; readonly uid: string },
): string {
  const isShort = fn.name.length + fn.namespace.length < WORDS_MAX_LENGTH;
  const words = [fn.name, fn.namespace].map((word) => (isShort ? word : word.slice(0, WORD_MAX_LENGTH)));
  return [strategy, ...words, fn.uid.slice(-UID_LENGTH)].join('-').toLowerCase();
}
