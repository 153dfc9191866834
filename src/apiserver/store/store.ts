/**
 * Objects, their resourceVersions and their recent history in SQLite. Reads answer at once from what is
 * committed; writes of one turn of the event loop share a transaction, because each commit costs an fsync.
 */
import { chmodSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { FissiumError } from '../../errors.ts';
import type { ObjectKey } from '../object.ts';
import type { Change, Revision } from './revision.ts';
import { changeOf, keyOf, revisionOf, type Statements } from './rows.ts';
import { SCHEMA, SCHEMA_VERSION, SQL } from './schema.ts';
import { WriteTransaction } from './transaction.ts';

export interface StoreOptions {
  /** The database file; its folder must exist. */
  readonly path: string;
  /** How many changes watches may look back. @default 10000 */
  readonly historyChanges?: number;
  /** How many bytes of superseded states are kept for that at most. @default 64 MiB */
  readonly historyBytes?: number;
  /** A limit on the file's size, as a full disk would be one. @default none */
  readonly maxBytes?: number;
}

export interface ListOptions {
  readonly resource: string;
  /** Only this namespace; all of them if absent. */
  readonly namespace?: string | undefined;
  /** Only what comes after this object. */
  readonly after?: { readonly namespace: string; readonly name: string } | undefined;
  /** @default none */
  readonly limit?: number | undefined;
  /** The state at this resourceVersion instead of the latest; must not be older than `compactedRv`. */
  readonly atRv?: number | undefined;
}

export interface WriteOptions {
  /** Runs the job and undoes it: its result is what would have been. @default false */
  readonly dryRun?: boolean;
}

interface Job {
  readonly dryRun: boolean;
  run(transaction: WriteTransaction): unknown;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/** So that one batch never blocks the thread for long. */
const BATCH_JOBS = 500;

export class Store {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #statements: Statements;
  readonly #historyChanges: number;
  readonly #historyBytesLimit: number;
  readonly #listeners = new Set<(changes: readonly Change[]) => void>();
  #queue: Job[] = [];
  #scheduled = false;
  #closed = false;
  #rv: number;
  #compactedRv: number;
  #historyBytes: number;

  constructor(options: StoreOptions) {
    this.#path = options.path;
    this.#historyChanges = options.historyChanges ?? 10_000;
    this.#historyBytesLimit = options.historyBytes ?? 64 * 1024 * 1024;
    this.#db = new DatabaseSync(options.path, { timeout: 5000 });
    try {
      chmodSync(options.path, 0o600);
      this.#db.exec(
        'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 16777216',
      );
      this.#migrate();
      if (options.maxBytes !== undefined) this.#limitSize(options.maxBytes);
      const prepared = Object.entries(SQL).map(([name, sql]) => [name, this.#db.prepare(sql)] as const);
      this.#statements = Object.fromEntries(prepared) as Statements;
      this.#compactedRv = this.#number(this.#statements.compacted);
      // The newest row may be a tombstone that is compacted already.
      this.#rv = Math.max(this.#number(this.#statements.lastRv), this.#compactedRv);
      this.#historyBytes = this.#number(this.#statements.historyBytes);
    } catch (error) {
      this.#db.close();
      throw this.#translated(error);
    }
  }

  /** The resourceVersion of the last committed change. */
  get rv(): number {
    return this.#rv;
  }

  /** Changes up to this resourceVersion are forgotten: a watch from before it must start anew. */
  get compactedRv(): number {
    return this.#compactedRv;
  }

  get(key: ObjectKey): Revision | undefined {
    const row = this.#statements.get.get(key.resource, key.namespace, key.name);
    return row === undefined ? undefined : revisionOf(row);
  }

  /** Sorted by namespace and name. */
  list(options: ListOptions): Revision[] {
    const after = options.after ?? { namespace: '', name: '' };
    const limit = options.limit ?? -1;
    const { resource, namespace, atRv } = options;
    if (atRv !== undefined && atRv !== this.#rv) {
      const parameters = {
        resource,
        namespace: namespace ?? null,
        at: atRv,
        afterNamespace: after.namespace,
        afterName: after.name,
        limit,
      };
      return this.#statements.snapshot.all(parameters).map(revisionOf);
    }
    if (namespace === undefined) {
      return this.#statements.listAll.all(resource, after.namespace, after.name, limit).map(revisionOf);
    }
    // A continued list of one namespace always goes on after a name of that namespace.
    return this.#statements.listNamespace.all(resource, namespace, after.name, limit).map(revisionOf);
  }

  count(resource: string, namespace?: string): number {
    return namespace === undefined
      ? this.#number(this.#statements.countAll, resource)
      : this.#number(this.#statements.countNamespace, resource, namespace);
  }

  /** Committed changes after a resourceVersion, oldest first; complete only if that is not below `compactedRv`. */
  changes(resource: string, sinceRv: number, limit: number): Change[] {
    return this.#statements.changes.all(sinceRv, resource, limit).map(changeOf);
  }

  /** The objects that name this uid in their ownerReferences. */
  dependants(ownerUid: string): ObjectKey[] {
    return this.#statements.dependants.all(ownerUid).map(keyOf);
  }

  /** Every object that has an owner. */
  owned(): ObjectKey[] {
    return this.#statements.owned.all().map(keyOf);
  }

  /** Called with what each transaction committed, in order. Returns the way to stop it. */
  onChanges(listener: (changes: readonly Change[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Runs the job alone on the latest state and resolves with its result once it is on the disk. What the job
   * throws undoes its own writes and rejects. Fails with STORAGE_FULL when the disk takes no more.
   */
  write<T>(job: (transaction: WriteTransaction) => T, options: WriteOptions = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(new FissiumError('SHUTTING_DOWN', 'the API server is shutting down and takes no more writes'));
        return;
      }
      const dryRun = options.dryRun ?? false;
      this.#queue.push({ run: job, dryRun, resolve: resolve as (result: unknown) => void, reject });
      this.#schedule();
    });
  }

  /** Commits what is queued and closes the file. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    while (this.#queue.length > 0) this.#flush();
    this.#listeners.clear();
    this.#db.close();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#queue.length === 0) return;
      this.#flush();
      if (this.#queue.length > 0) this.#schedule();
    });
  }

  #flush(): void {
    const jobs = this.#queue.splice(0, BATCH_JOBS);
    const changes: Change[] = [];
    const settle: (() => void)[] = [];
    let compactedRv = this.#compactedRv;
    let rv = this.#rv;
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      for (const job of jobs) {
        this.#db.exec('SAVEPOINT job');
        const transaction = new WriteTransaction(this.#statements, rv);
        try {
          const result = job.run(transaction);
          settle.push(() => job.resolve(result));
          if (job.dryRun) {
            this.#db.exec('ROLLBACK TO job');
          } else {
            changes.push(...transaction.changes);
            rv = transaction.rv;
          }
        } catch (error) {
          if (isStorageFailure(error)) throw error;
          this.#db.exec('ROLLBACK TO job');
          settle.push(() => job.reject(error));
        }
        this.#db.exec('RELEASE job');
      }
      compactedRv = this.#compact(rv);
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      const translated = this.#translated(error);
      for (const job of jobs) job.reject(translated);
      return;
    }
    this.#rv = rv;
    for (const { type, current, previous } of changes) {
      this.#historyBytes += previous?.json.length ?? 0;
      if (type === 'DELETED') this.#historyBytes += current.json.length;
    }
    if (compactedRv !== this.#compactedRv) {
      this.#compactedRv = compactedRv;
      this.#historyBytes = this.#number(this.#statements.historyBytes);
    }
    for (const done of settle) done();
    if (changes.length > 0) for (const listener of this.#listeners) listener(changes);
  }

  /** Forgets old history inside the running transaction, seldom enough to cost little. Returns what is forgotten then. */
  #compact(rv: number): number {
    let upTo = this.#compactedRv;
    if (rv - upTo > this.#historyChanges * 1.1) upTo = rv - this.#historyChanges;
    if (this.#historyBytes > this.#historyBytesLimit) {
      let excess = this.#historyBytes - this.#historyBytesLimit / 2;
      for (const row of this.#statements.history.iterate()) {
        if (excess <= 0) break;
        excess -= Number(row['bytes']);
        upTo = Math.max(upTo, Number(row['rv']));
      }
    }
    if (upTo > this.#compactedRv) {
      this.#statements.compact.run(upTo);
      this.#statements.setCompacted.run(upTo);
    }
    return upTo;
  }

  #migrate(): void {
    const found = this.#number(this.#db.prepare('SELECT user_version AS n FROM pragma_user_version'));
    if (found === SCHEMA_VERSION) return;
    if (found !== 0) {
      throw new FissiumError(
        'INTERNAL',
        `${this.#path} has format ${found}, this fissium reads format ${SCHEMA_VERSION}: start it with the version of fissium that wrote it`,
      );
    }
    this.#db.exec(`BEGIN IMMEDIATE; ${SCHEMA} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
  }

  #limitSize(bytes: number): void {
    const pageBytes = this.#number(this.#db.prepare('SELECT page_size AS n FROM pragma_page_size'));
    this.#db.exec(`PRAGMA max_page_count = ${Math.floor(bytes / pageBytes)}`);
  }

  #number(statement: StatementSync, ...parameters: string[]): number {
    return Number(statement.get(...parameters)?.['n']);
  }

  #translated(error: unknown): unknown {
    if (!isStorageFailure(error)) return error;
    const folder = dirname(this.#path);
    return new FissiumError(
      'STORAGE_FULL',
      `cannot write to ${folder}: ${error.message}; nothing was changed. Free space there; reads are still answered`,
      { cause: error },
    );
  }
}

/** SQLITE_READONLY, IOERR, FULL and CANTOPEN: the disk does not take the write, and the next may find it better. */
const STORAGE_ERRORS = new Set([8, 10, 13, 14]);

function isStorageFailure(error: unknown): error is Error & { errcode: number } {
  if (!(error instanceof Error) || !('errcode' in error)) return false;
  return typeof error.errcode === 'number' && STORAGE_ERRORS.has(error.errcode & 0xff);
}
