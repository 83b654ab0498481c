-- What format 1 has gained since the first caches; made by the next writer where it is missing.

-- A csv report that was looked at. It stays when retention forgets what it held: that must not come back.
CREATE TABLE IF NOT EXISTS seen_csv (
    source_id    INTEGER NOT NULL REFERENCES source (id),
    key          TEXT NOT NULL,
    etag         TEXT NOT NULL,
    version_id   TEXT,
    size_bytes   INTEGER NOT NULL,
    modified_at  INTEGER NOT NULL,
    PRIMARY KEY (source_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS object_by_key ON object (source_id, key);

-- Schemas that users made with CREATE DATABASE.
CREATE TABLE IF NOT EXISTS user_schema (
    name        TEXT NOT NULL PRIMARY KEY,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Partitions that users added to their tables (with a place), or dropped from them (without).
CREATE TABLE IF NOT EXISTS user_partition (
    schema      TEXT NOT NULL,
    name        TEXT NOT NULL,
    spec        TEXT NOT NULL,
    location    TEXT,
    PRIMARY KEY (schema, name, spec)
) STRICT, WITHOUT ROWID;

-- Table files of tables that users made from queries.
CREATE TABLE IF NOT EXISTS user_file (
    id                INTEGER PRIMARY KEY,
    schema            TEXT NOT NULL,
    name              TEXT NOT NULL,
    table_path        TEXT NOT NULL,
    table_size_bytes  INTEGER NOT NULL,
    row_count         INTEGER NOT NULL,
    statistics        TEXT NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS user_file_by_table ON user_file (schema, name);

-- Days and classes of events that `trail_day` has of a prefix, for readers that want those of all prefixes. A prefix
-- without a row is counted.
CREATE TABLE IF NOT EXISTS trail_held (
    prefix_id   INTEGER PRIMARY KEY REFERENCES trail_prefix (id),
    days        BLOB NOT NULL, -- number of the first and the last day of each run, 4 bytes each, little-endian
    categories  INTEGER NOT NULL -- bits: Management, Data, Insight, NetworkActivity, Aggregated, Unknown
) STRICT;
