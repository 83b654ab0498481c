//! The study: where DataFusion meets the cache.
//!
//! [`Engine`] answers SQL and canned queries over a [`kennel_cache::Cache`]; [`ingest_report`] makes the
//! table files that it reads. No network, no environment, no clock: settings are arguments.

mod as_of;
mod catalog;
mod completeness;
mod culprit;
mod ddl;
mod diff;
mod error;
mod explain;
mod ingest;
mod k9;
mod library;
mod numbers;
mod once;
mod origins;
mod params;
mod past;
mod reading;
mod same;
mod session;
mod shell;
mod statements;
mod time_travel;
pub mod trail;
mod views;

pub use as_of::AsOf;
pub use completeness::{Caveat, CaveatKind, ReportUsed};
pub use ddl::{AthenaStatement, DdlOptions};
pub use diff::{Change, Diff, DiffOptions, Question, RowMap};
pub use error::{EngineError, LibraryError, SqlPlace};
pub use ingest::{IngestError, ingest_csv_report, ingest_report};
pub use kennel_athena::functions as athena_functions;
pub use library::{AccountFilter, CannedQuery, Library, Param, ParamType, Severity};
pub use origins::Origins;
pub use params::ParamValues;
pub use past::{Past, Standing};
pub use reading::{ReadSoFar, Reading, SourceBytes};
/// The stack that a thread needs to plan any statement that the engine accepts.
///
/// DataFusion recurses over expressions, and a statement may hold some ten thousand conditions.
pub const STACK_BYTES: usize = 256 << 20;

pub use session::{Answer, ConfiguredSource, Engine, EngineSettings, Outcome, Statement};
pub use shell::{KeptResult, KnownValues, LAST_RESULT, TableShape};
pub use statements::{Unload, UnloadFormat};
