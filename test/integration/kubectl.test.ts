/** The embedded API against the client that everyone uses. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FULL_OBJECTS } from '../../src/api/testing/full-objects.ts';
import { startApiServerThread, type ApiServer } from '../../src/apiserver/index.ts';

const run = promisify(execFile);

async function kubectlIsThere(): Promise<boolean> {
  try {
    await run('kubectl', ['version', '--client']);
    return true;
  } catch {
    process.stdout.write('SKIPPED: the kubectl tests, because no kubectl is in PATH\n');
    return false;
  }
}

const available = await kubectlIsThere();

const FUNCTION = {
  apiVersion: 'fission.io/v1',
  kind: 'Function',
  metadata: { name: 'hello', namespace: 'default', labels: { app: 'demo' } },
  spec: {
    environment: { name: 'wasm' },
    package: { packageref: { name: 'hello' } },
  },
};

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe.skipIf(!available)('kubectl', () => {
  let folder: string;
  let server: ApiServer;
  let env: NodeJS.ProcessEnv;
  const children = new Set<ChildProcess>();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fissium-kubectl-'));
    server = await startApiServerThread(
      { dataDir: join(folder, 'data'), port: 0, logLevel: 'warn' },
      pino({ level: 'silent' }),
    );
    env = {
      ...process.env,
      KUBECONFIG: server.kubeconfigPath,
      HOME: folder,
      KUBECACHEDIR: join(folder, 'cache'),
    };
    await kubectl('create', 'namespace', 'team');
  });

  afterAll(async () => {
    for (const child of children) child.kill();
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Its output; rejects if it fails. */
  async function kubectl(...args: string[]): Promise<string> {
    const { stdout } = await run('kubectl', args, { env, timeout: 30_000 });
    return stdout;
  }

  /** With input, and whatever comes of it. */
  async function outcome(args: string[], input = '', more: NodeJS.ProcessEnv = {}): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const child = spawn('kubectl', args, { env: { ...env, ...more } });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (chunk) => (stdout += String(chunk)));
      child.stderr.on('data', (chunk) => (stderr += String(chunk)));
      child.on('error', reject);
      child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
      child.stdin.end(input);
    });
  }

  function apply(object: object, ...more: string[]): Promise<Outcome> {
    return outcome(['apply', '-f', '-', ...more], JSON.stringify(object));
  }

  /** For what a test starts from. */
  async function applied(object: object): Promise<void> {
    const { code, stderr } = await apply(object);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  }

  const named = (name: string, spec: object = {}): typeof FUNCTION => ({
    ...FUNCTION,
    metadata: { ...FUNCTION.metadata, name },
    spec: { ...FUNCTION.spec, ...spec },
  });

  test('version and api-resources name the server and its kinds', async () => {
    expect(await kubectl('version')).toMatch(/Server Version: v1\.\d+\.\d+\+fissium/);
    const resources = await kubectl('api-resources');
    expect(resources).toMatch(/functions\s+fn\s+fission\.io\/v1\s+true\s+Function/);
    expect(resources).toMatch(/namespaces\s+ns\s+v1\s+false\s+Namespace/);
  });

  test('apply creates, changes, and leaves alone what is the same', async () => {
    expect((await apply(named('applied'))).stdout).toContain('function.fission.io/applied created');
    expect((await apply(named('applied'))).stdout).toContain('unchanged');
    expect((await apply(named('applied', { concurrency: 7 }))).stdout).toContain('configured');
    expect(
      await kubectl('get', 'fn', 'applied', '-o', 'jsonpath={.spec.concurrency}/{.metadata.generation}'),
    ).toBe('7/2');
    // What is taken out of the manifest goes out of the object.
    expect((await apply(named('applied'))).stdout).toContain('configured');
    expect(await kubectl('get', 'fn', 'applied', '-o', 'jsonpath={.spec.concurrency}')).toBe('');
  });

  test('apply refuses an unknown field by name, and with --validate=warn drops it', async () => {
    const refused = await apply(named('strict', { nosuch: 1 }));
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('strict decoding error: unknown field "spec.nosuch"');
    const warned = await apply(named('strict', { nosuch: 1 }), '--validate=warn');
    expect(warned.stderr).toContain('Warning: unknown field "spec.nosuch"');
    expect(await kubectl('get', 'fn', 'strict', '-o', 'json')).not.toContain('nosuch: 1');
  });

  test('apply says what is wrong with a value', async () => {
    const refused = await apply(named('wrong', { concurrency: 'many' }));
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/Function.* "wrong" is invalid: spec\.concurrency/);
  });

  test('server-side apply is refused with a reason', async () => {
    const { code, stderr } = await apply(named('ssa'), '--server-side');
    expect(code).toBe(1);
    expect(stderr).toContain('server-side apply is not supported by this API server');
  });

  test('--dry-run=server checks and stores nothing', async () => {
    expect((await apply(named('dry'), '--dry-run=server')).stdout).toContain('created (server dry run)');
    const { code, stderr } = await outcome(['get', 'fn', 'dry']);
    expect(code).toBe(1);
    expect(stderr).toContain('functions.fission.io "dry" not found');
  });

  test('get prints the columns of the kind, more of them with -o wide, and all namespaces with -A', async () => {
    await applied(named('listed'));
    const inTeam = { ...named('listed'), metadata: { name: 'listed', namespace: 'team' } };
    await applied(inTeam);
    const narrow = await kubectl('get', 'fn', 'listed');
    const wide = await kubectl('get', 'fn', 'listed', '-o', 'wide');
    expect(narrow).toMatch(/^NAME\s+ENVIRONMENT\s+PACKAGE.*AGE/);
    expect(wide.split('\n')[0]?.length).toBeGreaterThan(narrow.split('\n')[0]?.length ?? 0);
    expect(await kubectl('get', 'fn', '-A')).toMatch(/team\s+listed/);
    expect(await kubectl('get', 'fn', '-A', '-l', 'app=demo', '-o', 'name')).not.toContain('team');
    expect(
      await kubectl('get', 'fn', '-n', 'team', '--field-selector', 'metadata.name=listed', '-o', 'name'),
    ).toBe('function.fission.io/listed\n');
  });

  test('get -w shows changes as they come', async () => {
    const child = spawn('kubectl', ['get', 'fn', '-w', '-n', 'team'], { env });
    children.add(child);
    let seen = '';
    const shows = (text: RegExp): Promise<void> =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!text.test(seen)) return;
          child.stdout.off('data', look);
          resolve();
        };
        child.stdout.on('data', look);
        look();
      });
    child.stdout.on('data', (chunk) => (seen += String(chunk)));
    const watched = { ...named('watched'), metadata: { name: 'watched', namespace: 'team' } };
    await applied(watched);
    await shows(/watched\s+wasm/);
    await applied({ ...watched, spec: { ...watched.spec, environment: { name: 'other' } } });
    await shows(/watched\s+other/);
    await kubectl('delete', 'fn', 'watched', '-n', 'team');
    await shows(/(watched\s+other[^]*){2}/);
    expect(seen.match(/NAME/g)).toHaveLength(1);
    child.kill();
    children.delete(child);
  });

  test('edit changes with the editor of the user', async () => {
    await applied(named('edited'));
    const editor = join(folder, 'editor.sh');
    await writeFile(editor, '#!/bin/sh\nsed -i "s/app: demo/app: edited/" "$1"\n');
    await chmod(editor, 0o755);
    const { code, stderr } = await outcome(['edit', 'fn', 'edited'], '', {
      EDITOR: editor,
      KUBE_EDITOR: editor,
    });
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(await kubectl('get', 'fn', 'edited', '-o', 'jsonpath={.metadata.labels.app}')).toBe('edited');
  });

  test('patch: merge and JSON on ours, strategic on the core kinds only', async () => {
    await applied(named('patched'));
    await kubectl('patch', 'fn', 'patched', '--type=merge', '-p', '{"spec":{"concurrency":3}}');
    await kubectl(
      'patch',
      'fn',
      'patched',
      '--type=json',
      '-p',
      '[{"op":"add","path":"/spec/requestsPerPod","value":2}]',
    );
    const path = 'jsonpath={.spec.concurrency}/{.spec.requestsPerPod}';
    expect(await kubectl('get', 'fn', 'patched', '-o', path)).toBe('3/2');
    const refused = await outcome(['patch', 'fn', 'patched', '-p', '{"spec":{"concurrency":4}}']);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('strategic merge patch is not supported');
    await kubectl('create', 'configmap', 'patched', '--from-literal=a=1');
    await kubectl('patch', 'configmap', 'patched', '-p', '{"data":{"b":"2"}}');
    expect(await kubectl('get', 'cm', 'patched', '-o', 'jsonpath={.data}')).toBe('{"a":"1","b":"2"}');
  });

  test('label and annotate', async () => {
    await applied(named('labelled'));
    await kubectl('label', 'fn', 'labelled', 'tier=front');
    await kubectl('label', 'fn', 'labelled', 'app-');
    await kubectl('annotate', 'fn', 'labelled', 'note=kept');
    const { metadata } = JSON.parse(await kubectl('get', 'fn', 'labelled', '-o', 'json')) as typeof FUNCTION;
    expect(metadata).toMatchObject({ labels: { tier: 'front' }, annotations: { note: 'kept' } });
    expect(metadata.labels).not.toHaveProperty('app');
    const refused = await outcome(['label', 'fn', 'labelled', 'tier=back']);
    expect(refused.stderr).toContain('already has a value');
  });

  test('create configmap, secret and namespace, whose bodies are protobuf', async () => {
    await kubectl('create', 'configmap', 'settings', '--from-literal=mode=fast');
    await kubectl('create', 'secret', 'generic', 'password', '--from-literal=key=s3cret');
    await kubectl('create', 'namespace', 'created');
    expect(await kubectl('get', 'cm', 'settings', '-o', 'jsonpath={.data.mode}')).toBe('fast');
    const value = await kubectl('get', 'secret', 'password', '-o', 'jsonpath={.data.key}');
    expect(Buffer.from(value, 'base64').toString()).toBe('s3cret');
    expect(await kubectl('get', 'secret', 'password')).toMatch(/password\s+Opaque\s+1/);
    expect(await kubectl('get', 'ns', 'created')).toMatch(/created\s+Active/);
    expect(await kubectl('describe', 'secret', 'password')).toContain('key:  6 bytes');
    const again = await outcome(['create', 'namespace', 'created']);
    expect(again.stderr).toContain('namespaces "created" already exists');
  });

  test('describe shows the object and its events', async () => {
    await applied(named('described'));
    const uid = await kubectl('get', 'fn', 'described', '-o', 'jsonpath={.metadata.uid}');
    const now = new Date().toISOString().replace(/\.\d+/, '');
    await outcome(
      ['create', '-f', '-'],
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { generateName: 'described.', namespace: 'default' },
        involvedObject: {
          apiVersion: 'fission.io/v1',
          kind: 'Function',
          name: 'described',
          namespace: 'default',
          uid,
        },
        reason: 'Prepared',
        message: 'the package was prepared',
        type: 'Normal',
        source: { component: 'fissium' },
        firstTimestamp: now,
        lastTimestamp: now,
        count: 1,
      }),
    );
    const described = await kubectl('describe', 'fn', 'described');
    expect(described).toMatch(/Name:\s+described/);
    expect(described).toMatch(/Normal\s+Prepared\s+\S+\s+fissium\s+the package was prepared/);
    expect(await kubectl('get', 'events')).toMatch(/Normal\s+Prepared\s+function\/described/);
    expect(await kubectl('events', '--for', 'function.fission.io/described')).toContain('Prepared');
  });

  test('wait follows a condition in the status, which only /status writes', async () => {
    await applied(named('waited'));
    const waiting = outcome(['wait', '--for=condition=Ready', 'fn/waited', '--timeout=20s']);
    const now = new Date().toISOString().replace(/\.\d+/, '');
    const ready = {
      type: 'Ready',
      status: 'True',
      reason: 'Deployed',
      message: 'it is served',
      lastTransitionTime: now,
    };
    const patch = JSON.stringify({ status: { conditions: [ready] } });
    await kubectl('patch', 'fn', 'waited', '--type=merge', '-p', patch);
    expect(await kubectl('get', 'fn', 'waited', '-o', 'jsonpath={.status}')).toBe('');
    await kubectl('patch', 'fn', 'waited', '--subresource=status', '--type=merge', '-p', patch);
    const { code, stdout } = await waiting;
    expect(stdout).toContain('condition met');
    expect(code).toBe(0);
    expect(await kubectl('get', 'fn', 'waited')).toMatch(/True/);
  });

  test('explain describes fields', async () => {
    expect(await kubectl('explain', 'function.spec')).toMatch(/KIND:\s+Function[^]*concurrency\s+<integer>/);
    expect(await kubectl('explain', 'configmap.data')).toContain('FIELD: data');
  });

  test('auth can-i and whoami', async () => {
    expect(await kubectl('auth', 'can-i', 'create', 'functions')).toBe('yes\n');
    expect(await kubectl('auth', 'can-i', '--list')).toContain('[*]');
    expect(await kubectl('auth', 'whoami')).toContain('fissium-admin');
  });

  test('delete waits for the end, also of a whole namespace', async () => {
    await applied(named('deleted'));
    expect(await kubectl('delete', 'fn', 'deleted')).toContain('deleted');
    expect(await kubectl('delete', 'fn', 'deleted', '--ignore-not-found')).toBe('');
    await kubectl('create', 'namespace', 'leaving');
    await kubectl('create', 'configmap', 'content', '-n', 'leaving', '--from-literal=a=1');
    await kubectl('delete', 'namespace', 'leaving');
    const gone = await outcome(['get', 'configmap', 'content', '-n', 'leaving']);
    expect(gone.stderr).toContain('not found');
    const refused = await outcome(['delete', 'namespace', 'default']);
    expect(refused.stderr).toContain('this namespace may not be deleted');
  });

  test('delete -l and --all, and --cascade=orphan and foreground', async () => {
    for (const name of ['many-a', 'many-b']) await kubectl('create', 'configmap', name, '-n', 'team');
    await kubectl('label', 'cm', 'many-a', 'many-b', '-n', 'team', 'many=yes');
    expect(await kubectl('delete', 'cm', '-l', 'many=yes', '-n', 'team')).toMatch(/many-a[^]*many-b/);

    for (const cascade of ['orphan', 'foreground'] as const) {
      await applied(named(`owner-${cascade}`));
      const uid = await kubectl('get', 'fn', `owner-${cascade}`, '-o', 'jsonpath={.metadata.uid}');
      const owner = {
        apiVersion: 'fission.io/v1',
        kind: 'Function',
        name: `owner-${cascade}`,
        uid,
        blockOwnerDeletion: true,
      };
      const owned = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: `owned-${cascade}`, ownerReferences: [owner] },
      };
      await applied(owned);
      await kubectl('delete', 'fn', `owner-${cascade}`, `--cascade=${cascade}`);
      const { code } = await outcome(['get', 'cm', `owned-${cascade}`]);
      expect(code).toBe(cascade === 'orphan' ? 0 : 1);
    }
  });

  test('what the server does not have is unknown, not an error of its own', async () => {
    const { stderr } = await outcome(['get', 'cronjobs']);
    expect(stderr).toContain('the server doesn\'t have a resource type "cronjobs"');
    const raw = await outcome(['get', '--raw', '/apis/batch/v1/namespaces/default/cronjobs']);
    expect(raw.stderr).toContain('the server could not find the requested resource');
  });

  test('takes objects with every field set, strictly, and gives them back unchanged', async () => {
    for (const object of FULL_OBJECTS) {
      const file = join(folder, 'full.json');
      await writeFile(file, JSON.stringify(object));
      expect(await kubectl('apply', '-f', file)).toContain('created');
      expect(await kubectl('apply', '-f', file)).toContain('unchanged');
      const text = await kubectl('get', object.kind, object.metadata.name, '-o', 'json');
      // kubectl itself sends no nulls.
      const sent = JSON.parse(
        JSON.stringify(object.spec, (_, value: unknown) => value ?? undefined),
      ) as unknown;
      expect((JSON.parse(text) as { spec: unknown }).spec).toEqual(sent);
    }
  });

  test('knows the triggers that are not served yet, by short names, columns and explanation', async () => {
    expect(await kubectl('get', 'tt,mqt,kwt')).toMatch(/@every 5m[^]*kafka[^]*orders[^]*Pod/);
    expect(await kubectl('explain', 'timetrigger.spec.cron')).toContain('5 fields');
    const wrong = join(folder, 'wrong.yaml');
    await writeFile(
      wrong,
      'apiVersion: fission.io/v1\nkind: TimeTrigger\nmetadata: {name: a}\nspec: {cron: soon, functionref: {name: a}, crom: x}\n',
    );
    const refused = await outcome(['apply', '-f', wrong]);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/spec\.crom/);
  });

  describe('what runs', () => {
    let upstream: Server;

    beforeAll(async () => {
      upstream = createServer((request, response) => {
        if (request.url?.startsWith('/v1/logs/') !== true) response.end(`answered ${request.url}`);
        else response.end('{"time":"2026-11-27T10:00:00.000Z","line":"hello from a guest"}\n');
      });
      await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
      const url = `http://127.0.0.1:${portOf(upstream)}`;
      server.setUpstreams({ router: url, 'router-internal': url, storage: url });
      const file = join(folder, 'runs.json');
      await writeFile(
        file,
        JSON.stringify({ ...FUNCTION, metadata: { name: 'runs', namespace: 'default' } }),
      );
      await kubectl('apply', '-f', file);
    });

    afterAll(async () => {
      upstream?.closeAllConnections();
      await new Promise((resolve) => upstream.close(resolve));
    });

    test('shows as Pods, with the log of each', async () => {
      const name = await kubectl('get', 'pods', '-l', 'functionName=runs', '-o', 'name');
      expect(name.trim()).toMatch(/^pod\/runs-[0-9a-f]{8}$/);
      expect(await kubectl('get', name.trim())).toMatch(/READY +STATUS[^]*0\/1 +NotReconciled/);
      expect(await kubectl('describe', name.trim())).toContain('Controlled By:  Function/runs');
      expect(await kubectl('logs', name.trim(), '--tail', '5')).toBe('hello from a guest\n');
      expect((await outcome(['delete', name.trim()])).stderr).toContain('change or delete the Function');
      expect(await kubectl('get', 'deployments,services', '-n', 'fission')).toMatch(
        /router +1\/1[^]*80\/TCP,8889\/TCP/,
      );
    });

    test('is reached by port forwarding', async () => {
      const child = spawn(
        'kubectl',
        ['port-forward', '-n', 'fission', 'pod/router', `0:${portOf(upstream)}`],
        { env },
      );
      children.add(child);
      const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
      const port = /127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      for (const path of ['/one', '/two']) {
        const answer = await fetch(`http://127.0.0.1:${port}${path}`);
        expect(await answer.text()).toBe(`answered ${path}`);
      }
      child.kill();
    });
  });
});

function portOf(listening: Server): number {
  // A TCP server's address is never a pipe's name.
  return (listening.address() as AddressInfo).port;
}
