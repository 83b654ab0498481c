//! Test data, an S3 server with faults, and test homes for kennel

pub mod fixtures;
pub mod s3;
