//! Real records, where there are some at hand, against a parser that builds the whole tree.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;

/// A folder of delivered files, `.json` or `.json.gz`, at any depth.
const SAMPLES: &str = "KENNEL_TRAIL_SAMPLES";

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.to_string_lossy().contains(".json") {
            found.push(path);
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "names the folder of samples")]
#[expect(clippy::print_stderr, reason = "a test that skips must say so")]
fn real_records_load_without_loss() {
    let Some(folder) = std::env::var_os(SAMPLES) else {
        eprintln!("skipped: {SAMPLES} names no folder of CloudTrail files");
        return;
    };
    let mut paths = Vec::new();
    files(Path::new(&folder), &mut paths);
    assert!(!paths.is_empty(), "no files in {}", folder.display());
    let mut row_count = 0;
    for path in &paths {
        let bytes = std::fs::read(path).unwrap();
        let (rows, outcome) = match try_decode(&bytes) {
            Ok(read) => read,
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                continue;
            }
        };
        for problem in &outcome.problems {
            eprintln!(
                "{}: record {}: {}",
                path.display(),
                problem.index,
                problem.what
            );
        }
        let mut text = Vec::new();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            std::io::Read::read_to_end(
                &mut flate2::read::MultiGzDecoder::new(&bytes[..]),
                &mut text,
            )
            .unwrap();
        } else {
            text = bytes;
        }
        let Ok(tree) = serde_json::from_slice::<Value>(&text) else {
            continue;
        };
        let records = tree["Records"].as_array().cloned().unwrap_or_default();
        if outcome.problem_count == 0 && !records.is_empty() {
            assert_eq!(rows.0.num_rows(), records.len(), "{}", path.display());
            compare(&rows, &records);
        }
        row_count += rows.0.num_rows();
    }
    eprintln!("{row_count} rows of {} files", paths.len());
}

/// Every field of every record is found in its column, or in `extra`.
fn compare(rows: &Rows, records: &[Value]) {
    let schema = rows.0.schema();
    for (row, record) in records.iter().enumerate() {
        let extra = rows.text_at("extra", row);
        let extra = extra.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
        for (name, value) in record.as_object().unwrap() {
            let column = name.to_lowercase();
            let Ok(field) = schema.field_with_name(&column) else {
                assert_eq!(&extra[name], value, "{name}");
                continue;
            };
            if field.data_type() != &DataType::Utf8 {
                continue;
            }
            let found = rows.text_at(&column, row);
            match value {
                Value::Null => assert_eq!(found, None, "{name}"),
                Value::String(text) if !column.contains("parameters") => {
                    assert_eq!(found.as_deref(), Some(text.as_str()), "{name}");
                }
                Value::Bool(_) => assert_eq!(found, Some(value.to_string()), "{name}"),
                _ => {
                    let found: Value = serde_json::from_str(&found.unwrap()).unwrap();
                    assert_eq!(&found, value, "{name}");
                }
            }
        }
        let identity = &record["userIdentity"];
        for (path, value) in [
            ("useridentity.arn", &identity["arn"]),
            ("useridentity.accesskeyid", &identity["accessKeyId"]),
            (
                "useridentity.sessioncontext.sessionissuer.arn",
                &identity["sessionContext"]["sessionIssuer"]["arn"],
            ),
            ("tlsdetails.tlsversion", &record["tlsDetails"]["tlsVersion"]),
        ] {
            assert_eq!(rows.text_at(path, row).as_deref(), value.as_str(), "{path}");
        }
    }
}
