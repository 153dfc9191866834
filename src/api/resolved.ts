/**
 * What the platform works with: resources after their defaults are filled, their short forms read and their
 * values checked. Frozen, and the same whichever way the user wrote the resource.
 */
import type { JsonObject } from './json.ts';
import type { Condition } from './schema.ts';

export interface ObjectName {
  readonly namespace: string;
  readonly name: string;
}

/** A secret or config map that a function finds as files. */
export interface ResolvedMount extends ObjectName {
  /** In `/secrets` or `/configs`: `<namespace>/<name>`, or the `mountPath`. Relative, of plain names. */
  readonly folder: string;
}

interface Resolved extends ObjectName {
  /** '' where the object was never stored. */
  readonly uid: string;
  /** 0 where the object was never stored. */
  readonly generation: number;
  /** RFC 3339; '' where the object was never stored. */
  readonly creationTimestamp: string;
  /**
   * Fields that are set in the spec and kept, but that the platform does not serve yet, by path: in one process. A
   * cluster serves some of them (`served-on-cluster.ts`).
   */
  readonly notServed: readonly string[];
  readonly conditions: readonly Condition[];
}

/** One environment variable of a function: a literal, or one key of an object in the function's namespace. */
export type ResolvedEnvVar =
  | { readonly name: string; readonly from: 'value'; readonly value: string }
  | {
      readonly name: string;
      readonly from: 'secret' | 'configMap';
      readonly object: ObjectName;
      readonly key: string;
      /** Whether the function runs without the variable when the object or its key is missing. */
      readonly optional: boolean;
    };

/** Every key of an object as environment variables, each name with `prefix` before it. */
export interface ResolvedEnvFrom {
  readonly from: 'secret' | 'configMap';
  readonly object: ObjectName;
  readonly prefix: string;
  readonly optional: boolean;
}

export interface ResolvedLimits {
  /** `functionTimeout`: from the request's arrival to the answer's head. */
  readonly firstByteTimeoutMs: number;
  /** Longest silence between two chunks of a body. */
  readonly idleTimeoutMs: number;
  /** From the request's arrival to the answer's end; null for no limit. */
  readonly totalTimeoutMs: number | null;
  readonly memoryBytes: number;
  readonly bodyLimitBytes: number;
  /** Requests that run at once, over all threads (Fission's `concurrency` × `requestsPerPod`). */
  readonly concurrency: number;
  /** Requests that wait for their turn before 429. */
  readonly queue: number;
  /** CPU time of one request; waiting does not count. */
  readonly cpuTimeMs: number;
  /** Of a Wasm function: its part of a thread beside others that compute for long, in proportion; over 0. */
  readonly cpuWeight: number;
}

export interface ResolvedInstance {
  /** `fresh`: every request finds a clean instance. `reuse`: state stays between requests. */
  readonly mode: 'fresh' | 'reuse';
  /** Requests after which an instance is replaced (`reuse` only); null for no limit. */
  readonly maxRequests: number | null;
  readonly idleTimeoutMs: number;
  /** Requests that one instance has at once (`reuse` only). */
  readonly maxConcurrent: number;
}

/** `resources` as a pod's container takes them: quantities as written. */
export interface ResolvedResources {
  readonly limits: Readonly<Record<string, string | number>>;
  readonly requests: Readonly<Record<string, string | number>>;
  readonly claims: readonly { readonly name: string; readonly request?: string }[];
}

/** How many pods a function of strategy `newdeploy` or `container` has. */
export interface ResolvedScale {
  /** 0: none while nobody calls. */
  readonly min: number;
  readonly max: number;
  /** `TargetCPUPercent`; null where it is not set. */
  readonly cpuPercent: number | null;
  /** autoscaling/v2 MetricSpecs, as written. */
  readonly metrics: readonly JsonObject[];
  /** autoscaling/v2 HorizontalPodAutoscalerBehavior, as written. */
  readonly behavior: JsonObject | null;
  /** Calls that run at once in one pod, which the number of pods is to keep. */
  readonly callsPerPod: number;
}

/** How a function uses the pods of a pool. */
export interface ResolvedPods {
  /** Requests in one pod at once; 1 where each pod serves one request only. */
  readonly requestsPerPod: number;
  /** Most pods at once (Fission's `concurrency`). */
  readonly maxPods: number;
  /** Whether a pod serves one request and is then replaced. */
  readonly onceOnly: boolean;
  /** Specialised pods that stay when idle. */
  readonly retainPods: number;
}

/** When the pool of an environment grows and shrinks. */
export interface ResolvedScaling {
  /** Share of the pool that is idle at least, per cent; 0 for none. */
  readonly idlePercent: number;
  /** More waiting requests than these scale at once to what they need. */
  readonly queueThreshold: number;
  /** Most pods of the environment in all. */
  readonly maxPods: number;
  /** Requests in flight that one Wasm host takes. */
  readonly requestsPerHost: number;
  /** How long pods that are no longer needed stay. */
  readonly idleTimeoutMs: number;
}

export interface ResolvedFunction extends Resolved {
  /** `name` is '' where the function names none (executor `container`). */
  readonly environment: ObjectName & { readonly version?: string };
  readonly package: ObjectName | null;
  /** `functionName`, or the file in the package (short form); '' where none is named. */
  readonly entrypoint: string;
  /** Whether the whole package is taken where it holds no such file (short form). */
  readonly entrypointOptional: boolean;
  readonly strategy: 'poolmgr' | 'newdeploy' | 'container';
  readonly secrets: readonly ResolvedMount[];
  readonly configMaps: readonly ResolvedMount[];
  /** In order; wins over `envFrom`. */
  readonly env: readonly ResolvedEnvVar[];
  /** In order; later sources win. */
  readonly envFrom: readonly ResolvedEnvFrom[];
  readonly limits: ResolvedLimits;
  readonly pods: ResolvedPods;
  readonly wasm: {
    readonly instance: ResolvedInstance;
    /** As written; read each with `parseOutboundHost`. */
    readonly allowedOutboundHosts: readonly string[];
  };
  /** null for strategy `poolmgr`. */
  readonly scale: ResolvedScale | null;
  /** `idletimeout`: how long a pod (or an instance that is reused) stays after its last call. */
  readonly idleTimeoutMs: number;
  /** `SpecializationTimeout`: what a cold start may take. */
  readonly startTimeoutMs: number;
  readonly resources: ResolvedResources;
  /** A Kubernetes PodSpec, as written; null where none is. */
  readonly podSpec: JsonObject | null;
  /** The short form `spec.route`: an HTTPTrigger that the function owns. */
  readonly route: { readonly url: string; readonly methods: readonly string[] } | null;
}

export interface ResolvedCors {
  readonly allowOrigins: readonly string[];
  /** Empty: the trigger's own methods. */
  readonly allowMethods: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  readonly allowCredentials: boolean;
  /** null: the header is not sent. */
  readonly maxAgeSeconds: number | null;
}

export interface ResolvedTrigger extends Resolved {
  /** Lower case; '' for any. */
  readonly host: string;
  /** `prefix` if set, else `relativeurl`, with Fission's `{name}` and `{name:regex}` parameters as written. */
  readonly path: string;
  readonly prefix: boolean;
  readonly keepPrefix: boolean;
  /** Upper case, never empty. */
  readonly methods: readonly string[];
  /** One of weight 100, or those of `function-weights` with a weight over 0. */
  readonly functions: readonly WeightedFunction[];
  readonly cors: ResolvedCors | null;
  /** What is made of it outside, on a cluster. */
  readonly exposure: ResolvedExposure | null;
}

/** An Ingress or a Gateway's HTTPRoute. */
export type ResolvedExposure = {
  /** Empty: any. */
  readonly hosts: readonly string[];
  /** Absolute. */
  readonly path: string;
  readonly annotations: Readonly<Record<string, string>>;
} & (
  | {
      readonly provider: 'ingress';
      /** '' for none. */
      readonly tlsSecret: string;
    }
  | { readonly provider: 'gateway'; readonly gateways: readonly ResolvedGateway[] }
);

/** A Gateway to attach to. */
export interface ResolvedGateway {
  readonly name: string;
  /** '': the control plane's. */
  readonly namespace: string;
  /** One listener of it; '' for all. */
  readonly sectionName: string;
  /** 0: any. */
  readonly port: number;
}

/** A function and its share of the calls. */
export interface WeightedFunction {
  readonly name: string;
  readonly weight: number;
}

export interface ResolvedTimeTrigger extends Resolved {
  /** Cron fields, `@daily` and kin, or `@every 5m`. */
  readonly schedule: string;
  /** As `TZ=` or `CRON_TZ=` before the schedule names it. */
  readonly timeZone: string | null;
  /** Upper case. */
  readonly method: string;
  /** Begins with a slash. */
  readonly subpath: string;
  readonly functions: readonly WeightedFunction[];
}

export interface ResolvedMessageQueueTrigger extends Resolved {
  readonly queueType: string;
  /** Whether KEDA is to consume, and not the platform. */
  readonly keda: boolean;
  readonly topic: string;
  /** '' for none. */
  readonly responseTopic: string;
  /** '' for none. */
  readonly errorTopic: string;
  readonly maxRetries: number;
  /** Messages in one call. */
  readonly batchSize: number;
  readonly contentType: string;
  readonly pollingIntervalS: number | null;
  readonly cooldownPeriodS: number | null;
  readonly minReplicas: number | null;
  readonly maxReplicas: number | null;
  /** `spec.metadata`, by the queue's own names. */
  readonly settings: Readonly<Record<string, string>>;
  /** '' for none. */
  readonly secret: string;
  readonly functions: readonly WeightedFunction[];
}

export interface ResolvedKubernetesWatchTrigger extends Resolved {
  /** POD, SERVICE, REPLICATIONCONTROLLER or JOB. */
  readonly watches: string;
  readonly watchedNamespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly functions: readonly WeightedFunction[];
}

export interface ResolvedEnvironment extends Resolved {
  readonly image: string;
  /** Whether its functions are Wasm: the image is exactly `wasm`. */
  readonly wasm: boolean;
  /** Fission's environment interface, 1 to 3. */
  readonly version: number;
  /** Generic pods, or Wasm hosts, kept ready. */
  readonly poolSize: number;
  readonly scaling: ResolvedScaling;
  readonly builder: {
    readonly image: string;
    readonly command: string;
    /** Of `spec.builder.container.env`, those with a value. */
    readonly env: readonly (readonly [name: string, value: string])[];
  } | null;
  readonly keepArchive: boolean;
  readonly terminationGracePeriodMs: number;
  /** A Kubernetes Container that changes the runtime's, as written; null where none is. */
  readonly container: JsonObject | null;
  /** A Kubernetes PodSpec that changes the runtime's, as written; null where none is. */
  readonly podSpec: JsonObject | null;
  readonly resources: ResolvedResources;
  /** '' for none. */
  readonly imagePullSecret: string;
}

export interface Archive {
  readonly type: 'literal' | 'url' | 'oci';
  readonly literal?: Uint8Array;
  readonly url?: string;
  readonly oci?: {
    readonly image: string;
    readonly digest?: string;
    readonly subPath?: string;
    readonly imagePullSecrets: readonly string[];
  };
  /** `sum` is 64 hex digits, lower case. */
  readonly checksum?: { readonly type: 'sha256'; readonly sum: string };
}

export type BuildStatus = 'pending' | 'running' | 'succeeded' | 'failed' | 'none';

export interface ResolvedPackage extends Resolved {
  readonly environment: ObjectName;
  readonly source: Archive | null;
  readonly deployment: Archive | null;
  readonly buildCommand: string;
  readonly buildStatus: BuildStatus;
}
