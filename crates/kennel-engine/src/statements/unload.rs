//! `UNLOAD`: rows of queries that leave, into a folder of this machine.

use std::path::PathBuf;

use kennel_athena::statement::{Embedded, Piece, Properties, Property};

use super::{
    refused,
    write::{distinct_columns, last_columns},
};
use crate::{Answer, Engine, EngineError, Outcome, ParamValues};

/// The rows of an `UNLOAD`, and where they go.
pub struct Unload {
    /// The rows.
    pub answer: Answer,
    /// The folder.
    pub folder: PathBuf,
    /// The form of the files.
    pub format: UnloadFormat,
    /// Whether text files are compressed.
    pub gzip: bool,
    /// The columns that name folders instead of being written: the last ones of the query.
    pub partitioned_by: Vec<String>,
    /// What to know.
    pub notes: Vec<String>,
}

/// The form of an unloaded file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnloadFormat {
    /// Parquet.
    Parquet,
    /// One JSON object a line.
    Json,
    /// Hive's text: no header, no quotes, null as `\N`.
    Text {
        /// What stands between the values.
        delimiter: char,
    },
}

impl Engine {
    pub(super) async fn unload(
        &self,
        query: &Embedded,
        to: &str,
        properties: &Properties,
        piece: &Piece,
        values: &ParamValues,
    ) -> Result<Outcome, EngineError> {
        let folder = local_folder(to)?;
        let form = UnloadForm::read(properties)?;
        let plan = self.plan_in(query, piece, values).await?;
        let schema = plan.schema().as_arrow().clone().into();
        distinct_columns(&schema)?;
        let partitioned_by = last_columns(&form.partitioned_by, &schema)?;
        let answer = self.start_in(plan, query, piece).await?;
        Ok(Outcome::Unload(Unload {
            answer,
            folder,
            format: form.format,
            gzip: form.gzip,
            partitioned_by,
            notes: form.notes,
        }))
    }
}

/// The folder that a location names.
fn local_folder(to: &str) -> Result<PathBuf, EngineError> {
    let hint = "give a folder of this machine: TO 'file:///path/to/folder/'; another program copies it to S3";
    let path = match to.split_once("://") {
        Some(("file", path)) => path,
        Some(("s3" | "s3a" | "s3n", _)) => {
            return Err(EngineError::Unsupported {
                what: "UNLOAD into S3".into(),
                hint: hint.into(),
            });
        }
        Some((scheme, _)) => {
            return Err(EngineError::Unsupported {
                what: format!("UNLOAD to `{scheme}://`"),
                hint: hint.into(),
            });
        }
        None => to,
    };
    match path.trim().is_empty() {
        true => Err(refused("UNLOAD … TO names no folder".into(), hint)),
        false => Ok(PathBuf::from(path)),
    }
}

/// How an `UNLOAD` wants its files.
struct UnloadForm {
    format: UnloadFormat,
    gzip: bool,
    partitioned_by: Vec<String>,
    notes: Vec<String>,
}

impl UnloadForm {
    fn read(properties: &Properties) -> Result<Self, EngineError> {
        let known = [
            "format",
            "compression",
            "compression_level",
            "field_delimiter",
            "partitioned_by",
        ];
        if let Some(unknown) = properties
            .keys()
            .find(|name| !known.contains(&name.as_str()))
        {
            return Err(refused(
                format!("UNLOAD has no property `{unknown}`"),
                "it has format, compression, compression_level, field_delimiter and partitioned_by",
            ));
        }
        let partitioned_by = match properties.get("partitioned_by") {
            Some(Property::List(columns)) => columns.as_slice(),
            None => &[],
            Some(_) => {
                return Err(refused(
                    "partitioned_by is a list of columns".into(),
                    "partitioned_by = ARRAY['region']",
                ));
            }
        };
        let partitioned_by = partitioned_by.iter().map(|name| name.to_lowercase());
        let partitioned_by = partitioned_by.collect();
        let format = unload_format(properties)?;
        let (gzip, notes) = compression(text_of(properties, "compression"), format)?;
        Ok(Self {
            format,
            gzip,
            partitioned_by,
            notes,
        })
    }
}

fn text_of<'a>(properties: &'a Properties, name: &str) -> Option<&'a str> {
    match properties.get(name) {
        Some(Property::Text(text)) => Some(text.as_str()),
        _ => None,
    }
}

fn unload_format(properties: &Properties) -> Result<UnloadFormat, EngineError> {
    let delimiter = match text_of(properties, "field_delimiter") {
        None => '\u{1}',
        Some(text) => {
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(one), None) => one,
                (Some('\\'), Some('t')) => '\t',
                _ => {
                    return Err(refused(
                        "field_delimiter is one character".into(),
                        "field_delimiter = ','",
                    ));
                }
            }
        }
    };
    let name = text_of(properties, "format")
        .unwrap_or_default()
        .to_ascii_uppercase();
    match name.as_str() {
        "PARQUET" => Ok(UnloadFormat::Parquet),
        "JSON" => Ok(UnloadFormat::Json),
        "TEXTFILE" => Ok(UnloadFormat::Text { delimiter }),
        "" => Err(refused(
            "UNLOAD has no format".into(),
            "WITH (format = 'PARQUET') gives it one",
        )),
        "CSV" => Err(refused(
            "`CSV` is no format of UNLOAD".into(),
            "format = 'TEXTFILE' with field_delimiter = ',' is; `-o FILE.csv` writes a result with a header",
        )),
        _ => Err(EngineError::Unsupported {
            what: format!("UNLOAD in {name}"),
            hint: "PARQUET, JSON and TEXTFILE can be written; `-o FILE.xlsx` and others write a result, too".into(),
        }),
    }
}

/// Whether text files are compressed, and what differs from what was asked for.
fn compression(
    wanted: Option<&str>,
    format: UnloadFormat,
) -> Result<(bool, Vec<String>), EngineError> {
    let name = wanted.unwrap_or_default().to_ascii_uppercase();
    let known = match format {
        UnloadFormat::Parquet => &["", "GZIP", "LZ4", "NONE", "SNAPPY", "ZSTD"][..],
        UnloadFormat::Json | UnloadFormat::Text { .. } => &[
            "", "BZIP2", "DEFLATE", "GZIP", "LZ4", "NONE", "SNAPPY", "ZSTD",
        ][..],
    };
    if !known.contains(&name.as_str()) {
        let known = known.iter().filter(|name| !name.is_empty());
        let known = known.copied().collect::<Vec<_>>().join(", ");
        return Err(refused(
            format!("`{name}` is no compression of this format"),
            &format!("{known} are"),
        ));
    }
    if format == UnloadFormat::Parquet {
        return Ok((false, vec![]));
    }
    Ok(match name.as_str() {
        "" => {
            let note = "the files are not compressed; compression = 'GZIP' compresses them";
            (false, vec![note.to_owned()])
        }
        "NONE" => (false, vec![]),
        "GZIP" => (true, vec![]),
        other => {
            let note = format!("the files are compressed by GZIP, not by {other}");
            (true, vec![note])
        }
    })
}

#[cfg(test)]
mod tests;
