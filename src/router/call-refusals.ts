/** Why a function is not called. */
import { FissiumError } from '../errors.ts';
import type { Exchange } from './exchange.ts';
import type { FunctionEntry } from './function-table.ts';

export function notFound(namespace: string, name: string): FissiumError {
  return new FissiumError(
    'FUNCTION_NOT_FOUND',
    `There is no function "${name}" in namespace "${namespace}". See which there are with: ` +
      `fissium function list -n ${namespace}`,
  );
}

export function notUpgraded({ namespace, name }: FunctionEntry, protocol: string): FissiumError {
  return new FissiumError(
    'UPGRADE_NOT_SERVED',
    `Function ${namespace}/${name} runs in WebAssembly, and takes no connection that goes on as ${JSON.stringify(protocol.slice(0, 60))}: ` +
      'only functions of container environments do. It is called with plain HTTP requests, whose bodies stream both ways.',
  );
}

/** Why a function that was refused at its deployment answers nothing: never a status about the request itself. */
export function notCallable({ namespace, name }: FunctionEntry, error: FissiumError): FissiumError {
  if (error.fault !== 'caller') return error;
  return new FissiumError(
    'FUNCTION_FAILED',
    `Function ${namespace}/${name} cannot be called: ${error.message}`,
    {
      cause: error,
    },
  );
}

/** @throws FissiumError BODY_TOO_LARGE where the request says that its body is larger than the function takes */
export function refuseLongBody(exchange: Exchange, { limits }: FunctionEntry): void {
  if (!exchange.hasBody) return;
  const length = Number(exchange.header('content-length') ?? 0);
  if (length <= limits.bodyLimitBytes) return;
  throw new FissiumError(
    'BODY_TOO_LARGE',
    `The request's body has ${length} bytes; the function takes ${limits.bodyLimitBytes}.`,
  );
}
