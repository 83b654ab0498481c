//! From the text of a script to statements.
//!
//! [`split`] cuts a script at its semicolons, [`Statement::parse`] says what each piece is. A
//! question keeps its text, for DataFusion to plan; Athena's DDL is read here. Nothing is executed.
//!
//! Athena has two grammars, chosen by the first words of a statement. Queries and views are
//! Trino's: `"` quotes a name and `\` is a character like any other. The rest of the DDL is Hive's:
//! `` ` `` quotes a name, `'` and `"` quote text, and `\` escapes in it.

mod alter;
mod cursor;
mod ddl;
mod error;
mod hive;
mod lexer;
mod name;
mod router;
mod split;
mod types;
mod words;
mod write;

pub use alter::{NewPartition, PartitionTerm, TableChange};
pub use ddl::{quoted_name, quoted_text};
pub use error::StatementError;
pub use hive::{
    Clustering, Column, Delimiters, FileFormat, HiveTable, MAX_TYPE_DEPTH, RowFormat, StoredAs,
};
pub(crate) use name::CATALOG;
pub use name::TableName;
pub use router::Statement;
pub use split::{Piece, is_complete, split};
pub use types::hive_type;
pub use words::athena_words;
pub use write::{Embedded, Properties, Property, with_arguments, with_literals};
