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
