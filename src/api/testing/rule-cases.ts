/**
 * Objects that are to be accepted or refused, by the embedded API (`validate`) and by a Kubernetes API server that
 * has `crds/` (schemas and CEL rules). The few that only the embedded API refuses are marked.
 */
import type { KindName } from '../index.ts';
import { environment, fn, pkg, queueTrigger, timeTrigger, trigger, watchTrigger } from './examples.ts';

export interface RuleCase {
  readonly object: object;
  /** `ours`: an API server cannot see it, or could only at too high a cost. */
  readonly refused: 'no' | 'both' | 'ours';
}

type Spec = Readonly<Record<string, unknown>>;

const BASE: Readonly<Record<KindName, { readonly spec: object }>> = {
  Environment: environment(),
  Function: fn(),
  Package: pkg(),
  HTTPTrigger: trigger(),
  TimeTrigger: timeTrigger(),
  MessageQueueTrigger: queueTrigger(),
  KubernetesWatchTrigger: watchTrigger(),
};

const cases = (kind: KindName, refused: RuleCase['refused'], ...specs: readonly Spec[]): RuleCase[] =>
  specs.map((spec) => ({ object: { ...BASE[kind], spec: { ...BASE[kind].spec, ...spec } }, refused }));

const strategy = (ExecutionStrategy: Spec): Spec => ({ InvokeStrategy: { ExecutionStrategy } });
const pod = (spec: Spec): Spec => ({ runtime: { image: 'a', podspec: spec } });
const deployment = (archive: Spec): Spec => ({ deployment: archive });
const kafka = (spec: Spec): Spec => ({ messageQueueType: 'kafka', ...spec });
const KIB_256 = Buffer.alloc(256 * 1024).toString('base64');

export const RULE_CASES: readonly RuleCase[] = [
  ...(Object.keys(BASE) as KindName[]).flatMap((kind) => [
    { object: BASE[kind], refused: 'no' as const },
    { object: { ...BASE[kind], metadata: { name: 'a.b', namespace: 'default' } }, refused: 'both' as const },
    { object: { ...BASE[kind], metadata: { name: 'a'.repeat(64) } }, refused: 'both' as const },
  ]),

  ...cases('Environment', 'no', { poolsize: 3 }, pod({ containers: [{ name: 'hello', anything: 1 }] })),
  ...cases(
    'Environment',
    'both',
    { version: 4 },
    { runtime: { image: '' } },
    pod({ hostNetwork: true }),
    pod({ hostPID: true }),
    pod({ serviceAccountName: 'admin' }),
    pod({ volumes: [{ name: 'root', hostPath: { path: '/' } }] }),
    pod({ containers: [{ name: 'a', securityContext: { privileged: true } }] }),
    pod({ initContainers: [{ name: 'a', securityContext: { capabilities: { add: ['SYS_ADMIN'] } } }] }),
    { builder: { image: 'a', container: { securityContext: { allowPrivilegeEscalation: true } } } },
  ),
  ...cases(
    'Environment',
    'ours',
    pod({ ephemeralContainers: [{ name: 'a', securityContext: { privileged: true } }] }),
    pod({ volumes: [{ name: 'keys', secret: { secretName: 'fissium-host-keys' } }] }),
    pod({
      volumes: [
        {
          name: 'keys',
          projected: { sources: [{ configMap: { name: 'a' } }, { secret: { name: 'fissium-host-keys' } }] },
        },
      ],
    }),
    pod({
      initContainers: [
        {
          name: 'a',
          env: [
            {
              name: 'A',
              valueFrom: { secretKeyRef: { name: 'fissium-fetcher-keys', key: 'FISSION_FETCHER_KEY' } },
            },
          ],
        },
      ],
    }),
    { runtime: { image: 'a', container: { envFrom: [{ secretRef: { name: 'fissium-host-keys' } }] } } },
    { builder: { image: 'a', container: { envFrom: [{ secretRef: { name: 'fissium-builder-keys' } }] } } },
    { resources: { limits: { memory: 'much' } } },
  ),

  ...cases(
    'Function',
    'no',
    strategy({ ExecutorType: 'newdeploy', MinScale: 0, MaxScale: 3, TargetCPUPercent: 80 }),
    strategy({ ExecutorType: 'poolmgr', MinScale: 5, MaxScale: 1 }),
    { environment: {}, podspec: { containers: [] }, ...strategy({ ExecutorType: 'container', MaxScale: 1 }) },
    {
      // As Fission's CLI writes it.
      environment: { name: '', namespace: '' },
      package: { packageref: { name: '', namespace: '' } },
      podspec: { containers: [] },
      ...strategy({ ExecutorType: 'container', MaxScale: 1 }),
    },
    { secrets: [{ name: 'db', mountPath: './creds/' }], configmaps: null },
    { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'db', key: 'k' } } }], envFrom: null },
    { wasm: { cpuTime: '500ms', idleTimeout: 30, instance: { mode: 'reuse', idleTimeout: '2m' } } },
    { invocation: { maxAge: '168h', retry: { maxAttempts: 3, backoffBase: '1.5s' } } },
    { environment: { name: 'wasm', version: 3.9 }, route: { url: '/hello', methods: ['GET'] } },
    { package: { functionref: { name: 'hello-pkg', resource: 'hello.py' } } },
  ),
  ...cases(
    'Function',
    'both',
    { environment: {} },
    strategy({ ExecutorType: 'newdeploy' }),
    strategy({ ExecutorType: 'newdeploy', MinScale: 3, MaxScale: 2 }),
    strategy({ ExecutorType: 'newdeploy', MinScale: -1, MaxScale: 2 }),
    strategy({ ExecutorType: 'newdeploy', MaxScale: 2, TargetCPUPercent: 101 }),
    strategy({ ExecutorType: 'container', MaxScale: 1 }),
    { ...strategy({ ExecutorType: 'newdeploy', MaxScale: 1 }), provisionedConcurrency: { target: 1 } },
    { podspec: { hostIPC: true } },
    { package: { packageref: { name: 'a' }, functionref: { name: 'b' } } },
    { package: { functionName: 'main', functionref: { name: 'a', resource: 'b' } } },
    { secrets: [{ name: 'Db' }] },
    { secrets: [{ name: 'db' }, { name: 'db' }] },
    { configmaps: [{ name: 'a', mountPath: '../etc' }] },
    { configmaps: [{ name: 'a', mountPath: '/etc' }] },
    { env: [{ name: 'FISSION_X', value: '1' }] },
    { env: [{ name: 'A=B', value: '1' }] },
    { env: [{ name: 'A', value: '1', valueFrom: { secretKeyRef: { name: 'db', key: 'k' } } }] },
    { env: [{ name: 'A', valueFrom: {} }] },
    { env: [{ name: 'A', valueFrom: { secretKeyRef: { key: 'k' } } }] },
    { env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }] },
    { envFrom: [{}] },
    { envFrom: [{ secretRef: { name: 'a' }, configMapRef: { name: 'a' } }] },
    { concurrency: -1 },
    { functionTimeout: -1 },
    { streaming: { idleTimeoutSeconds: 30, maxDurationSeconds: 10 } },
    { tool: { description: ' ' } },
    { state: { defaultTTL: 'soon' } },
    { invocation: { retry: { maxAttempts: 4 } } },
    { invocation: { maxAge: '169h' } },
    { invocation: { onSuccess: {} } },
    { invocation: { onSuccess: { function: { name: '' } } } },
    { onceOnly: true, wasm: { instance: { mode: 'reuse' } } },
    { route: { url: 'hello' } },
  ),
  ...cases(
    'Function',
    'ours',
    { environment: { name: 'wasm', namespace: 'other' } },
    { configmaps: [{ name: 'a', mountPath: 'x/../../etc' }] },
    { env: [{ name: 'A' }, { name: 'A' }] },
    { tool: { description: 'x', inputSchema: {} } },
    { wasm: { allowedOutboundHosts: ['http://a/b'] } },
    { wasm: { cpuTime: '0s' } },
    // Keys of the platform.
    { secrets: [{ name: 'fissium-host-keys' }] },
    { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'fissium-fetcher-keys', key: 'k' } } }] },
    { envFrom: [{ secretRef: { name: 'fissium-host-keys', optional: true } }] },
    {
      environment: {},
      podspec: { containers: [{ envFrom: [{ secretRef: { name: 'fissium-host-keys' } }] }] },
      ...strategy({ ExecutorType: 'container', MaxScale: 1 }),
    },
  ),

  ...cases(
    'Package',
    'no',
    deployment({ literal: 'aGVsbG8=', checksum: {} }),
    deployment({ literal: KIB_256 }),
    deployment({ literal: '+/+/' }),
    deployment({ literal: 'aGVs\nbG8=\n' }),
    deployment({ oci: { image: 'a', subPath: 'a/b/' } }),
    { source: { type: 'url', url: 'https://a.example/a.zip' } },
  ),
  ...cases(
    'Package',
    'both',
    { environment: {} },
    deployment({ literal: 'aGVsbG8=', url: 'https://a.example' }),
    deployment({ literal: 'aGVsbG8=', oci: { image: 'a' } }),
    deployment({ literal: `${KIB_256}aGVsbG8=` }),
    deployment({ literal: '###' }),
    deployment({ literal: 'aGVsbG8' }),
    deployment({ literal: Buffer.alloc(300 * 1024).toString('base64') }),
    deployment({ url: 'a.wasm' }),
    deployment({ type: 'oci' }),
    deployment({ oci: { image: 'a', subPath: 'a/../b' } }),
    deployment({ oci: { image: 'a', subPath: '/a' } }),
    deployment({ oci: { image: `a@sha256:${'0'.repeat(64)}`, digest: `sha256:${'0'.repeat(64)}` } }),
    deployment({ url: 'https://a.example', checksum: { sum: 'abc' } }),
    deployment({ url: 'https://a.example', checksum: { type: 'sha256', sum: 'abc' } }),
    { source: { oci: { image: 'a' } } },
  ),

  ...cases(
    'HTTPTrigger',
    'no',
    { relativeurl: '/a/{id:[0-9 ]+}/b' },
    { relativeurl: '', prefix: '/a' },
    { functionref: { type: 'function-weights', functionweights: { a: 90, b: 10 } } },
    { functionref: { type: 'name', name: 'a', functionweights: null } },
    { corsConfig: { allowOrigins: ['*', 'https://a.example:8443'], maxAge: '10m' } },
    { routeConfig: { provider: 'gateway', gateway: { parentRefs: [{ name: 'edge' }] } } },
    { ingressconfig: { annotations: null, path: '/a', host: '*.a.example', tls: '' } },
  ),
  ...cases(
    'HTTPTrigger',
    'both',
    { relativeurl: '' },
    { relativeurl: 'hello' },
    { relativeurl: '/' },
    { relativeurl: '/a/../b' },
    { relativeurl: '/a?b' },
    { relativeurl: '/readyz' },
    { prefix: '/fission-function/x' },
    { host: 'Exämple' },
    { method: 'get' },
    { functionref: {} },
    { functionref: { name: 'A' } },
    { functionref: { name: 'a', alias: 'b', version: 'c' } },
    { functionref: { type: 'function-weights', functionweights: { a: 0 } } },
    { functionref: { type: 'function-weights', functionweights: { a: -1, b: 1 } } },
    { functionref: { type: 'function-weights', functionweights: { A: 1 } } },
    { functionref: { type: 'function-weights', alias: 'a', functionweights: { a: 1 } } },
    { corsConfig: { allowOrigins: ['*'], allowCredentials: true } },
    { corsConfig: { allowOrigins: ['https://a.example/x'] } },
    { corsConfig: { exposeHeaders: ['X\r\nSet-Cookie: a'] } },
    { corsConfig: { maxAge: '10' } },
    { ingressconfig: { path: 'x' } },
    { ingressconfig: { host: 'a*b' } },
    { routeConfig: { provider: 'gateway' } },
    { routeConfig: { provider: 'gateway', tls: 'a', gateway: { parentRefs: [{ name: 'edge' }] } } },
    { routeConfig: { provider: 'ingress', hostnames: ['A'] } },
  ),
  ...cases('HTTPTrigger', 'ours', { routeConfig: { provider: 'ingress', annotations: { 'a b': '' } } }),

  ...cases(
    'TimeTrigger',
    'no',
    ...[
      '*/5 * * * *',
      '0 30 9 * * MON-FRI',
      '@daily',
      '@every 1h30m',
      'TZ=Europe/Berlin 0 9 * * *',
      ' 0  9 * * ? ',
    ].map((cron) => ({ cron })),
    { method: 'get', subpath: 'reports' },
    { method: '', subpath: '' },
  ),
  ...cases(
    'TimeTrigger',
    'both',
    ...['', '0 9 * *', '0 0 0 9 * * *', '@sometimes', '@every soon', '9 o’clock'].map((cron) => ({ cron })),
    { method: 'FETCH' },
    { functionref: {} },
  ),

  ...cases(
    'MessageQueueTrigger',
    'no',
    { batchSize: 10 },
    kafka({ minReplicaCount: 1, maxReplicaCount: 1 }),
    { messageQueueType: 'rabbitmq', mqtkind: 'keda', topic: 'a/b c' },
    { messageQueueType: 'statestore', topic: 'a', errorTopic: '' },
  ),
  ...cases(
    'MessageQueueTrigger',
    'both',
    { topic: '' },
    { messageQueueType: 'kakfa' },
    { messageQueueType: 'statestore', mqtkind: 'keda' },
    kafka({ topic: 'a/b' }),
    kafka({ errorTopic: '..' }),
    { batchSize: 0 },
    { maxRetries: -1 },
    { minReplicaCount: 2, maxReplicaCount: 1 },
    { secret: 'A' },
    { podspec: { hostNetwork: true } },
    { functionref: { type: 'name' } },
  ),

  ...cases('KubernetesWatchTrigger', 'no', {
    type: 'replicationController',
    labelselector: { app: 'a', b: '' },
  }),
  ...cases(
    'KubernetesWatchTrigger',
    'both',
    { type: 'Secret' },
    { namespace: 'A' },
    { labelselector: { app: 'a b' } },
    { functionref: { name: 'a_b' } },
  ),
  ...cases('KubernetesWatchTrigger', 'ours', { labelselector: { 'a b': 'x' } }),
];
