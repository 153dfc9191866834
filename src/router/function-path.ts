import { matchForm, pathFromSegment } from './request-path.ts';

export interface NamedFunction {
  readonly namespace: string;
  readonly name: string;
  /** What the function sees, without the query. */
  readonly functionPath: string;
}

export const FUNCTION_PREFIX = '/fission-function/';
const DEFAULT_NAMESPACE = 'default';

/**
 * Reads `/fission-function/[namespace/]name[/subpath]`, the way by which a function is called without a route.
 *
 * Which of `/fission-function/a/b` it is, function `b` in namespace `a` or subpath `/b` of function `a`, is
 * decided by which function exists, the namespace first.
 * @returns the candidates, best first
 */
export function namedFunctions(path: string): NamedFunction[] {
  const [first = '', second = ''] = path.slice(FUNCTION_PREFIX.length).split('/', 2).map(matchForm);
  if (first === '') return [];
  const folded = { namespace: DEFAULT_NAMESPACE, name: first, functionPath: pathFromSegment(path, 2) };
  if (second === '') return [folded];
  return [{ namespace: first, name: second, functionPath: pathFromSegment(path, 3) }, folded];
}
