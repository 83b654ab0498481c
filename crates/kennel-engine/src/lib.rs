//! DataFusion over a kennel cache: catalog, ingest, canned queries
