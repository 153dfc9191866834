import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { loadKubeConfig, type LoadOptions } from './kube-config.ts';

let folder: string;
let options: LoadOptions & { env: Record<string, string> };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-kubeconfig-'));
  await mkdir(join(folder, 'home', '.kube'), { recursive: true });
  await mkdir(join(folder, 'cwd', '.fissium'), { recursive: true });
  options = { env: {}, cwd: join(folder, 'cwd'), home: join(folder, 'home') };
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const b64 = (text: string): string => Buffer.from(text).toString('base64');

function config(server: string, { user = {}, cluster = {}, name = 'main' } = {}): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, ...cluster } }],
    users: [{ name, user: { token: 'tok', ...user } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'team' } }],
    'current-context': name,
  });
}

async function put(path: string, text: string): Promise<string> {
  const file = join(folder, path);
  await writeFile(file, text);
  return file;
}

/** What an agent was made with; not in its type. */
const optionsOf = (agent: object): Record<string, unknown> =>
  (agent as { options: Record<string, unknown> }).options;

describe('loadKubeConfig', () => {
  it('takes --kubeconfig, then $KUBECONFIG, then the folder, then home', async () => {
    await put('home/.kube/config', config('https://home:1'));
    const found = async (path?: string): Promise<string> => (await loadKubeConfig(path, options)).server;
    expect(await found()).toBe('https://home:1');
    await put('cwd/.fissium/kubeconfig', config('https://folder:1'));
    expect(await found()).toBe('https://folder:1');
    options.env.KUBECONFIG = await put('env', config('https://env:1/prefix/'));
    expect(await found()).toBe('https://env:1/prefix');
    await put('cwd/named', config('https://named:1'));
    expect(await found('named')).toBe('https://named:1');
  });

  it('says where it found the config and which namespace it has', async () => {
    const file = await put('cwd/.fissium/kubeconfig', config('https://folder:1'));
    const connection = await loadKubeConfig(undefined, options);
    expect(connection).toMatchObject({ source: file, namespace: 'team', context: 'main' });
  });

  it('merges the files of $KUBECONFIG, the first to name something winning, missing ones passed over', async () => {
    const first = await put('one', config('https://one:1', { name: 'a' }));
    const second = await put('two', config('https://two:1', { name: 'b' }));
    options.env.KUBECONFIG = [join(folder, 'none'), first, second].join(delimiter);
    expect((await loadKubeConfig(undefined, options)).server).toBe('https://one:1');
    expect((await loadKubeConfig(undefined, { ...options, context: 'b' })).server).toBe('https://two:1');
  });

  it.each([
    ['nothing anywhere', {}, undefined, /fissium up/],
    ['a named file that is not there', {}, 'nowhere', /nowhere does not exist.*fissium up/],
    [
      '$KUBECONFIG that is not there',
      { KUBECONFIG: '/nowhere' },
      undefined,
      /\$KUBECONFIG names \/nowhere.*Unset/,
    ],
  ])('explains %s', async (_, env, path, message) => {
    await expect(loadKubeConfig(path, { ...options, env })).rejects.toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(message) as unknown,
    });
  });

  it.each([
    ['not YAML', '{{{', /cannot be used/],
    ['no context', '{}', /no current-context/],
    ['a missing context', JSON.stringify({ 'current-context': 'x' }), /no context "x"; it has none/],
    ['a server that is no URL', config('nonsense'), /is "nonsense", not an http\(s\) URL/],
    [
      'a missing user',
      JSON.stringify({ ...(JSON.parse(config('https://x:1')) as object), users: [] }),
      /names user "main"; it has none/,
    ],
  ])('explains a config with %s', async (_, text, message) => {
    await put('cwd/bad', text);
    await expect(loadKubeConfig('bad', options)).rejects.toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(message) as unknown,
    });
  });
});

describe('credentials', () => {
  // The short way past client-node's KubeConfig must give what the library gives.
  it.each([
    ['a token', {}, {}],
    [
      'a client certificate as data',
      { user: { token: undefined, 'client-certificate-data': b64('C'), 'client-key-data': b64('K') } },
      {},
    ],
    [
      'files relative to the kubeconfig',
      {
        user: { 'client-certificate': 'c.pem', 'client-key': 'k.pem' },
        cluster: { 'certificate-authority': 'ca.pem' },
      },
      {},
    ],
    [
      'an authority as data and another server name',
      { cluster: { 'certificate-authority-data': b64('CA'), 'tls-server-name': 'api' } },
      {},
    ],
    ['no check of certificates', { cluster: { 'insecure-skip-tls-verify': true } }, {}],
    ['impersonation', { user: { as: 'somebody' } }, {}],
    ['a user and a password', { user: { token: undefined, username: 'u', password: 'p' } }, {}],
    [
      'plain HTTP that is allowed',
      { cluster: { 'insecure-skip-tls-verify': true } },
      { server: 'http://x:1' },
    ],
  ])(
    'are the same with and without client-node for %s',
    async (_, parts, { server = 'https://x:1' }: { server?: string }) => {
      for (const file of ['c.pem', 'k.pem', 'ca.pem']) await put(`cwd/${file}`, file);
      await put('cwd/config', config(server, parts));
      const [short, library] = await Promise.all(
        [false, true].map(async (useLibrary) => {
          const { credentials } = await loadKubeConfig('config', { ...options, useLibrary });
          const { headers, agent } = await credentials.next();
          const { ca, cert, key, servername, rejectUnauthorized } = optionsOf(agent);
          credentials.close();
          return { headers, kind: agent.constructor.name, ca, cert, key, servername, rejectUnauthorized };
        }),
      );
      expect(short).toEqual(library);
    },
  );

  it('keep one agent for all requests, with the library too', async () => {
    await put(
      'cwd/config',
      config('https://x:1', { user: { token: undefined, username: 'u', password: 'p' } }),
    );
    const { credentials } = await loadKubeConfig('config', options);
    const [first, second] = [await credentials.next(), await credentials.next()];
    expect(second.agent).toBe(first.agent);
    expect(optionsOf(first.agent)).toMatchObject({ keepAlive: true });
    credentials.close();
  });

  it('come from an exec plugin where the kubeconfig names one', async () => {
    const credential = JSON.stringify({
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'from-plugin' },
    });
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'echo', args: [credential] };
    await put('cwd/config', config('https://x:1', { user: { token: undefined, exec } }));
    const { credentials } = await loadKubeConfig('config', options);
    expect((await credentials.next()).headers).toMatchObject({ authorization: 'Bearer from-plugin' });
    credentials.close();
  });
});
