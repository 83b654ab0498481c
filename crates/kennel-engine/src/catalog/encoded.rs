//! Columns of CloudTrail's table files that are read as they lie: with few different texts, as numbers into a
//! dictionary. A filter then looks at each text of a dictionary rather than at each row, and no text is copied for rows
//! that a filter drops. Tables show them as text all the same: what leaves a scan is text.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};

use super::columns_text;
use crate::trail::schema::{PARTITION_COLUMNS, event_schema};

/// The columns whose texts recur, beside those of the object's key. Where a dictionary became too large for a file, its
/// texts are looked up in a new one: slower, so that columns in which most texts differ are not among them.
const RECURRING: [&str; 23] = [
    "eventversion",
    "eventsource",
    "eventname",
    "awsregion",
    "errorcode",
    "readonly",
    "eventtype",
    "apiversion",
    "recipientaccountid",
    "vpcendpointid",
    "eventcategory",
    "managementevent",
    "event_category",
    "account_id",
    "service",
    "principal_type",
    "principal_arn",
    "principal_name",
    "principal_account_id",
    "session_name",
    "identity_center_user_id",
    "source_identity",
    "invoked_by",
];

/// The column that questions look for texts in: its texts stay where a page was unpacked, until a row that a filter lets through
/// needs its own.
const SEARCHED: &str = "requestparameters";

/// Whether a column's texts recur.
pub(crate) fn is_recurring(name: &str) -> bool {
    RECURRING.contains(&name) || PARTITION_COLUMNS.contains(&name) || name == "tls_version"
}

/// What the columns of a table file are read as, by their description in the manifest; `None` for files of another
/// form, which tell it themselves.
pub(super) fn read_as(columns: &str) -> Option<SchemaRef> {
    static KNOWN: LazyLock<(String, SchemaRef)> = LazyLock::new(|| {
        let schema = event_schema();
        let fields = schema.fields().iter().map(|field| {
            if is_recurring(field.name()) && *field.data_type() == DataType::Utf8 {
                // Numbers of 32 bits: a dictionary never has more texts than they count.
                let dictionary =
                    DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
                Arc::new(field.as_ref().clone().with_data_type(dictionary))
            } else if field.name() == SEARCHED {
                Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View))
            } else {
                Arc::clone(field)
            }
        });
        let read_as = Schema::new(fields.collect::<Vec<_>>());
        (columns_text(&schema), Arc::new(read_as))
    });
    let (written, read_as) = &*KNOWN;
    (columns == written).then(|| Arc::clone(read_as))
}
