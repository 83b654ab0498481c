//! CloudTrail Lake's SQL, pasted here: what is the same question in Athena's.
//!
//! Source: CloudTrail user guide, "CloudTrail Lake SQL constraints" and its sample queries: an event data store's id is
//! the table, eventTime is a timestamp, and requestParameters and its like are maps.

/// Fields that are maps there and JSON text here.
const MAPS: [&str; 5] = [
    "requestparameters",
    "responseelements",
    "additionaleventdata",
    "serviceeventdetails",
    "eventdata",
];

/// What to write instead, for a statement that failed.
pub(crate) fn hints(sql: &str, message: &str) -> Vec<String> {
    let text = sql.to_lowercase();
    let mut hints = Vec::new();
    if reads_event_data_store(&text) {
        hints.push("an event data store is the table of CloudTrail Lake; here the events are in cloudtrail.cloudtrail_logs, and typed in cloudtrail.events".to_owned());
    }
    let as_row = message.contains("needs a row");
    if let Some((field, key)) = MAPS
        .iter()
        .find_map(|field| Some((*field, key_of_map(sql, &text, field, as_row)?)))
    {
        let whole = if field == "eventdata" {
            "requestparameters"
        } else {
            field
        };
        let elsewhere = if as_row {
            "is JSON text"
        } else {
            "is a map in CloudTrail Lake and JSON text here"
        };
        hints.push(format!(
            "`{field}` {elsewhere}: json_extract_scalar({whole}, '$.{key}')"
        ));
    }
    let compares_time = text.contains("eventtime")
        && !text.contains("from_iso8601_timestamp(")
        && (message.contains("timestamp") || message.contains("date"))
        && message.contains("varchar");
    if compares_time {
        hints.push("`eventtime` is a timestamp in CloudTrail Lake and text here: eventtime > '2026-03-01T00:00:00Z', from_iso8601_timestamp(eventtime), or `event_time` of cloudtrail.events".to_owned());
    }
    hints
}

/// `FROM 12345678-1234-…`, `FROM $EDS_ID`, `FROM event_data_store_id`.
fn reads_event_data_store(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let mut names = Vec::new();
    while let Some(word) = words.next() {
        if matches!(word, "from" | "join") {
            names.extend(words.next());
        }
    }
    names.iter().any(|name| {
        let name = name.trim_matches(['"', '`', '(', ')', ',', ';', '<', '>', '$', '{', '}']);
        is_uuid(name) || name.contains("eds_id") || name.contains("event_data_store")
    })
}

fn is_uuid(name: &str) -> bool {
    let parts = name.split('-').collect::<Vec<_>>();
    let lengths = parts.iter().map(|part| part.len()).collect::<Vec<_>>();
    lengths == [8, 4, 4, 4, 12] && name.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

/// The key that is asked for by `element_at(requestParameters, 'x')`, `requestParameters['x']`, or, where that failed,
/// `requestParameters.x`. `text` is `sql` in lower case.
fn key_of_map<'a>(sql: &'a str, text: &str, field: &str, as_row: bool) -> Option<&'a str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let is_path = |c: char| is_word(c) || c == '.';
    text.match_indices(field).find_map(|(at, _)| {
        let before = text[..at].trim_end_matches(is_path).trim_end();
        // Letters whose lower case is longer would shift what follows.
        let after = sql.get(at + field.len()..)?.trim_start();
        let before = before.strip_suffix('(').map(str::trim_end);
        let is_argument = before.is_some_and(|before| before.ends_with("element_at"));
        let quoted = if is_argument {
            after.strip_prefix(',')
        } else {
            after.strip_prefix('[')
        };
        if let Some(quoted) = quoted {
            let key = quoted.trim_start().strip_prefix('\'');
            return Some(key.and_then(|key| key.split('\'').next()).unwrap_or("key"));
        }
        let path = after.strip_prefix('.').filter(|_| as_row)?;
        let path = path.find(|c| !is_path(c)).map_or(path, |end| &path[..end]);
        Some(path.trim_end_matches('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lakes_sql_gets_hints_and_athenas_none() {
        let store = "SELECT eventName FROM 0a1b2c3d-1234-5678-9abc-0123456789ab WHERE eventTime > '2026-01-01'";
        assert!(hints(store, "expected an identifier")[0].contains("event data store"));
        for sql in [
            "SELECT 1 FROM $EDS_ID",
            "SELECT 1\nFROM <event_data_store_ID> LIMIT 1",
        ] {
            assert_eq!(hints(sql, "").len(), 1, "{sql}");
        }
        for sql in [
            "SELECT element_at(requestParameters, 'bucketName') FROM cloudtrail_logs",
            "SELECT element_at ( e.responseElements , 'x') FROM t e",
            "SELECT requestParameters['a'] FROM t",
        ] {
            let hints = hints(sql, "no such function");
            assert!(
                hints[0].contains("json_extract_scalar("),
                "{sql}: {hints:?}"
            );
        }
        let row = "SELECT requestparameters.bucketname FROM cloudtrail_logs";
        assert!(hints(row, "").is_empty());
        let message = "`.bucketname` needs a row, not varchar";
        assert!(
            hints(row, message)[0]
                .contains("json_extract_scalar(requestparameters, '$.bucketname')")
        );
        let row = "SELECT c.responseElements.assumedRoleUser.arn, 1 FROM cloudtrail_logs c";
        assert!(hints(row, message)[0].ends_with("'$.assumedRoleUser.arn')"));
        let map = "SELECT element_at(requestParameters, 'bucketName') FROM cloudtrail_logs";
        assert!(hints(map, "")[0].ends_with("'$.bucketName')"));
        let message = "these types do not go together: varchar and timestamp";
        assert!(
            hints(
                "SELECT 1 FROM t WHERE eventTime > current_timestamp",
                message
            )[0]
            .contains("from_iso8601_timestamp")
        );
        let plain = "SELECT json_extract_scalar(requestparameters, '$.x'), element_at(m, 'y') FROM cloudtrail_logs WHERE eventtime > 'x'";
        assert!(hints(plain, "column not found").is_empty());
    }
}
