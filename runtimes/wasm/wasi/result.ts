/** `result<ok, err>` as the glue code takes it; returned, never thrown, which costs a guest's error path little. */
export type Result<Ok, Err> =
  | { readonly tag: 'ok'; readonly val: Ok }
  | { readonly tag: 'err'; readonly val: Err };

export function ok(): { tag: 'ok'; val: undefined };
export function ok<Ok>(val: Ok): { tag: 'ok'; val: Ok };
export function ok<Ok>(val?: Ok): { tag: 'ok'; val: Ok | undefined } {
  return { tag: 'ok', val };
}

export function err(): { tag: 'err'; val: undefined };
export function err<Err>(val: Err): { tag: 'err'; val: Err };
export function err<Err>(val?: Err): { tag: 'err'; val: Err | undefined } {
  return { tag: 'err', val };
}
