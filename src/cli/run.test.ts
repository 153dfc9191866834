import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rewriteArguments } from './arguments.ts';
import { CliError } from './errors.ts';
import { duration, flag, parseDuration, text } from './options.ts';
import { run, startTestPlatform, type TestPlatform } from './testing/platform.ts';
import { ENTRIES } from './tree.ts';

describe('the command line', () => {
  test('without arguments shows the help', async () => {
    const { code, stdout } = await run([]);
    expect(code).toBe(0);
    expect(stdout).toContain('Usage: fissium [options] [command]');
    for (const { name } of ENTRIES.filter(({ hidden }) => hidden !== true))
      expect(stdout).toContain(`\n  ${name}`);
    expect((await run(['--help'])).stdout).toBe(stdout);
    expect((await run(['help', 'fn', 'create'])).stdout).toBe((await run(['fn', 'create', '--help'])).stdout);
  });

  test.each([
    ['fm list', 2, "error: unknown command 'fm'"],
    [
      'fn creat',
      2,
      "error: unknown command 'creat'\n  fix: did you mean create? Run `fissium function --help` for what is allowed.",
    ],
    [
      'fn create --nam x',
      2,
      "error: unknown option '--nam'\n  fix: did you mean --name? Run `fissium function create --help`",
    ],
    ['fn get', 2, 'error: missing --name\n  fix: run `fissium function get --help` for what is allowed'],
    ['fn get a --name b', 2, 'error: --name is "b" and "a" stands there too'],
    ['fn get a b', 2, 'error: too many arguments'],
    ['fn list -o xml', 2, 'error: --output is "xml"\n  why: allowed: json, yaml, wide, name'],
    [
      'fn test a --timeout soon',
      2,
      'error: --timeout is "soon"\n  why: allowed: a duration like 30s, 5m, 1h30m, 500ms',
    ],
    ['up --port 65536', 2, 'error: --port is "65536"\n  why: allowed: an integer from 0 to 65535'],
    ['up --api-port x', 2, 'error: --api-port is "x"\n  why: allowed: an integer from 0 to 65535'],
    ['up --workers 0', 2, 'error: --workers is "0"\n  why: allowed: an integer from 1 to 1024'],
    ['timer create --name x --cron @daily', 1, 'error: timetrigger is not served yet'],
    ['fn runc --name x --image y', 1, 'error: function run-container is not served yet'],
  ])('%s', async (line, code, stderr) => {
    const result = await run(line.split(' '));
    expect(result).toMatchObject({ code, stdout: '' });
    expect(result.stderr).toContain(stderr);
  });

  test('takes global options anywhere', async () => {
    for (const line of ['-n x fn list', 'fn -n x list', 'fn list -n x', 'fn list -n=x --kube-context=y']) {
      const { stderr } = await run([...line.split(' '), '--kubeconfig', '/nonexistent/config']);
      expect(stderr).toMatch(
        /^error: The kubeconfig \/nonexistent\/config does not exist\.\n {2}fix: Start the platform with `fissium up`/,
      );
    }
  });

  test('-v shows the stack, also in Fission’s form -v 2; -v 1 does not', async () => {
    const line = 'fn list --kubeconfig /nonexistent/config';
    for (const verbose of ['-v', '-v 2', '--verbosity=2']) {
      expect((await run(`${line} ${verbose}`.split(' '))).stderr).toMatch(/\n {4}at /);
    }
    expect((await run(`${line} -v 1`.split(' '))).stderr).not.toMatch(/\n {4}at /);
  });

  test('says how to start a platform where none answers', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fissium-run-'));
    try {
      const config = join(folder, 'config');
      await writeFile(
        config,
        JSON.stringify({
          clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }],
          users: [{ name: 'u', user: { token: 't' } }],
          contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
          'current-context': 'x',
        }),
      );
      const { code, stderr } = await run(['fn', 'list', '--kubeconfig', config]);
      expect(code).toBe(1);
      expect(stderr).toBe(
        `error: the platform does not answer\n  why: The API server https://127.0.0.1:1 (kubeconfig ${config}) does not answer: connect ECONNREFUSED 127.0.0.1:1.\n  fix: start it with \`fissium up\`, or name another kubeconfig with --kubeconfig\n`,
      );
      const check = await run(['check', '--kubeconfig', config]);
      expect(check.code).toBe(1);
      expect(check.stdout).toContain('kubernetes-api: failed: ');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('version and check', () => {
  let platform: TestPlatform;
  beforeAll(async () => {
    platform = await startTestPlatform();
  });
  afterAll(() => platform[Symbol.asyncDispose]());

  test('version shows both sides', async () => {
    expect((await platform.cli(['version', '-o', 'json'])).stdout.replaceAll(process.version, 'NODE'))
      .toMatchInlineSnapshot(`
        "{
          "client": {
            "fissium/core": {
              "Version": "0.1.0",
              "Node": "NODE"
            }
          },
          "server": {
            "fissium/core": {
              "Version": "0.1.0"
            },
            "fission/core": {
              "Version": "v1.27.0"
            }
          }
        }
        "
      `);
    expect((await run(['version', '--client'])).stdout).toMatch(
      /^client:\n {2}fissium\/core:\n {4}Version: /,
    );
    expect((await run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test('check goes through the parts', async () => {
    const { code, stdout } = await platform.cli(['check']);
    expect(code).toBe(0);
    expect(stdout.replaceAll(/: ok: .*/g, ': ok')).toMatchInlineSnapshot(`
      "kubeconfig: ok
      kubernetes-api: ok
      fission.io/v1: ok
      environment-wasm: ok
      router: ok
      router-internal: ok
      storage: ok
      "
    `);
  });

  test('check names the part that fails and how to mend it', async () => {
    const { code, stdout } = await platform.cli(['check', '-n', 'empty'], {
      env: { FISSION_STORAGESVC_URL: 'http://127.0.0.1:1' },
    });
    expect(code).toBe(1);
    expect(stdout).toContain(
      'environment-wasm: failed: namespace empty has no environment with image wasm\n  fix: make it: fissium environment create --name wasm --image wasm\n',
    );
    expect(stdout).toMatch(
      /storage: failed: .*127\.0\.0\.1:1.*\n {2}fix: see the platform’s log; set FISSION_STORAGESVC_URL/,
    );
  });

  test('a name that exists in another namespace is pointed out', async () => {
    const { stderr } = await platform.cli(['env', 'get', 'wasm', '-n', 'elsewhere']);
    expect(stderr).toContain('fix: it exists in namespace default: add -n default');
  });
});

describe('completion', () => {
  test('bash accepts the script, and it completes nouns, verbs, options and choices', async () => {
    const { stdout } = await run(['completion', 'bash']);
    execFileSync('bash', ['-n'], { input: stdout });
    const complete = (line: string): string[] => {
      const words = line.split(' ');
      const script = `${stdout}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _fissium; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim().split('\n');
    };
    expect(complete('fissium fu')).toEqual(['function']);
    expect(complete('fissium fn cr')).toEqual(['create']);
    expect(complete('fissium -n x fn create --entry')).toEqual(['--entrypoint']);
    expect(complete('fissium fn list -o j')).toEqual(['json']);
    expect(complete('fissium completion z')).toEqual(['zsh']);
  });

  test.each(['zsh', 'fish'])('%s has a script', async (shell) => {
    const { code, stdout } = await run(['completion', shell]);
    expect(code).toBe(0);
    expect(stdout).toContain('function');
  });
});

function attempt(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}

describe('arguments', () => {
  const specs = [flag('yes', '', { short: 'y' }), text('name', '', { short: 'n' }), duration('wait', '')];

  test.each([
    ['--yes=true', '--yes'],
    ['-y=false', '--no-yes'],
    ['-n=a=b', '-n a=b'],
    ['--name=true', '--name=true'],
    ['-v 2', '--verbosity=2'],
    ['-- --yes=false', '-- --yes=false'],
  ])('%s is %s', (given, expected) => {
    expect(rewriteArguments(given.split(' '), specs).join(' ')).toBe(expected);
  });

  test('durations are Go’s', () => {
    expect(['1h30m', '500ms', '2', '1.5s', '-1s', '1d'].map((value) => parseDuration(value, '--x'))).toEqual([
      5_400_000, 500, 2000, 1500, -1000, 86_400_000,
    ]);
    // Any other text is refused as a usage error, never read as something.
    fc.assert(
      fc.property(fc.string(), (value) => {
        const parsed = attempt(() => parseDuration(value, '--x'));
        return parsed instanceof CliError || Number.isFinite(parsed);
      }),
    );
  });
});

test('every option of every command has its own names', async () => {
  for (const entry of ENTRIES) {
    const loaded = await entry.load();
    for (const command of 'commands' in loaded ? loaded.commands : [loaded]) {
      const names = Object.values(command.options).flatMap(({ flag: long, short, aliases = [] }) => [
        long,
        ...aliases,
        ...(short === undefined ? [] : [`-${short}`]),
      ]);
      expect(new Set(names).size, `${entry.name} ${command.name}`).toBe(names.length);
      for (const name of ['namespace', 'kubeconfig', 'context', 'verbose', '-n', '-v'])
        expect(names).not.toContain(name);
    }
  }
});
