//! Which definitions of tables can read what a source delivers.

use kennel_athena::statement::{FileFormat, HiveTable, RowFormat, StoredAs};
use kennel_cache::SourceKind;

use super::refused;
use crate::{EngineError, catalog::user};

/// What to do where no source mirrors a location.
pub(super) const NO_SOURCE: &str = "kennel mirrors k9's reports and CloudTrail's logs: where the bucket holds such, add a [[source]] with it to kennel.toml and run `kennel sync`";

/// A part of the classes of SerDes that read what the sources deliver.
const SERDES: [&str; 5] = [
    "cloudtrailserde",
    "jsonserde",
    "lazysimpleserde",
    "opencsvserde",
    "parquethiveserde",
];

/// Refuses a table whose SerDe cannot read what the source delivers: its rows would not be what Athena gives.
pub(super) fn check(table: &HiveTable, kind: SourceKind, prefix: &str) -> Result<(), EngineError> {
    if kind == SourceKind::CloudTrail && user::trail::is_digest(prefix) {
        return Err(refused(
            "a location of CloudTrail digests holds no events".into(),
            "LOCATION '…/CloudTrail/' holds them; `kennel verify digests` checks the digests",
        ));
    }
    if let Some(service) =
        user::trail::other_service(prefix).filter(|_| kind == SourceKind::CloudTrail)
    {
        return Err(refused(
            format!("`{service}` below AWSLogs is no folder of CloudTrail's, and is not mirrored"),
            "a source mirrors the events: LOCATION 's3://…/AWSLogs/<account>/CloudTrail/'",
        ));
    }
    let class = match (&table.row_format, &table.stored_as) {
        (Some(RowFormat::Serde { class, .. }), _) => class.to_ascii_lowercase(),
        (_, Some(StoredAs::Format(format))) => {
            use FileFormat::{JsonFile, Parquet, TextFile};
            match format {
                JsonFile | Parquet | TextFile => return Ok(()),
                other => other.keyword().to_ascii_lowercase(),
            }
        }
        _ => return Ok(()),
    };
    if SERDES.iter().any(|known| class.contains(known)) {
        return Ok(());
    }
    let holds = match kind {
        SourceKind::CloudTrail => {
            "CloudTrail's JSON: 'org.apache.hive.hcatalog.data.JsonSerDe' reads it"
        }
        SourceKind::K9 => "Parquet: STORED AS PARQUET reads it",
    };
    Err(refused(
        format!("`{class}` cannot read what lies there"),
        &format!("the source delivers {holds}"),
    ))
}
