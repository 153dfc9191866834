/** What a person needs to see after a test has failed. */
import { tryKubectl } from './kubectl.ts';

const TAIL_LINES = 60;

async function section(title: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await tryKubectl(args);
  return `--- ${title}\n${(stdout + stderr).trimEnd()}\n`;
}

/** Objects, events and pods' logs of a namespace. */
export async function describeNamespace(namespace: string): Promise<string> {
  const kinds = 'environments,packages,functions,httptriggers,deployments,services,hpa,pods';
  const parts = [
    await section(
      `objects in ${namespace}`,
      'get',
      kinds,
      '-n',
      namespace,
      '-o',
      'wide',
      '--ignore-not-found',
    ),
    await section(
      `events in ${namespace}`,
      'get',
      'events',
      '-n',
      namespace,
      '--sort-by=.metadata.creationTimestamp',
    ),
    ...(await logsOf(namespace)),
  ];
  return parts.join('');
}

/** The last lines of every container of a namespace's pods, of those that ended before as well. */
export async function logsOf(namespace: string, selector = ''): Promise<string[]> {
  const { stdout } = await tryKubectl(['get', 'pods', '-n', namespace, '-l', selector, '-o', 'name']);
  const parts: string[] = [];
  for (const pod of stdout.split('\n').filter((line) => line !== '')) {
    const logs = ['logs', '-n', namespace, pod, '--all-containers', '--prefix', `--tail=${TAIL_LINES}`];
    parts.push(await section(`${namespace} ${pod}`, ...logs));
    const before = await tryKubectl([...logs, '--previous']);
    if (before.stdout !== '') parts.push(`--- ${namespace} ${pod}, before its restart\n${before.stdout}`);
  }
  return parts;
}
