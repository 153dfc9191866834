import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { resolveFunction } from './index.ts';
import type { FissionFunction } from './index.ts';
import { validateFunction } from './function-checks.ts';
import { fn } from './testing/examples.ts';

const messages = (object: unknown): string[] =>
  validateFunction(object).map(({ path, message }) => `${path} ${message}`);

// As it stands in the article that users start from.
const ARTICLE = `
apiVersion: fission.io/v1
kind: Function
metadata:
  name: hello-python
spec:
  environment:
    name: python-env
    version: 3.9
  package:
    functionref:
      name: hello-pkg
      resource: hello-python
  route:
    methods: ["GET"]
    url: /hello
`;

describe('short forms', () => {
  const article = parse(ARTICLE) as FissionFunction;

  it('are accepted and normalised, and the object stays as it was', () => {
    const before = structuredClone(article);
    expect(messages(article)).toEqual([]);
    expect(resolveFunction(article)).toMatchObject({
      namespace: 'default',
      name: 'hello-python',
      environment: { namespace: 'default', name: 'python-env', version: '3.9' },
      package: { namespace: 'default', name: 'hello-pkg' },
      entrypoint: 'hello-python',
      entrypointOptional: true,
      route: { url: '/hello', methods: ['GET'] },
    });
    expect(article).toEqual(before);
  });

  it('take the version as text too, and a route without methods', () => {
    const resolved = resolveFunction(
      fn({ environment: { name: 'py', version: '3.10' }, route: { url: '/a' } }),
    );
    expect(resolved.environment.version).toBe('3.10');
    expect(resolved.route).toEqual({ url: '/a', methods: ['GET'] });
  });

  it('stand beside the long forms only where both say the same', () => {
    const both = (name: string) => fn({ package: { packageref: { name: 'a' }, functionref: { name } } });
    expect(messages(both('a'))).toEqual([]);
    expect(messages(both('b'))).toEqual([
      'spec.package.functionref.name names "b", but packageref names "a"; give one',
    ]);
  });

  it("puts the environment and the package in the function's namespace", () => {
    const object = { ...fn(), metadata: { name: 'f', namespace: 'team-a' } };
    const resolved = resolveFunction(object);
    expect([resolved.environment.namespace, resolved.package?.namespace]).toEqual(['team-a', 'team-a']);
  });
});

describe('scale', () => {
  const scaled = (strategy: object, spec: object = {}) =>
    resolveFunction(
      fn({
        InvokeStrategy: {
          ExecutionStrategy: { ExecutorType: 'newdeploy', MaxScale: 3, ...strategy },
          StrategyType: 'execution',
        },
        ...spec,
      }),
    );

  it('is there for newdeploy and container only', () => {
    expect(resolveFunction(fn()).scale).toBeNull();
    expect(scaled({}).scale).toEqual({
      min: 0,
      max: 3,
      cpuPercent: null,
      metrics: [],
      behavior: null,
      callsPerPod: 20,
    });
  });

  it('takes what is written, and 1 for requestsPerPod as nothing asked', () => {
    const metrics = [{ type: 'Resource' }];
    expect(
      scaled(
        { MinScale: 1, TargetCPUPercent: 50, hpaMetrics: metrics, hpaBehavior: { scaleDown: {} } },
        { requestsPerPod: 4 },
      ).scale,
    ).toEqual({ min: 1, max: 3, cpuPercent: 50, metrics, behavior: { scaleDown: {} }, callsPerPod: 4 });
    expect(scaled({}, { requestsPerPod: 1 }).scale?.callsPerPod).toBe(20);
  });

  it('comes with how long pods stay idle and may take to start', () => {
    expect(scaled({ SpecializationTimeout: 7 }, { idletimeout: 30 })).toMatchObject({
      idleTimeoutMs: 30_000,
      startTimeoutMs: 7000,
    });
    expect(resolveFunction(fn())).toMatchObject({ idleTimeoutMs: 120_000, startTimeoutMs: 120_000 });
  });
});

describe('limits', () => {
  it('have defaults', () => {
    expect(resolveFunction(fn()).limits).toEqual({
      firstByteTimeoutMs: 60_000,
      idleTimeoutMs: 60_000,
      totalTimeoutMs: null,
      memoryBytes: 134_217_728,
      bodyLimitBytes: 268_435_456,
      concurrency: 500,
      queue: 1000,
      cpuTimeMs: 10_000,
      cpuWeight: 0.1,
    });
  });

  it("take Fission's zeros for the defaults", () => {
    const zeros = fn({
      functionTimeout: 0,
      concurrency: 0,
      requestsPerPod: 0,
      idletimeout: 0,
      streaming: { idleTimeoutSeconds: 0, maxDurationSeconds: 0 },
    });
    expect(resolveFunction(zeros).limits).toEqual(resolveFunction(fn()).limits);
  });

  it('come from the spec, in their own units', () => {
    const { limits, wasm } = resolveFunction(
      fn({
        functionTimeout: 5,
        concurrency: 4,
        requestsPerPod: 3,
        resources: { limits: { memory: '1Gi' } },
        wasm: {
          cpuTime: 2,
          queue: 0,
          bodyLimit: '1M',
          idleTimeout: '1m30s',
          totalTimeout: '1h',
          allowedOutboundHosts: ['*.example.org'],
          instance: { mode: 'reuse', maxRequests: 10, idleTimeout: '5s', maxConcurrent: 2 },
        },
      }),
    );
    expect(limits).toEqual({
      firstByteTimeoutMs: 5000,
      idleTimeoutMs: 90_000,
      totalTimeoutMs: 3_600_000,
      memoryBytes: 1_073_741_824,
      bodyLimitBytes: 1_000_000,
      concurrency: 12,
      queue: 0,
      cpuTimeMs: 2000,
      cpuWeight: 0.1,
    });
    expect(wasm).toEqual({
      instance: { mode: 'reuse', maxRequests: 10, idleTimeoutMs: 5000, maxConcurrent: 2 },
      allowedOutboundHosts: ['*.example.org'],
    });
  });

  it.each([
    [{ requests: { cpu: '250m' }, limits: { cpu: 2 } }, 0.25],
    [{ limits: { cpu: '2' } }, 2],
    [{ requests: { cpu: 0, memory: '1Mi' } }, 0.01],
    [{ requests: { cpu: '64' } }, 10],
  ])('weigh a function by its cpu: %j', (resources, weight) => {
    expect(resolveFunction(fn({ resources })).limits.cpuWeight).toBe(weight);
  });

  it("take Fission's streaming limits where the wasm block says nothing", () => {
    const streaming = { idleTimeoutSeconds: 30, maxDurationSeconds: 600 };
    expect(resolveFunction(fn({ streaming })).limits).toMatchObject({
      idleTimeoutMs: 30_000,
      totalTimeoutMs: 600_000,
    });
    const wins = resolveFunction(fn({ streaming, wasm: { idleTimeout: 7 } })).limits;
    expect(wins).toMatchObject({ idleTimeoutMs: 7000, totalTimeoutMs: 600_000 });
  });

  it.each([
    [{ cpuTime: '0s' }, 'spec.wasm.cpuTime must be over 0'],
    [{ cpuTime: 'soon' }, 'spec.wasm.cpuTime must be whole seconds or a duration'],
    [{ totalTimeout: '25000h' }, 'spec.wasm.totalTimeout must be over 0 and 24 days'],
    [{ bodyLimit: '-1' }, 'spec.wasm.bodyLimit must be a quantity'],
    [{ queue: -1 }, 'spec.wasm.queue must be 0 at least, but is -1'],
    [{ allowedOutboundHosts: ['a.example/x'] }, 'spec.wasm.allowedOutboundHosts[0] "a.example/x" has a path'],
  ])('refuses spec.wasm %j', (wasm, message) => {
    expect(messages(fn({ wasm }))[0]).toContain(message);
  });

  it('refuses what timers and memories cannot hold', () => {
    expect(messages(fn({ functionTimeout: 3_000_000 }))[0]).toContain(
      'spec.functionTimeout must be from 0 to 2073600',
    );
    expect(messages(fn({ resources: { limits: { memory: 0 } } }))).toEqual([
      'spec.resources.limits.memory must be over 0',
    ]);
    expect(messages(fn({ resources: { limits: { memory: '12 MB' } } }))[0]).toContain(
      'must be a quantity such as 128Mi',
    );
  });
});

describe('annotations', () => {
  it('say what spec.wasm says, one by one', () => {
    const resolved = resolveFunction(
      fn(
        {},
        {
          'fissium.io/wasm-allowed-outbound-hosts': 'https://api.example.com:443, *.example.org',
          'fissium.io/wasm-cpu-time': '500ms',
          'fissium.io/wasm-queue': '5',
          'fissium.io/wasm-body-limit': '1Ki',
          'fissium.io/wasm-idle-timeout': '10',
          'fissium.io/wasm-total-timeout': '2m',
          'fissium.io/wasm-instance-mode': 'reuse',
          'fissium.io/wasm-instance-max-requests': '7',
          'fissium.io/wasm-instance-idle-timeout': '1m',
          'fissium.io/wasm-instance-max-concurrent': '3',
        },
      ),
    );
    expect(resolved.limits).toMatchObject({
      cpuTimeMs: 500,
      queue: 5,
      bodyLimitBytes: 1024,
      idleTimeoutMs: 10_000,
      totalTimeoutMs: 120_000,
    });
    expect(resolved.wasm).toEqual({
      instance: { mode: 'reuse', maxRequests: 7, idleTimeoutMs: 60_000, maxConcurrent: 3 },
      allowedOutboundHosts: ['https://api.example.com:443', '*.example.org'],
    });
  });

  it('yield to the spec, and the JSON to the single ones, field by field', () => {
    const resolved = resolveFunction(
      fn(
        { wasm: { queue: 1, instance: { mode: 'fresh' } } },
        {
          'fissium.io/wasm':
            '{"queue":3,"cpuTime":"3s","bodyLimit":"3Ki","instance":{"mode":"reuse","maxRequests":3}}',
          'fissium.io/wasm-cpu-time': '2s',
        },
      ),
    );
    expect(resolved.limits).toMatchObject({ queue: 1, cpuTimeMs: 2000, bodyLimitBytes: 3072 });
    expect(resolved.wasm.instance).toMatchObject({ mode: 'fresh', maxRequests: 3 });
  });

  it.each([
    [{ 'fissium.io/wasm': '{' }, 'metadata.annotations[fissium.io/wasm] must be JSON like spec.wasm'],
    [{ 'fissium.io/wasm': '[]' }, 'metadata.annotations[fissium.io/wasm] must be an object, but is a list'],
    [
      { 'fissium.io/wasm': '{"nosuch":1}' },
      'metadata.annotations[fissium.io/wasm].nosuch is not a field here',
    ],
    [
      { 'fissium.io/wasm': '{"queue":"x"}' },
      'metadata.annotations[fissium.io/wasm].queue must be a whole number',
    ],
    [
      { 'fissium.io/wasm-queue': 'x' },
      'metadata.annotations[fissium.io/wasm-queue] must be a whole number, but is "x"',
    ],
    [
      { 'fissium.io/wasm-nosuch': '1' },
      'metadata.annotations[fissium.io/wasm-nosuch] is not known; there are',
    ],
    [
      { 'fissium.io/wasm-instance-mode': 'old' },
      'metadata.annotations[fissium.io/wasm-instance-mode] must be one of fresh, reuse',
    ],
  ])('are refused where they make no sense: %j', (annotations, message) => {
    const found = validateFunction(fn({}, annotations));
    expect(found.map(({ path, message: text }) => `${path} ${text}`)[0]).toContain(message);
    expect(found.some(({ unknown }) => unknown)).toBe(false);
  });
});

describe('checks', () => {
  const strategy = (ExecutorType: 'poolmgr' | 'newdeploy' | 'container', rest: object = {}) => ({
    InvokeStrategy: { ExecutionStrategy: { ExecutorType, ...rest } },
  });

  it.each([
    [{ environment: {} }, 'spec.environment.name is required'],
    [
      { environment: { name: 'wasm', namespace: 'other' } },
      `spec.environment.namespace must be the object's own namespace, "default"`,
    ],
    [
      { secrets: [{ name: 'a', namespace: 'other' }] },
      `spec.secrets[0].namespace must be the object's own namespace`,
    ],
    [{ secrets: [{ name: 'a' }, { name: 'a' }] }, 'spec.secrets[1].name must not be twice in the list'],
    [
      { configmaps: [{ name: 'a', mountPath: '../x' }] },
      'spec.configmaps[0].mountPath must be a relative folder',
    ],
    [
      {
        configmaps: [
          { name: 'a', mountPath: 'x/' },
          { name: 'b', mountPath: './x' },
        ],
      },
      'spec.configmaps[1].mountPath is the folder of "a"',
    ],
    [{ env: [{ name: 'FISSION_X' }] }, 'spec.env[0].name must not be "FISSION_X"'],
    [{ env: [{ name: 'A=B' }] }, 'spec.env[0].name must be printable ASCII'],
    [{ env: [{ name: 'A' }, { name: 'A' }] }, 'spec.env[1].name must not be twice'],
    [
      { env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'x' } } }] },
      'spec.env[0].valueFrom.fieldRef is not supported',
    ],
    [
      { env: [{ name: 'A', value: 'x', valueFrom: { secretKeyRef: { name: 'a', key: 'b' } } }] },
      'spec.env[0].valueFrom cannot stand beside value',
    ],
    [{ envFrom: [{}] }, 'spec.envFrom[0] must have one of secretRef and configMapRef'],
    [
      { resources: { requests: { cpu: 'two' } } },
      'spec.resources.requests.cpu must be a quantity of cores such as 100m, 0.5 or 2, but is "two"',
    ],
    [{ resources: { limits: { cpu: '-1' } } }, 'spec.resources.limits.cpu must not be negative, but is "-1"'],
    [{ route: { url: 'hello' } }, 'spec.route.url must start with /'],
    [strategy('container'), 'spec.podspec is required by executor container'],
    [strategy('newdeploy', { MinScale: 3, MaxScale: 2 }), 'MaxScale must be MinScale (3) at least, but is 2'],
    [
      { ...strategy('newdeploy', { MaxScale: 1 }), provisionedConcurrency: { target: 1 } },
      'spec.provisionedConcurrency is for executor poolmgr',
    ],
    [{ podspec: { hostNetwork: true } }, 'spec.podspec.hostNetwork is not allowed'],
    [
      { podspec: { containers: [{ securityContext: { privileged: true } }] } },
      'spec.podspec.containers[0].securityContext.privileged must not be true',
    ],
    [
      { podspec: { volumes: [{ name: 'x', hostPath: { path: '/' } }] } },
      'spec.podspec.volumes[0].hostPath is not allowed',
    ],
    [{ tool: {} }, 'spec.tool.description is required'],
    [{ invocation: { maxAge: '200h' } }, 'spec.invocation.maxAge must be over 0 and 168h at most'],
    [{ invocation: { onSuccess: {} } }, 'spec.invocation.onSuccess must have one of function and topic'],
    [{ onceOnly: true, wasm: { instance: { mode: 'reuse' as const } } }, 'spec.onceOnly cannot stand beside'],
  ])('refuse %j', (spec, message) => {
    expect(messages(fn(spec as Partial<FissionFunction['spec']>))[0]).toContain(message);
  });

  it('let a container function go without environment and package', () => {
    const container = fn({
      environment: {},
      package: undefined,
      podspec: { containers: [] },
      ...strategy('container', { MaxScale: 1 }),
    });
    expect(messages(container)).toEqual([]);
    const resolved = resolveFunction(container);
    expect(resolved).toMatchObject({
      package: null,
      entrypoint: '',
      entrypointOptional: false,
      strategy: 'container',
    });
    expect(resolved.notServed).toContain('spec.InvokeStrategy.ExecutionStrategy.ExecutorType');
  });
});

describe('resolveFunction', () => {
  it('gives the variables with where they come from', () => {
    const { env, envFrom } = resolveFunction(
      fn({
        env: [
          { name: 'A', value: 'x' },
          { name: 'B' },
          { name: 'C', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
        ],
        envFrom: [{ configMapRef: { name: 'c', optional: true }, prefix: 'P_' }],
      }),
    );
    expect(env).toEqual([
      { name: 'A', from: 'value', value: 'x' },
      { name: 'B', from: 'value', value: '' },
      { name: 'C', from: 'secret', object: { namespace: 'default', name: 's' }, key: 'k', optional: false },
    ]);
    expect(envFrom).toEqual([
      { from: 'configMap', object: { namespace: 'default', name: 'c' }, prefix: 'P_', optional: true },
    ]);
  });

  it('is frozen throughout', () => {
    const resolved = resolveFunction(fn({ wasm: { allowedOutboundHosts: ['a.example'] } }));
    expect(Object.isFrozen(resolved.limits)).toBe(true);
    expect(() => Object.assign(resolved.wasm.allowedOutboundHosts, { 0: 'b.example' })).toThrow(TypeError);
  });

  it('names what is set and not served, and nothing else', () => {
    expect(resolveFunction(fn()).notServed).toEqual([]);
    expect(resolveFunction(fn({}, { 'fissium.io/wasm-instance-mode': 'reuse' })).notServed).toEqual([]);
    const fresh = fn({ wasm: { instance: { maxRequests: 3, idleTimeout: '5s' } } });
    expect(resolveFunction(fresh).notServed).toEqual([
      'spec.wasm.instance.maxRequests',
      'spec.wasm.instance.idleTimeout',
    ]);
  });

  it('tolerates unknown fields but nothing that is wrong', () => {
    const object = fn();
    const later = { ...object.spec, later: 1 };
    expect(resolveFunction({ ...object, spec: later }).name).toBe('hello');
    expect(() => resolveFunction(fn({ functionTimeout: -1 }))).toThrow(
      expect.objectContaining({
        code: 'RESOURCE_INVALID',
        message: 'Function default/hello: spec.functionTimeout must be from 0 to 2073600, but is -1.',
      }),
    );
  });
});
