//! Mirrors S3 and file sources into a kennel cache
