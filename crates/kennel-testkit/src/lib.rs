//! Test data, an S3 server with faults, and test homes for kennel
