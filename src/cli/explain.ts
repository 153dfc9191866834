/** Turns whatever a command threw into what the user reads: what failed, why, how to fix it. */
import { ApiError } from '../kube/index.ts';
import { FissiumError } from '../errors.ts';
import { CliError, messageOf, systemCode } from './errors.ts';

export function explain(thrown: unknown): CliError {
  if (thrown instanceof CliError) return thrown;
  if (thrown instanceof ApiError) return explainApi(thrown);
  if (thrown instanceof FissiumError) return explainFissium(thrown);
  const code = systemCode(thrown);
  if (code === 'ENOENT') {
    return new CliError(`no such file: ${pathOf(thrown)}`, { why: messageOf(thrown), cause: thrown });
  }
  if (code === 'EACCES') {
    return new CliError(`no permission: ${pathOf(thrown)}`, { why: messageOf(thrown), cause: thrown });
  }
  if (code === 'EISDIR')
    return new CliError(`${pathOf(thrown)} is a directory, not a file`, { cause: thrown });
  return new CliError(messageOf(thrown), { fix: 'run the command with -v for the stack', cause: thrown });
}

function explainFissium(error: FissiumError): CliError {
  if (error.code === 'API_UNREACHABLE') {
    return new CliError('the platform does not answer', {
      why: error.message.replace(/ If (it is|the platform is).*$/s, ''),
      fix: 'start it with `fissium up`, or name another kubeconfig with --kubeconfig',
      cause: error,
    });
  }
  // These messages say themselves what to do.
  const [what = '', fix] = error.message.split(/(?<=\.) (?=Start |Unset )/);
  return new CliError(what, { ...(fix === undefined ? {} : { fix }), cause: error });
}

interface StatusDetails {
  readonly kind?: string;
  readonly name?: string;
  readonly causes?: readonly { readonly field?: string; readonly message?: string }[];
}

function explainApi(error: ApiError): CliError {
  const details = (
    typeof error.details === 'object' && error.details !== null ? error.details : {}
  ) as StatusDetails;
  const subject = [details.kind, details.name === undefined ? undefined : `"${details.name}"`]
    .filter((part) => part !== undefined && part !== '')
    .join(' ');
  switch (error.reason) {
    case 'NotFound':
      return details.name === undefined || details.name === ''
        ? new CliError('the API server does not serve fission.io/v1', {
            why: error.message,
            fix: 'the kubeconfig leads to a cluster without Fissium: start one with `fissium up`, or name another kubeconfig with --kubeconfig',
            cause: error,
          })
        : new CliError(`${subject} not found`, { why: error.message, cause: error });
    case 'AlreadyExists':
      return new CliError(`${subject} already exists`, {
        why: error.message,
        fix: 'choose another --name, or use `update` instead of `create`',
        cause: error,
      });
    case 'Conflict':
      return new CliError(`${subject} was changed by somebody else meanwhile`, {
        why: error.message,
        fix: 'run the command again',
        cause: error,
      });
    case 'Invalid':
      return new CliError(`${subject === '' ? 'the resource' : subject} is not valid`, {
        why: causes(details) ?? error.message,
        cause: error,
      });
    case 'Unauthorized':
    case 'Forbidden':
      return new CliError('the API server refuses these credentials', {
        why: error.message,
        fix: 'use the kubeconfig that `fissium up` printed (a data directory made anew has new credentials)',
        cause: error,
      });
    default:
      return new CliError(error.message, {
        why: `the API server answered ${error.status} ${error.reason}`,
        cause: error,
      });
  }
}

function causes({ causes: list = [] }: StatusDetails): string | undefined {
  if (list.length === 0) return undefined;
  return list
    .map(({ field = '', message = '' }) => (field === '' ? message : `${field}: ${message}`))
    .join('\n');
}

function pathOf(thrown: unknown): string {
  return thrown instanceof Error && 'path' in thrown && typeof thrown.path === 'string'
    ? thrown.path
    : messageOf(thrown);
}
