-- The manifest of a kennel cache, format 1. Times are microseconds since 1970, UTC. Booleans are 0 and 1.

CREATE TABLE source (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    kind          TEXT NOT NULL,
    url           TEXT NOT NULL
) STRICT;

-- One run of `kennel sync` over one source, whether or not it changed anything.
CREATE TABLE sync_run (
    id               INTEGER PRIMARY KEY,
    source_id        INTEGER NOT NULL REFERENCES source (id),
    started_at       INTEGER NOT NULL,
    ended_at         INTEGER NOT NULL,
    fetched_count    INTEGER NOT NULL,
    fetched_bytes    INTEGER NOT NULL,
    unchanged_count  INTEGER NOT NULL,
    failed_count     INTEGER NOT NULL,
    error            TEXT
) STRICT;
CREATE INDEX sync_run_by_source ON sync_run (source_id, ended_at);

-- The state of one source after a sync that changed it.
CREATE TABLE snapshot (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id      INTEGER NOT NULL REFERENCES source (id),
    taken_at       INTEGER NOT NULL,
    added_count    INTEGER NOT NULL,
    changed_count  INTEGER NOT NULL,
    missing_count  INTEGER NOT NULL,
    object_count   INTEGER NOT NULL,
    size_bytes     INTEGER NOT NULL,
    complete       INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX snapshot_by_time ON snapshot (source_id, taken_at);

-- One version of one object. It is in every snapshot from valid_from on and before valid_to (null: still).
CREATE TABLE object (
    id             INTEGER PRIMARY KEY,
    source_id      INTEGER NOT NULL REFERENCES source (id),
    key            TEXT NOT NULL,
    etag           TEXT NOT NULL,
    version_id     TEXT,
    size_bytes     INTEGER NOT NULL,
    modified_at    INTEGER NOT NULL,
    storage_class  TEXT,
    sha256         TEXT NOT NULL,
    verified_by    TEXT NOT NULL,
    metadata       TEXT NOT NULL,
    fetched_at     INTEGER NOT NULL,
    valid_from     INTEGER NOT NULL,
    valid_to       INTEGER,
    missing_since  INTEGER
) STRICT;
CREATE UNIQUE INDEX object_current ON object (source_id, key) WHERE valid_to IS NULL;
CREATE INDEX object_by_hash ON object (sha256);
CREATE INDEX object_superseded ON object (source_id, valid_to) WHERE valid_to IS NOT NULL;

-- Fetched and verified, but not yet in a snapshot: what a killed or partial sync leaves to the next.
CREATE TABLE pending (
    source_id      INTEGER NOT NULL REFERENCES source (id),
    key            TEXT NOT NULL,
    etag           TEXT NOT NULL,
    version_id     TEXT,
    size_bytes     INTEGER NOT NULL,
    modified_at    INTEGER NOT NULL,
    storage_class  TEXT,
    sha256         TEXT NOT NULL,
    verified_by    TEXT NOT NULL,
    metadata       TEXT NOT NULL,
    fetched_at     INTEGER NOT NULL,
    PRIMARY KEY (source_id, key)
) STRICT, WITHOUT ROWID;

-- A k9 report: an object version as a typed, sorted table file. It answers from valid_from on and before valid_to: until the next
-- version of its key that can be read, unless an imported report of the same account and type was analysed later.
CREATE TABLE report (
    id                 INTEGER PRIMARY KEY,
    object_id          INTEGER NOT NULL UNIQUE REFERENCES object (id) ON DELETE CASCADE,
    report_type        TEXT NOT NULL,
    customer_id        TEXT NOT NULL,
    csp                TEXT NOT NULL,
    account_id         TEXT NOT NULL,
    analysis_time_min  INTEGER,
    analysis_time_max  INTEGER,
    row_count          INTEGER NOT NULL,
    table_path         TEXT NOT NULL,
    table_size_bytes   INTEGER NOT NULL,
    columns            TEXT NOT NULL,
    statistics         TEXT NOT NULL,
    problem            TEXT, -- what of the object could not be read; the rest is in the table
    valid_from         INTEGER NOT NULL,
    valid_to           INTEGER
) STRICT;
CREATE INDEX report_current ON report (report_type) WHERE valid_to IS NULL;
CREATE INDEX report_by_time ON report (report_type, valid_from, valid_to);
CREATE INDEX report_by_table ON report (table_path);

-- One account, folder and region of a trail. The days from covered_from (null: from the first) to
-- checkpoint_day were listed completely and their objects committed. The sums are those of trail_object.
CREATE TABLE trail_prefix (
    id              INTEGER PRIMARY KEY,
    source_id       INTEGER NOT NULL REFERENCES source (id),
    prefix          TEXT NOT NULL,
    account_id      TEXT NOT NULL,
    folder          TEXT NOT NULL,
    region          TEXT NOT NULL,
    covered_from    TEXT,
    checkpoint_day  TEXT,
    full_listed_at  INTEGER,
    object_count    INTEGER NOT NULL DEFAULT 0,
    size_bytes      INTEGER NOT NULL DEFAULT 0,
    record_count    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (source_id, prefix)
) STRICT;

-- A file of many tiny objects, byte after byte, named by its SHA-256.
CREATE TABLE pack (
    id          INTEGER PRIMARY KEY,
    source_id   INTEGER NOT NULL REFERENCES source (id),
    sha256      BLOB NOT NULL,
    size_bytes  INTEGER NOT NULL,
    UNIQUE (source_id, sha256)
) STRICT;

-- Texts that millions of rows share.
CREATE TABLE word (
    id    INTEGER PRIMARY KEY,
    text  TEXT NOT NULL UNIQUE
) STRICT;

-- A CloudTrail object whose records are in a table file of the same commit. There may be millions: an
-- ETag of 32 hex digits is 16 bytes, no metadata is null, and what is common is a number.
CREATE TABLE trail_object (
    prefix_id      INTEGER NOT NULL REFERENCES trail_prefix (id),
    name           TEXT NOT NULL, -- of the key what follows the prefix
    etag           ANY NOT NULL,
    size_bytes     INTEGER NOT NULL,
    modified_at    INTEGER NOT NULL,
    version_id     TEXT,
    storage_class  INTEGER REFERENCES word (id),
    sha256         BLOB NOT NULL,
    verified_by    INTEGER NOT NULL REFERENCES word (id),
    metadata       TEXT,
    fetched_at     INTEGER NOT NULL,
    pack_id        INTEGER REFERENCES pack (id), -- null: its bytes were not kept
    pack_offset    INTEGER,
    record_count   INTEGER NOT NULL,
    flags          INTEGER NOT NULL, -- 1: several gzip members, 2: not all of it could be read, 4: came with other bytes before
    PRIMARY KEY (prefix_id, name)
) STRICT, WITHOUT ROWID;

-- A table file of CloudTrail records. Seen by readers from the end of the sync on that wrote it.
CREATE TABLE trail_file (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id         INTEGER NOT NULL REFERENCES source (id),
    kind              TEXT NOT NULL,
    table_path        TEXT NOT NULL,
    size_bytes        INTEGER NOT NULL,
    row_count         INTEGER NOT NULL,
    event_time_min    INTEGER,
    event_time_max    INTEGER,
    delivery_day_min  TEXT,
    delivery_day_max  TEXT,
    columns           TEXT NOT NULL,
    statistics        TEXT NOT NULL,
    level             INTEGER NOT NULL,
    visible_from      INTEGER
) STRICT;
CREATE INDEX trail_file_by_kind ON trail_file (kind, source_id);

-- What the objects of a delivery day held. Pending until the table files with the same records are seen.
CREATE TABLE trail_day (
    prefix_id     INTEGER NOT NULL REFERENCES trail_prefix (id),
    day           TEXT NOT NULL,
    category      TEXT NOT NULL,
    is_pending    INTEGER NOT NULL,
    object_count  INTEGER NOT NULL,
    event_count   INTEGER NOT NULL,
    PRIMARY KEY (prefix_id, day, category, is_pending)
) STRICT, WITHOUT ROWID;
CREATE INDEX trail_day_pending ON trail_day (is_pending) WHERE is_pending = 1;

-- What the last sync of each source could not do. Replaced by the next.
CREATE TABLE failure (
    source_id  INTEGER NOT NULL REFERENCES source (id),
    key        TEXT NOT NULL,
    stage      TEXT NOT NULL,
    message    TEXT NOT NULL,
    failed_at  INTEGER NOT NULL,
    first_at   INTEGER NOT NULL,
    PRIMARY KEY (source_id, key, stage)
) STRICT, WITHOUT ROWID;

-- Tables that users declared with CREATE EXTERNAL TABLE: their DDL.
CREATE TABLE user_table (
    schema      TEXT NOT NULL,
    name        TEXT NOT NULL,
    definition  TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (schema, name)
) STRICT, WITHOUT ROWID;

-- Keys whose link under mirror/ is not yet what the snapshot says: left by a kill between the two.
CREATE TABLE stale_link (
    source_id  INTEGER NOT NULL REFERENCES source (id),
    key        TEXT NOT NULL,
    PRIMARY KEY (source_id, key)
) STRICT, WITHOUT ROWID;
