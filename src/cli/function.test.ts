import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FissionFunction, Package } from '../api/index.ts';
import { RESOURCES } from '../kube/index.ts';
import { startTestPlatform, testWasm, type CliResult, type TestPlatform } from './testing/platform.ts';

let platform: TestPlatform;
beforeAll(async () => {
  platform = await startTestPlatform();
  await platform.write('hello.wasm', testWasm('hello'));
  await platform.write('second.wasm', testWasm('second'));
  await platform.write('fail.wasm', testWasm('fail'));
  await platform.write('handler.py', 'def main(context):\n    return "Hello"\n');
});
afterAll(() => platform[Symbol.asyncDispose]());

/** Words are separated by single spaces. */
const cli = (line: string): Promise<CliResult> => platform.cli(line.split(' '));
const getFunction = (name: string): Promise<FissionFunction> =>
  platform.client.get<FissionFunction>(RESOURCES.functions, 'default', name);
const packagesOf = async (name: string): Promise<Package[]> => {
  const { items } = await platform.client.list<Package>(RESOURCES.packages, 'default');
  return items.filter(({ metadata }) => metadata.name.startsWith(`${name}-`));
};

describe('function create', () => {
  test('returns when the function and its route answer', async () => {
    expect(await cli('function create --name hello --code hello.wasm --env wasm')).toEqual({
      code: 0,
      stdout: "function 'hello' created\n",
      stderr: '',
    });
    expect(await cli('route create --name hello --function hello --url /hello --method GET')).toEqual({
      code: 0,
      stdout: "trigger 'hello' created\n",
      stderr: '',
    });
    expect(await (await fetch(`${platform.router}/hello`)).text()).toBe('hello GET /');

    const [pkg] = await packagesOf('hello');
    expect(pkg?.metadata.name).toMatch(/^hello-[0-9a-f-]{36}$/);
    expect(pkg?.spec.deployment).toEqual({
      type: 'literal',
      literal: testWasm('hello').toString('base64'),
      checksum: { type: 'sha256', sum: createHash('sha256').update(testWasm('hello')).digest('hex') },
    });
  });

  test('with --url makes the route too', async () => {
    const { code, stdout } = await cli(
      'fn create routed --code=hello.wasm --env=wasm --url routed --method get,post',
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^function 'routed' created\ntrigger 'routed-[0-9a-f]{8}' created\n$/);
    const answer = await fetch(`${platform.router}/routed`, { method: 'POST', body: 'x' });
    expect(await answer.text()).toBe('hello POST / x');
  });

  test('leaves nothing behind where the code is refused, and says why', async () => {
    expect(await cli('fn create --name bad --code handler.py --env wasm')).toMatchInlineSnapshot(`
      {
        "code": 1,
        "stderr": "error: function 'bad' is refused: ArchiveRefused
        why: The archive cannot be used: it is text (source code is not built yet). Supported are a .wasm file and a zip with one.
        fix: nothing was kept; mend it and create it again (--keep keeps it as it is)
      ",
        "stdout": "",
      }
    `);
    expect((await cli('fn getmeta bad')).code).toBe(1);
    expect(await packagesOf('bad')).toEqual([]);
  });

  test('leaves nothing behind where the function cannot be deployed', async () => {
    await platform.write('undeployable.wasm', testWasm('undeployable'));
    const { code, stderr } = await cli('fn create --name bad --code undeployable.wasm --env wasm');
    expect(code).toBe(1);
    expect(stderr).toMatchInlineSnapshot(`
      "error: function 'bad' is refused: DeployFailed
        why: It does not start.
        fix: nothing was kept; mend it and create it again (--keep keeps it as it is)
      "
    `);
    expect((await cli('fn getmeta bad')).code).toBe(1);
    expect(await packagesOf('bad')).toEqual([]);
  });

  test('keeps what is refused with --keep', async () => {
    const { code, stderr } = await cli('fn create --name kept --code handler.py --env wasm --keep');
    expect(code).toBe(1);
    expect(stderr).toContain('were kept');
    expect(await packagesOf('kept')).toHaveLength(1);
  });

  test('uploads code of 256 KiB and more, and get brings it back', async () => {
    const code = testWasm('large', 300_000);
    await platform.write('large.wasm', code);
    expect(await cli('fn create --name large --code large.wasm --env wasm')).toMatchObject({
      code: 0,
      stderr: '',
    });
    const [pkg] = await packagesOf('large');
    expect(pkg?.spec.deployment).toMatchObject({
      type: 'url',
      checksum: { type: 'sha256', sum: createHash('sha256').update(code).digest('hex') },
    });
    expect(pkg?.spec.deployment?.url).toMatch(/^http:\/\/storagesvc\.fission\/v1\/archive\?id=[0-9a-f]{64}$/);
    expect((await cli('fn get large')).stdout).toBe(code.toString());
  });

  test('names the environments that there are', async () => {
    expect((await cli('fn create --name x --code hello.wasm --env wasn')).stderr).toMatchInlineSnapshot(`
      "error: environment "wasn" not found in namespace default
        why: there is: wasm
        fix: did you mean wasm?
      "
    `);
  });

  test('refuses a second one of the same name', async () => {
    expect((await cli('fn create --name hello --code hello.wasm --env wasm')).stderr).toMatchInlineSnapshot(`
      "error: function "hello" already exists in namespace default
        fix: fissium function update --name hello …, or choose another --name
      "
    `);
  });

  test('says which file cannot be read before anything is made', async () => {
    await platform.write('empty.wasm', '');
    expect((await cli('fn create --name x --code empty.wasm --env wasm')).stderr).toContain(
      'is empty (0 bytes)',
    );
    expect((await cli('fn create --name x --code gone.wasm --env wasm')).stderr).toContain('cannot read');
    expect((await cli('fn create --name x --code . --env wasm')).stderr).toContain('is not a file');
  });

  test('takes Fission’s flags and warns of those without effect', async () => {
    const { code, stderr } = await cli(
      'fn create --name flags --code hello.wasm --env wasm --entry main --ft 10 --con 5 --rpp=2 --maxmemory 64 --minscale 1 ' +
        '--executortype newdeploy --yolo=true --insecure=false -e A=1 -e B=x=y --secret s1,s2 --env-from-secret s1/key:ALIAS ' +
        '--labels a=b,c=d --annotation note=1 --allowed-outbound-hosts https://api.example.com:443 --queue 7 --cpu-time 500ms --no-wait',
    );
    expect({ code, stderr }).toMatchInlineSnapshot(`
      {
        "code": 0,
        "stderr": "warning: --executortype newdeploy is not served where the platform runs in one process: it is kept in the resource, without effect
      warning: --minscale is not served where the platform runs in one process: it is kept in the resource, without effect
      warning: secret 's1' does not exist in namespace default
      warning: secret 's2' does not exist in namespace default
      ",
      }
    `);
    const { spec, metadata } = await getFunction('flags');
    const { package: pkg, ...rest } = spec;
    expect(pkg?.functionName).toBe('main');
    expect(metadata.labels).toEqual({ a: 'b', c: 'd' });
    expect(metadata.annotations).toEqual({ note: '1' });
    expect(rest).toMatchInlineSnapshot(`
      {
        "InvokeStrategy": {
          "ExecutionStrategy": {
            "ExecutorType": "newdeploy",
            "MaxScale": 1,
            "MinScale": 1,
          },
          "StrategyType": "execution",
        },
        "concurrency": 5,
        "env": [
          {
            "name": "A",
            "value": "1",
          },
          {
            "name": "B",
            "value": "x=y",
          },
          {
            "name": "ALIAS",
            "valueFrom": {
              "secretKeyRef": {
                "key": "key",
                "name": "s1",
              },
            },
          },
        ],
        "envFrom": [],
        "environment": {
          "name": "wasm",
          "namespace": "default",
        },
        "functionTimeout": 10,
        "onceOnly": true,
        "requestsPerPod": 2,
        "resources": {
          "limits": {
            "memory": "64Mi",
          },
        },
        "secrets": [
          {
            "name": "s1",
            "namespace": "default",
          },
          {
            "name": "s2",
            "namespace": "default",
          },
        ],
        "wasm": {
          "allowedOutboundHosts": [
            "https://api.example.com:443",
          ],
          "cpuTime": "500ms",
          "queue": 7,
        },
      }
    `);
  });

  test('--dry prints the resources without a platform', async () => {
    const { code, stdout } = await platform.cli(
      ['fn', 'create', '--name', 'dry', '--code', 'hello.wasm', '--env', 'wasm', '--dry'],
      { env: { KUBECONFIG: '/nonexistent' } },
    );
    expect(code).toBe(0);
    expect(stdout.replaceAll(/dry-[0-9a-f-]{36}/g, 'dry-UUID')).toMatchInlineSnapshot(`
      "apiVersion: fission.io/v1
      kind: ArchiveUploadSpec
      name: hello-wasm-347b
      include:
        - hello.wasm
      ---
      apiVersion: fission.io/v1
      kind: Package
      metadata:
        name: dry-UUID
      spec:
        environment:
          name: wasm
        deployment:
          type: url
          url: archive://hello-wasm-347b
      ---
      apiVersion: fission.io/v1
      kind: Function
      metadata:
        name: dry
      spec:
        environment:
          name: wasm
        package:
          packageref:
            name: dry-UUID
        InvokeStrategy:
          StrategyType: execution
          ExecutionStrategy:
            ExecutorType: poolmgr
      "
    `);
  });
});

describe('the three commands of the article', () => {
  test('succeed, and the function answers', async () => {
    expect(await cli('environment create --name python-env --image fission/python-env:3.9')).toEqual({
      code: 0,
      stderr: '',
      stdout: "environment 'python-env' created\n",
    });
    const created = await cli('function create --name hello-python --code handler.py --env python-env');
    expect(created).toMatchObject({ code: 0, stdout: "function 'hello-python' created\n" });
    const route = await cli('route create --function hello-python --url /hello-python --method GET');
    expect(route).toMatchObject({ code: 0, stderr: '' });
    expect(route.stdout).toMatch(/^trigger 'hello-python-[0-9a-f]{8}' created\n$/);
    const answer = await fetch(`${platform.router}/hello-python`);
    expect([answer.status, await answer.text()]).toEqual([200, 'Hello']);
    // On the first run Python's packages are installed.
  }, 300_000);

  test('say what is not run, where no local runtime stands for the image', async () => {
    const environment = await cli('environment create --name ruby-env --image fission/ruby-env');
    expect(environment.stderr).toMatch(
      /^warning: functions of environment 'ruby-env' are not run in standalone/,
    );
    const created = await cli('function create --name hello-ruby --code handler.py --env ruby-env');
    expect(created.code).toBe(0);
    expect(created.stderr).toContain(
      '(EnvironmentNotServed): No local runtime stands for the image "fission/ruby-env"',
    );
    await cli('route create --function hello-ruby --url /hello-ruby --method GET');
    expect((await fetch(`${platform.router}/hello-ruby`)).status).toBe(501);
  });
});

describe('function update', () => {
  test('swaps the code and removes what it replaced', async () => {
    await cli('fn create --name swap --code hello.wasm --env wasm');
    const [before] = await packagesOf('swap');
    expect(await cli('fn update --name swap --code second.wasm')).toEqual({
      code: 0,
      stdout: "function 'swap' updated\n",
      stderr: '',
    });
    expect((await cli('fn test swap')).stdout).toBe('second GET /');
    const after = await packagesOf('swap');
    expect(after).toHaveLength(1);
    expect(after[0]?.metadata.name).not.toBe(before?.metadata.name);
  });

  test('leaves the function as it was where the new code is refused', async () => {
    const before = await getFunction('swap');
    const { code, stderr } = await cli('fn update --name swap --code handler.py');
    expect(code).toBe(1);
    expect(stderr).toMatchInlineSnapshot(`
      "error: the update of function 'swap' is refused: ArchiveRefused
        why: The archive cannot be used: it is text (source code is not built yet). Supported are a .wasm file and a zip with one.
        fix: the old version still serves; mend the code and update again
      "
    `);
    expect((await getFunction('swap')).spec).toEqual(before.spec);
    expect((await cli('fn test swap')).stdout).toBe('second GET /');
    expect(await packagesOf('swap')).toHaveLength(1);
  });

  test('takes an update back where the function is refused', async () => {
    const before = await getFunction('swap');
    await platform.write('undeployable.wasm', testWasm('undeployable'));
    const { code, stderr } = await cli('fn update --name swap --code undeployable.wasm');
    expect(code).toBe(1);
    expect(stderr).toContain('the old version still serves and the update was taken back');
    expect((await getFunction('swap')).spec).toEqual(before.spec);
    expect((await cli('fn test swap')).stdout).toBe('second GET /');
    expect(await packagesOf('swap')).toHaveLength(1);
  });

  test('changes settings alone and keeps the rest', async () => {
    const before = await getFunction('swap');
    expect((await cli('fn update --name swap --fntimeout 7 --labels x=y')).code).toBe(0);
    const after = await getFunction('swap');
    expect(after.spec).toEqual({ ...before.spec, functionTimeout: 7 });
    expect(after.metadata.labels).toEqual({ x: 'y' });
  });
});

describe('function test', () => {
  test('prints the body', async () => {
    const { code, stdout, stderr } = await platform.cli(
      [...'fn test --name hello --method post -b - --subpath x/y -H x-a:1 -q'.split(' '), 'a=b c'],
      { stdin: 'from stdin' },
    );
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: 'hello POST /x/y?a=b+c from stdin',
      stderr: '',
    });
  });

  test('shows the error and the logs of that request', async () => {
    await cli('fn create --name fail --code fail.wasm --env wasm');
    const { code, stdout, stderr } = await cli('fn test --name fail');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(
      "error: function 'fail' answered 502 GUEST_TRAPPED: The function trapped: unreachable.",
    );
    expect(stderr).toMatch(/logs of request \S+:\n\[[-0-9T:.]+Z\] fail GET \//);
  });

  test('answers for a function that is not there with those that are', async () => {
    const { code, stderr } = await cli('fn test --name helo');
    expect(code).toBe(1);
    expect(stderr).toContain('function "helo" not found in namespace default');
    expect(stderr).toContain('fix: did you mean hello?');
  });
});

describe('function logs', () => {
  test('shows the newest lines, by request too', async () => {
    await cli('fn create --name wordy --code hello.wasm --env wasm');
    for (const path of ['a', 'b', 'c']) await cli(`fn test wordy --subpath ${path}`);
    expect((await cli('fn logs --name wordy --tail 2')).stdout.replaceAll(/\[.*?\]/g, '[T]')).toBe(
      '[T] hello GET /b\n[T] hello GET /c\n',
    );
    const detailed = (await cli('fn log wordy --detail -r --since 1h')).stdout.split('\n');
    expect(detailed).toHaveLength(4);
    const [, id = ''] = / stderr (\S+) hello GET \/c$/.exec(detailed[0] ?? '') ?? [];
    expect((await cli(`fn logs wordy --reqid ${id}`)).stdout).toMatch(/^\[.*\] hello GET \/c\n$/);
  });

  test('follows until interrupted', async () => {
    const stop = new AbortController();
    let seen = '';
    const following = platform.cli(['fn', 'logs', 'wordy', '-f'], {
      signal: stop.signal,
      onStdout(text) {
        seen += text;
        if (seen.includes('/last')) stop.abort();
      },
    });
    await expect.poll(() => seen).toContain('hello GET /c');
    await cli('fn test wordy --subpath last');
    expect((await following).code).toBe(0);
    expect(seen.match(/GET \/last/g)).toHaveLength(1);
  });
});

describe('function list, getmeta, wait, delete', () => {
  test('lists in columns, as names and as JSON', async () => {
    const { stdout } = await cli('fn list');
    const [head = '', ...rows] = stdout.trimEnd().split('\n');
    expect(head).toBe(head.replace(/[^A-Z ()]/g, ''));
    expect(head.split(/ {3,}/)).toEqual([
      'NAME',
      'ENV',
      'EXECUTORTYPE',
      'MINSCALE',
      'MAXSCALE',
      'MINCPU',
      'MAXCPU',
      'MINMEMORY',
      'MAXMEMORY',
      'SECRETS',
      'CONFIGMAPS',
      'READY',
      'NAMESPACE',
    ]);
    for (const row of rows) expect(row.slice(head.indexOf('NAMESPACE'))).toBe('default');
    expect((await cli('fn list -o name')).stdout.split('\n')).toContain('function/hello');
    const parsed = JSON.parse((await cli('fn list -A -o json')).stdout) as FissionFunction[];
    expect(parsed.map(({ metadata }) => metadata.name)).toContain('hello');
    expect((await cli('fn list -n elsewhere')).stdout.trimEnd().split('\n')).toHaveLength(1);
  });

  test('shows a function and its conditions', async () => {
    const { stdout } = await cli('fn getmeta hello');
    expect(stdout.replace(/hello-[0-9a-f-]{36}/, 'PACKAGE').replace(/\d+s$/m, 'AGE')).toMatchInlineSnapshot(`
      "Name: hello
      Environment: wasm
      Package: PACKAGE

      CONDITIONS:
      TYPE    STATUS   REASON     MESSAGE                               LASTTRANSITION
      Ready   True     Deployed   Every thread serves it (engine p1).   AGE
      "
    `);
    expect((await cli('fn wait hello --for condition=Ready')).stdout).toBe(
      "function 'hello' condition met\n",
    );
    expect((await cli('fn wait hello --for condition=Ready=False --timeout 100ms')).code).toBe(1);
  });

  test('deletes a function with the package that was made for it', async () => {
    await cli('fn create --name shortlived --code hello.wasm --env wasm');
    expect((await cli('fn delete shortlived')).stdout).toBe("function 'shortlived' deleted\n");
    expect(await packagesOf('shortlived')).toEqual([]);
    expect((await cli('fn delete shortlived --ignorenotfound')).code).toBe(0);
    expect((await cli('fn delete shortlived')).code).toBe(1);
  });

  test('leaves a package that was made by hand', async () => {
    await cli('pkg create --name shared --env wasm --code hello.wasm');
    expect((await cli('fn create --name user --pkg shared')).code).toBe(0);
    expect((await cli('fn test user')).stdout).toBe('hello GET /');
    expect((await cli('fn update user --code second.wasm')).code).toBe(0);
    await cli('fn delete user');
    expect((await cli('pkg info shared')).code).toBe(0);
  });
});
