/** Which trigger takes a request: hosts, paths, methods, and who wins where two triggers claim the same. */
import { METHODS } from 'node:http';
import type { ObjectName, ResolvedTrigger } from '../api/index.ts';
import { FissiumError } from '../errors.ts';
import { PathIndex, type PathVisit } from './path-index.ts';
import { matchForm, pathFromSegment } from './request-path.ts';
import { compilePattern, type RoutePattern } from './route-pattern.ts';

export interface RouteConflict {
  readonly winner: { readonly namespace: string; readonly name: string };
  readonly method: string;
  readonly host: string;
  /** As the losing trigger wrote it; a prefix's open end as a trailing slash. */
  readonly path: string;
}

export type RouteMatch =
  | {
      readonly kind: 'found';
      readonly route: ResolvedTrigger;
      /** Parameters as matched: decoded, but for `%2F` and control characters. */
      readonly parameters: readonly (readonly [name: string, value: string])[];
      /** What the function sees of the path: see {@link RouteTable.match}. */
      readonly functionPath: string;
    }
  | { readonly kind: 'method-not-allowed'; /** Sorted. */ readonly allow: readonly string[] }
  | { readonly kind: 'not-found' };

interface Claim {
  readonly trigger: string;
  readonly route: ResolvedTrigger;
  readonly pattern: RoutePattern;
}

/** One shape (host, kind, path) with those that claim it, oldest first: nearly always one, of thousands of shapes. */
class Slot {
  #claims: readonly Claim[] = NO_CLAIMS;

  get isEmpty(): boolean {
    return this.#claims.length === 0;
  }

  get claims(): readonly Claim[] {
    return this.#claims;
  }

  /** Who answers a method here. HEAD follows GET where nobody claims it. */
  winner(method: string): Claim | undefined {
    const claim = this.oldest(method);
    return claim === undefined && method === 'HEAD' ? this.oldest('GET') : claim;
  }

  /** The oldest that claims the method itself. */
  oldest(method: string): Claim | undefined {
    for (const claim of this.#claims) if (claim.route.methods.includes(method)) return claim;
    return undefined;
  }

  add(claim: Claim): void {
    this.#claims = [...this.#claims, claim].sort(byAge);
  }

  remove(claim: Claim): void {
    const left = this.#claims.filter((other) => other !== claim);
    this.#claims = left.length === 0 ? NO_CLAIMS : left;
  }
}

const NO_CLAIMS: readonly Claim[] = [];

interface Placement {
  readonly kind: 'exact' | 'prefix';
  readonly pattern: RoutePattern;
  readonly claim: Claim;
  readonly slot: Slot;
}

interface Entry {
  readonly route: ResolvedTrigger;
  readonly placements: readonly Placement[];
}

export interface RouteTableListener {
  upserted(route: ResolvedTrigger): void;
  deleted(namespace: string, name: string): void;
}

type ConflictsListener = (triggers: { namespace: string; name: string }[]) => void;

/** Bounds of what is remembered: clients choose hosts and paths. */
const RECENT_PATHS = 512;
const RECENT_CHARS = 512;

const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS);

/**
 * The routes of all triggers, in memory. A change touches its own paths only, whatever the number of routes.
 *
 * Precedence: a trigger that names the host before one for any host; then the most specific path (see
 * `path-index.ts`); of two triggers for the same host, path and method the older one. A route that does not
 * take the method is passed over for the next that does.
 */
export class RouteTable {
  readonly #hosts = new Map<string, PathIndex<Slot>>();
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<ConflictsListener>();
  readonly #followers = new Set<RouteTableListener>();
  /** What was found lately, by host and path: until the next change it would be found again. */
  readonly #recent = new Map<string, Map<string, { readonly method: string; readonly match: RouteMatch }>>();
  #recentPaths = 0;
  #retiredWork = 0;

  get size(): number {
    return this.#entries.size;
  }

  *list(): Iterable<ResolvedTrigger> {
    for (const { route } of this.#entries.values()) yield route;
  }

  /** Told of every change after it is made. Returns what ends it. */
  subscribe(follower: RouteTableListener): () => void {
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }

  /** Steps that all changes so far took; for tests that count work. */
  get work(): number {
    let work = this.#retiredWork;
    for (const index of this.#hosts.values()) work += index.work;
    return work;
  }

  /**
   * Adds a trigger's routes, or replaces those it had.
   * @throws FissiumError BAD_REQUEST when its path or a method cannot be served; what it had then stays
   */
  upsert(route: ResolvedTrigger): void {
    const trigger = keyOf(route);
    const unknown = route.methods.find((method) => !KNOWN_METHODS.has(method));
    if (unknown !== undefined) {
      throw new FissiumError('BAD_REQUEST', `"${unknown}" is no HTTP method that the router can receive.`);
    }
    const patterns = patternsOf(route);
    const before = this.#entries.get(trigger);
    this.#forget();
    this.#notifyAround(trigger, () => {
      if (before !== undefined) this.#remove(before);
      const index = this.#index(route.host);
      const placements = patterns.map(({ kind, pattern }): Placement => {
        const slot = index.obtain(pattern, kind);
        const claim: Claim = { trigger, route, pattern };
        slot.add(claim);
        return { kind, pattern, claim, slot };
      });
      this.#entries.set(trigger, { route, placements });
      return [...(before?.placements ?? []), ...placements];
    });
    for (const follower of this.#followers) follower.upserted(route);
  }

  delete(namespace: string, name: string): void {
    const trigger = keyOf({ namespace, name });
    const entry = this.#entries.get(trigger);
    if (entry === undefined) return;
    this.#forget();
    this.#notifyAround(trigger, () => {
      this.#remove(entry);
      this.#entries.delete(trigger);
      return entry.placements;
    });
    for (const follower of this.#followers) follower.deleted(namespace, name);
  }

  /** Conflicts that the trigger loses: the older creationTimestamp wins, then the lesser namespace/name. */
  conflicts(namespace: string, name: string): RouteConflict[] {
    const trigger = keyOf({ namespace, name });
    return (this.#entries.get(trigger)?.placements ?? []).flatMap(({ slot, claim, pattern }) =>
      claim.route.methods.flatMap((method): RouteConflict[] => {
        const winner = slot.oldest(method);
        if (winner === undefined || winner.trigger === trigger) return [];
        const { namespace: winnerNamespace, name: winnerName } = winner.route;
        return [
          {
            winner: { namespace: winnerNamespace, name: winnerName },
            method,
            host: claim.route.host,
            path: pattern.text,
          },
        ];
      }),
    );
  }

  /** Called with the triggers whose conflicts changed through somebody else's change. */
  onConflictsChanged(listener: ConflictsListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * @param host the Host header; its port only counts for a trigger that names one
   * @param path as escaped by the client, dot segments resolved (`parseTarget`), without the query
   *
   * The function sees `/` behind an exact path, as with Fission; behind a prefix what follows it; with
   * `keepPrefix` the whole path in both cases.
   */
  match(host: string, path: string, method: string): RouteMatch {
    const known = this.#recent.get(host)?.get(path);
    if (known !== undefined && known.method === method) return known.match;
    const match = this.#find(host, path, method);
    // Found ones only: what is not there may be asked for in any number of ways.
    if (match.kind === 'found' && host.length + path.length <= RECENT_CHARS)
      this.#remember(host, path, method, match);
    return match;
  }

  #remember(host: string, path: string, method: string, match: RouteMatch): void {
    if (this.#recentPaths >= RECENT_PATHS) this.#forget();
    let paths = this.#recent.get(host);
    if (paths === undefined) this.#recent.set(host, (paths = new Map()));
    if (!paths.has(path)) this.#recentPaths++;
    paths.set(path, { method, match });
  }

  /** Any change may change any match. */
  #forget(): void {
    this.#recent.clear();
    this.#recentPaths = 0;
  }

  #find(host: string, path: string, method: string): RouteMatch {
    const form = matchForm(path);
    const allow = new Set<string>();
    for (const candidate of hostCandidates(host)) {
      const index = this.#hosts.get(candidate);
      let found: RouteMatch | undefined;
      index?.find(form, (visited) => {
        const claim = visited.place.winner(method);
        if (claim === undefined) {
          for (const { route } of visited.place.claims) for (const taken of route.methods) allow.add(taken);
          return false;
        }
        found = toMatch(claim, visited, path);
        return true;
      });
      if (found !== undefined) return found;
    }
    if (allow.size === 0) return { kind: 'not-found' };
    if (allow.has('GET')) allow.add('HEAD');
    allow.add('OPTIONS');
    return { kind: 'method-not-allowed', allow: [...allow].sort() };
  }

  #index(host: string): PathIndex<Slot> {
    const existing = this.#hosts.get(host);
    if (existing !== undefined) return existing;
    const made = new PathIndex<Slot>(() => new Slot());
    this.#hosts.set(host, made);
    return made;
  }

  #remove({ route, placements }: Entry): void {
    const index = this.#index(route.host);
    for (const { kind, pattern, claim, slot } of placements) {
      slot.remove(claim);
      if (slot.isEmpty) index.prune(pattern, kind);
    }
    if (!index.isEmpty) return;
    this.#retiredWork += index.work;
    this.#hosts.delete(route.host);
  }

  /** Runs a change and tells the listeners which other triggers' conflicts it changed. */
  #notifyAround(changed: string, change: () => readonly Placement[]): void {
    const others = new Map<string, ObjectName>();
    const before = new Map<string, string>();
    const remember = (placements: readonly Placement[]): void => {
      for (const { slot } of placements) {
        for (const { trigger, route } of slot.claims) if (trigger !== changed) others.set(trigger, route);
      }
    };
    // Who shares a place with the new routes is only known after the change. A trigger that did not share one
    // of the old places has changed conflicts exactly where the changed trigger now wins over it.
    remember(this.#entries.get(changed)?.placements ?? []);
    for (const [key, { namespace, name }] of others)
      before.set(key, JSON.stringify(this.conflicts(namespace, name)));
    const known = new Set(others.keys());
    remember(change());
    const told: { namespace: string; name: string }[] = [];
    for (const [key, { namespace, name }] of others) {
      const after = this.conflicts(namespace, name);
      const changedFor = known.has(key)
        ? JSON.stringify(after) !== before.get(key)
        : after.some(({ winner }) => keyOf(winner) === changed);
      if (changedFor) told.push({ namespace, name });
    }
    if (told.length > 0) for (const listener of this.#listeners) listener(told);
  }
}

function keyOf({ namespace, name }: ObjectName): string {
  return `${namespace}/${name}`;
}

function byAge(a: Claim, b: Claim): number {
  const older = createdMs(a.route) - createdMs(b.route);
  if (older !== 0 && !Number.isNaN(older)) return older;
  if (a.trigger === b.trigger) return 0;
  return a.trigger < b.trigger ? -1 : 1;
}

/** A trigger that was never stored is younger than all. */
function createdMs({ creationTimestamp }: ResolvedTrigger): number {
  const time = Date.parse(creationTimestamp);
  return Number.isNaN(time) ? Number.POSITIVE_INFINITY : time;
}

/** Fission's registrations: a prefix that ends in a slash takes what is below it, any other also itself. */
function patternsOf(route: ResolvedTrigger): { kind: 'exact' | 'prefix'; pattern: RoutePattern }[] {
  const { path, prefix } = route;
  if (!prefix) return [{ kind: 'exact', pattern: compilePattern(path, 'exact') }];
  if (path.endsWith('/')) return [{ kind: 'prefix', pattern: compilePattern(path, 'prefix') }];
  return [
    { kind: 'exact', pattern: compilePattern(path, 'exact') },
    { kind: 'prefix', pattern: compilePattern(`${path}/`, 'prefix') },
  ];
}

function hostCandidates(host: string): string[] {
  const lower = host.toLowerCase();
  const name = lower.replace(/:\d*$/, '').replace(/\.$/, '');
  if (name === '') return [''];
  return lower === name ? [name, ''] : [lower, name, ''];
}

function toMatch(claim: Claim, visited: PathVisit<Slot>, path: string): RouteMatch {
  const { route, pattern } = claim;
  const parameters = pattern.names.map((name, at) => [name, visited.values[at] ?? ''] as const);
  let functionPath = path;
  if (!route.keepPrefix) {
    functionPath = visited.consumed === null ? '/' : pathFromSegment(path, visited.consumed);
  }
  return { kind: 'found', route, parameters, functionPath };
}
