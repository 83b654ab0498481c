//! A small vocabulary, and what is offered at `|`.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema};
use kennel_engine::KnownValues;

use super::{super::names::QueryName, *};

fn table(schema: &str, name: &str, columns: Vec<Field>) -> TableShape {
    TableShape {
        schema: schema.into(),
        name: name.into(),
        columns: Arc::new(Schema::new(columns)),
        row_count: None,
    }
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn vocabulary() -> Vocabulary {
    let context = DataType::Struct(Fields::from(vec![text("mfaauthenticated")]));
    let identity = DataType::Struct(Fields::from(vec![
        text("arn"),
        text("accountid"),
        Field::new("sessioncontext", context, true),
    ]));
    let mut words = Vocabulary {
        tables: vec![
            table(
                "cloudtrail",
                "cloudtrail_logs",
                vec![
                    text("eventname"),
                    text("eventsource"),
                    Field::new("useridentity", identity, true),
                ],
            ),
            table(
                "k9",
                "principals_latest",
                vec![
                    text("principal_arn"),
                    text("principal_name"),
                    text("account_id"),
                ],
            ),
            table(
                "k9",
                "principal_access_summaries_latest",
                vec![
                    text("principal_arn"),
                    text("service_name"),
                    text("access_capability"),
                ],
            ),
            table(
                "kennel",
                "snapshots",
                vec![text("snapshot_id"), text("odd name"), text("evil\u{1b}[2J")],
            ),
        ],
        functions: vec!["count".into(), "json_extract_scalar".into()],
        queries: vec![
            QueryName {
                id: "k9/iam-admins".into(),
                title: "Administrators".into(),
                params: vec![("account_id".into(), "one account".into())],
            },
            QueryName {
                id: "k9/who-can".into(),
                title: "Who can".into(),
                params: vec![],
            },
        ],
        params: vec!["arn".into()],
        snapshots: vec![("s2".into(), "k9, 2026-03-02".into())],
        known: KnownValues {
            accounts: vec!["012345678901".into(), "111122223333".into()],
            ..KnownValues::default()
        },
        ..Vocabulary::default()
    };
    let id = |column: &str| {
        (
            "k9".to_owned(),
            "principal_access_summaries_latest".to_owned(),
            column.to_owned(),
        )
    };
    words.learn(
        id("service_name"),
        vec!["IAM".into(), "O'Neill".into(), "RDS".into(), "S3".into()],
    );
    words
}

/// The values offered where `|` stands.
#[track_caller]
fn offered(line: &str) -> Vec<String> {
    let pos = line.find('|').expect("the line says where the cursor is");
    let completion = complete(&line.replacen('|', "", 1), pos, &vocabulary());
    completion
        .suggestions
        .into_iter()
        .map(|suggestion| suggestion.value)
        .collect()
}

/// The line after the first offer was taken.
#[track_caller]
fn taken(line: &str) -> String {
    let pos = line.find('|').expect("the line says where the cursor is");
    let mut line = line.replacen('|', "", 1);
    let completion = complete(&line, pos, &vocabulary());
    let first = completion
        .suggestions
        .first()
        .expect("something is offered");
    line.replace_range(first.span.start..first.span.end, &first.value);
    line
}

#[test]
fn tables_follow_from_and_members_a_dot() {
    assert_eq!(
        offered("SELECT * FROM princ|"),
        ["principal_access_summaries_latest", "principals_latest"]
    );
    assert_eq!(
        offered("select 1; SELECT * FROM k9.|;"),
        ["principal_access_summaries_latest", "principals_latest"]
    );
    assert_eq!(
        offered("SELECT * FROM iam.principals|"),
        ["principals_latest"]
    );
    assert_eq!(
        offered("SELECT * FROM awsdatacatalog.kennel.|"),
        ["snapshots"]
    );
    assert_eq!(
        offered("SELECT * FROM a, clo|"),
        [
            "cloudtrail_logs",
            "cloudtrail",
            "cloudtrail.cloudtrail_logs"
        ]
    );
    assert_eq!(offered("DESCRIBE kennel.s|"), ["snapshots"]);
    assert_eq!(
        offered("WITH mine AS (SELECT 1) SELECT * FROM mi|"),
        ["mine"]
    );
    assert_eq!(offered("SHOW TABLES IN k|"), ["k9", "kennel"]);
}

#[test]
fn columns_are_those_of_the_tables_that_the_statement_names() {
    assert_eq!(
        offered("SELECT princ| FROM k9.principals_latest"),
        ["principal_arn", "principal_name", "principals_latest"]
    );
    assert_eq!(
        offered("SELECT p.| FROM k9.principals_latest p"),
        ["account_id", "principal_arn", "principal_name"]
    );
    assert_eq!(
        offered("SELECT p.prin| FROM k9.principals_latest AS p"),
        ["principal_arn", "principal_name"]
    );
    assert!(
        offered("SELECT service_n|").contains(&"service_name".to_owned()),
        "nothing is selected from yet"
    );
    assert_eq!(
        offered("SELECT odd| FROM kennel.snapshots"),
        ["\"odd name\""]
    );
    assert_eq!(offered("SELECT evil| FROM kennel.snapshots"), [""; 0]);
}

#[test]
fn fields_of_structs_follow_their_column() {
    let from = "FROM cloudtrail.cloudtrail_logs";
    assert_eq!(
        offered(&format!("SELECT useridentity.| {from}")),
        ["accountid", "arn", "sessioncontext"]
    );
    assert_eq!(
        offered(&format!("SELECT l.useridentity.a| {from} l")),
        ["accountid", "arn"]
    );
    assert_eq!(
        offered(&format!("SELECT useridentity.sessioncontext.| {from}")),
        ["mfaauthenticated"]
    );
    assert_eq!(offered(&format!("SELECT eventname.| {from}")), [""; 0]);
}

#[test]
fn keywords_take_the_case_of_what_was_typed() {
    assert_eq!(taken("sel|"), "select");
    assert_eq!(taken("SEL|"), "SELECT");
    assert_eq!(taken("SELECT coun|"), "SELECT count(");
    assert_eq!(offered("SELECT x WHER|"), ["WHERE"]);
}

#[test]
fn values_stand_within_quotes_of_the_column_they_are_compared_with() {
    let from = "SELECT 1 FROM k9.principal_access_summaries_latest WHERE";
    assert_eq!(
        offered(&format!("{from} service_name = '|")),
        ["'IAM'", "'O''Neill'", "'RDS'", "'S3'"]
    );
    assert_eq!(
        taken(&format!("{from} service_name = 'r|")),
        format!("{from} service_name = 'RDS'")
    );
    assert_eq!(
        taken(&format!("{from} service_name = 'r|' AND x")),
        format!("{from} service_name = 'RDS' AND x")
    );
    assert_eq!(
        taken(&format!("{from} s.service_name IN ('IAM', '|")),
        format!("{from} s.service_name IN ('IAM', 'IAM'")
    );
    assert_eq!(
        offered(&format!("{from} service_name LIKE 'eil|")),
        ["'O''Neill'"]
    );
    assert_eq!(
        offered(&format!("{from} account_id = '0|")),
        ["'012345678901'"]
    );
    assert_eq!(offered(&format!("{from} concat('|")), [""; 0]);
}

#[test]
fn values_that_are_not_there_are_wanted_once_their_column_is_known() {
    let line = "SELECT 1 FROM k9.principal_access_summaries_latest WHERE access_capability = '";
    let wanted = complete(line, line.len(), &vocabulary()).wanted;
    let (schema, table, column) = wanted.unwrap();
    assert_eq!(
        [schema, table, column],
        [
            "k9",
            "principal_access_summaries_latest",
            "access_capability"
        ]
    );
    let line = "SELECT 1 WHERE nothing = '";
    assert_eq!(complete(line, line.len(), &vocabulary()).wanted, None);
}

#[test]
fn dot_commands_and_what_they_take() {
    assert_eq!(offered(".ta|"), [".tables"]);
    assert_eq!(offered("SELECT 1;\n.sna|"), [".snapshots"]);
    assert_eq!(offered(".run iam|"), ["k9/iam-admins"]);
    assert_eq!(offered(".run iam-admins |"), ["account_id="]);
    assert_eq!(offered(".as-of |"), ["latest", "s2"]);
    assert_eq!(offered(".timer v|"), ["verbose"]);
    assert_eq!(offered("\\d k9.principals|"), ["k9.principals_latest"]);
    assert!(offered(".mode |").contains(&"line".to_owned()));
    assert_eq!(
        offered(".explain SELECT * FROM k9.principals|"),
        ["principals_latest"]
    );
    assert_eq!(offered(".nonsense |"), [""; 0]);
}

#[test]
fn parameters_follow_their_sign() {
    assert_eq!(taken("SELECT $a|"), "SELECT $arn");
    assert_eq!(offered("SELECT $|"), ["arn", "as_of"]);
    assert_eq!(taken("SELECT 1 WHERE x = :ar|"), "SELECT 1 WHERE x = :arn");
}

#[test]
fn no_place_in_any_text_is_too_odd() {
    for line in [
        "",
        "'",
        "é.東.'x",
        "SELECT \"a.",
        ".",
        "\\",
        "$",
        ". run",
        "a.b.c.d.",
        ";;'",
        "-- x",
        ".explain",
        ".explain '",
    ] {
        for pos in 0..=line.len() + 1 {
            let _any = complete(line, pos, &vocabulary());
        }
    }
}
