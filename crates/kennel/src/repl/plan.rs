//! Plans for people: `EXPLAIN` answers with a text of many lines in one cell, which no table can show.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, RecordBatch, StringArray},
        datatypes::{DataType, Field, Schema},
    },
    physical_plan::memory::MemoryStream,
};
use futures::TryStreamExt;
use kennel_engine::Answer;

use crate::{error::CliError, output::value};

/// The same plan, a row a line.
///
/// # Errors
/// The execution of what is analysed.
pub(super) async fn by_lines(mut answer: Answer) -> Result<Answer, CliError> {
    let batches = answer.stream.try_collect::<Vec<RecordBatch>>().await;
    let mut lines = Vec::new();
    for batch in batches.map_err(CliError::from_execution)? {
        for row in 0..batch.num_rows() {
            for (index, column) in batch.columns().iter().enumerate() {
                let mut text = String::new();
                value::write_text(column, row, &mut text);
                match index {
                    0 => lines.push(format!("{text}:")),
                    _ => lines.extend(text.lines().map(|line| format!("  {line}"))),
                }
            }
        }
    }
    let field = Field::new("plan", DataType::Utf8, true);
    let schema = Arc::new(Schema::new(vec![field]));
    let column: ArrayRef = Arc::new(StringArray::from(lines));
    let stream = RecordBatch::try_new(Arc::clone(&schema), vec![column])
        .map_err(Into::into)
        .and_then(|batch| MemoryStream::try_new(vec![batch], Arc::clone(&schema), None));
    answer.stream = Box::pin(stream.map_err(CliError::from_execution)?);
    answer.schema = schema;
    Ok(answer)
}
