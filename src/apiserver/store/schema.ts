/**
 * The tables behind the API. One row is one state of one object: the live ones, and the superseded ones that
 * watches and the later pages of a list still need. So a state is written once, and `superseded` alone says
 * since when it is history.
 */
export const SCHEMA_VERSION = 1;

export const SCHEMA = `
CREATE TABLE revisions (
  rv INTEGER PRIMARY KEY,          -- the global resourceVersion
  resource TEXT NOT NULL,          -- e.g. functions.fission.io
  namespace TEXT NOT NULL,         -- '' for cluster-scoped
  name TEXT NOT NULL,
  deleted INTEGER NOT NULL,        -- 1: a tombstone, whose object is the last state
  previous INTEGER,                -- the rv that this one replaced
  superseded INTEGER,              -- the rv that replaced this one; a tombstone's own rv; NULL while live
  object TEXT NOT NULL             -- JSON
) STRICT;
CREATE UNIQUE INDEX live ON revisions (resource, namespace, name) WHERE superseded IS NULL;
CREATE INDEX history ON revisions (superseded) WHERE superseded IS NOT NULL;
CREATE TABLE owners (
  owner_uid TEXT NOT NULL,
  resource TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY (resource, namespace, name, owner_uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX by_owner ON owners (owner_uid);
CREATE TABLE settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
INSERT INTO settings VALUES ('compacted', 0);
`;

const COLUMNS = 'rv, resource, namespace, name, object';

export const SQL = {
  get: `SELECT ${COLUMNS} FROM revisions
        WHERE resource = ? AND namespace = ? AND name = ? AND superseded IS NULL`,
  listAll: `SELECT ${COLUMNS} FROM revisions
        WHERE resource = ? AND superseded IS NULL AND (namespace, name) > (?, ?)
        ORDER BY namespace, name LIMIT ?`,
  listNamespace: `SELECT ${COLUMNS} FROM revisions
        WHERE resource = ? AND superseded IS NULL AND namespace = ? AND name > ?
        ORDER BY name LIMIT ?`,
  countAll: 'SELECT count(*) AS n FROM revisions WHERE resource = ? AND superseded IS NULL',
  countNamespace:
    'SELECT count(*) AS n FROM revisions WHERE resource = ? AND superseded IS NULL AND namespace = ?',
  // The state at an earlier resourceVersion: what is still live from then, and what was superseded since.
  snapshot: `SELECT ${COLUMNS} FROM (
          SELECT ${COLUMNS} FROM revisions
            WHERE resource = :resource AND superseded IS NULL AND rv <= :at
          UNION ALL
          SELECT ${COLUMNS} FROM revisions
            WHERE superseded > :at AND rv <= :at AND deleted = 0 AND resource = :resource)
        WHERE (:namespace IS NULL OR namespace = :namespace)
          AND (namespace, name) > (:afterNamespace, :afterName)
        ORDER BY namespace, name LIMIT :limit`,
  changes: `SELECT r.rv, r.resource, r.namespace, r.name, r.object, r.deleted,
            p.rv AS previousRv, p.object AS previousObject
        FROM revisions r LEFT JOIN revisions p ON p.rv = r.previous
        WHERE r.rv > ? AND r.resource = ? ORDER BY r.rv LIMIT ?`,
  insert: `INSERT INTO revisions (rv, resource, namespace, name, deleted, previous, superseded, object)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  supersede: 'UPDATE revisions SET superseded = ? WHERE rv = ?',
  lastRv: 'SELECT coalesce(max(rv), 0) AS n FROM revisions',
  historyBytes: 'SELECT coalesce(sum(length(object)), 0) AS n FROM revisions WHERE superseded IS NOT NULL',
  history: `SELECT superseded AS rv, length(object) AS bytes FROM revisions
        WHERE superseded IS NOT NULL ORDER BY superseded`,
  compacted: "SELECT value AS n FROM settings WHERE name = 'compacted'",
  compact: 'DELETE FROM revisions WHERE superseded <= ?',
  setCompacted: "UPDATE settings SET value = ? WHERE name = 'compacted'",
  dependants: 'SELECT resource, namespace, name FROM owners WHERE owner_uid = ?',
  owned: 'SELECT DISTINCT resource, namespace, name FROM owners',
  addOwner: 'INSERT OR IGNORE INTO owners (owner_uid, resource, namespace, name) VALUES (?, ?, ?, ?)',
  dropOwners: 'DELETE FROM owners WHERE resource = ? AND namespace = ? AND name = ?',
} as const;
