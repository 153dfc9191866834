/** JavaScript Promise Integration, which TypeScript's DOM types (7.0) do not know yet. */
interface PromiseIntegration {
  readonly Suspending: new (call: (...args: number[]) => number | Promise<number>) => WebAssembly.ImportValue;
  promising(call: WebAssembly.ExportValue): () => Promise<void>;
}

const integration = WebAssembly as unknown as PromiseIntegration;

/** An import that suspends its caller while it returns a promise. */
export function suspending(call: (...args: number[]) => number | Promise<number>): WebAssembly.ImportValue {
  return new integration.Suspending(call);
}

/** An export whose imports may suspend it. */
export function promising(call: WebAssembly.ExportValue): () => Promise<void> {
  return integration.promising(call);
}
