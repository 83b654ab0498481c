use kennel_athena::statement::{Statement, split};

use super::*;

fn partitioning(rest: &str, partitions: &[(&str, Option<&str>)]) -> Result<Partitioning, String> {
    let sql = format!("CREATE EXTERNAL TABLE t (a string) {rest}");
    let Ok(Statement::CreateExternalTable(table)) = Statement::parse(&split(&sql).unwrap()[0])
    else {
        panic!("{sql}");
    };
    let partitions = partitions
        .iter()
        .map(|(spec, location)| UserPartition {
            schema: "s".into(),
            name: "t".into(),
            spec: (*spec).into(),
            location: location.map(str::to_owned),
        })
        .collect::<Vec<_>>();
    let to_prefix = |location: &str| {
        let key = location.strip_prefix("s3://b/")?;
        Some(format!("{}/", key.trim_end_matches('/')))
    };
    let now = "2024-03-10T12:30:00Z".parse().unwrap();
    let prefix = to_prefix(table.location.as_deref().unwrap()).unwrap();
    Partitioning::try_new(&table, &prefix, &partitions, to_prefix, now)
}

fn values(partitioning: &Partitioning, key: &str) -> Option<String> {
    let values = partitioning.values(key, &[])?;
    let text = values
        .into_iter()
        .map(|value| value.unwrap_or_else(|| "-".into()));
    Some(text.collect::<Vec<_>>().join("|"))
}

const FOLDER: &str = "x/AWSLogs/111122223333/CloudTrail/us-east-1/2024/01/31/";

#[test]
fn projection_reads_values_from_the_template() {
    let table = partitioning(
        "PARTITIONED BY (`timestamp` string, acct string, region string) LOCATION 's3://b/x/AWSLogs' TBLPROPERTIES (
           'projection.enabled'='true', 'projection.timestamp.type'='date', 'projection.timestamp.format'='yyyy/MM/dd',
           'projection.timestamp.range'='2024/01/30,NOW', 'projection.acct.type'='injected',
           'projection.region.type'='enum', 'projection.region.values'='us-east-1, us-east-11',
           'storage.location.template'='s3://b/x/AWSLogs/${acct}/CloudTrail/${region}/${timestamp}')",
        &[],
    )
    .unwrap();
    assert_eq!(
        values(&table, FOLDER).as_deref(),
        Some("2024/01/31|111122223333|us-east-1")
    );
    for key in [
        "x/AWSLogs/1/CloudTrail/us-west-1/2024/01/31/",
        "x/AWSLogs/1/CloudTrail/us-east-1/2024/01/29/",
        "AWSLogs/1/CloudTrail/us-east-1/2024/01/31/",
    ] {
        assert_eq!(values(&table, key), None, "{key}");
    }
    let parts = partitioning(
        "PARTITIONED BY (year int, month int) LOCATION 's3://b/x' TBLPROPERTIES ('projection.enabled'='TRUE',
           'projection.year.type'='integer', 'projection.year.range'='2020,2030', 'projection.month.type'='integer',
           'projection.month.range'='1,12', 'projection.month.digits'='2', 'projection.month.interval'='2')",
        &[],
    )
    .unwrap();
    assert_eq!(
        values(&parts, "x/year=2024/month=03/f").as_deref(),
        Some("2024|03")
    );
    for key in [
        "x/year=2024/month=3/f",
        "x/year=2024/month=04/f",
        "x/year=2019/month=03/f",
        "x/month=03/f",
    ] {
        assert_eq!(values(&parts, key), None, "{key}");
    }
}

#[test]
fn what_projection_lacks_is_said() {
    let error = |rest: &str| {
        partitioning(&format!("PARTITIONED BY (d string) LOCATION 's3://b/x' TBLPROPERTIES ('projection.enabled'='true'{rest})"), &[]).unwrap_err()
    };
    assert_eq!(error(""), "TBLPROPERTIES lack `projection.d.type`");
    assert_eq!(
        error(", 'projection.d.type'='list'"),
        "`projection.d.type` is `list`, not enum, integer, date or injected"
    );
    assert_eq!(
        error(", 'projection.d.type'='injected', 'storage.location.template'='s3://b/x/${e}'"),
        "the template names `${e}`, which is no partition column"
    );
    assert_eq!(
        error(", 'projection.d.type'='injected', 'storage.location.template'='s3://b/x/'"),
        "the template lacks the partition column `${d}`"
    );
}

#[test]
fn added_partitions_have_their_values_and_dropped_ones_are_gone() {
    let table = partitioning(
        "PARTITIONED BY (region string, dt string) LOCATION 's3://b/x/AWSLogs'",
        &[
            (
                "region=home/dt=2024%2D01%2D31",
                Some("s3://b/x/AWSLogs/111122223333/CloudTrail/us-east-1/2024/01/31"),
            ),
            ("region=other/dt=2024%2D02%2D01", Some("s3://b/elsewhere/")),
            ("dt>=2024%2D02%2D10", None),
        ],
    )
    .unwrap();
    assert_eq!(values(&table, FOLDER).as_deref(), Some("home|2024-01-31"));
    assert_eq!(
        values(&table, "elsewhere/f").as_deref(),
        Some("other|2024-02-01")
    );
    // The rest lies where the table does; its days are written as the added ones are.
    assert_eq!(
        values(
            &table,
            "x/AWSLogs/111122223333/CloudTrail/us-east-1/2024/02/01/"
        )
        .as_deref(),
        Some("us-east-1|2024-02-01")
    );
    assert_eq!(
        values(
            &table,
            "x/AWSLogs/111122223333/CloudTrail/us-east-1/2024/02/11/"
        ),
        None
    );
    assert_eq!(
        values(
            &table,
            "y/AWSLogs/111122223333/CloudTrail/us-east-1/2024/02/01/"
        ),
        None
    );
}

#[test]
fn folders_name_values_and_deliveries_have_known_ones() {
    let hive = partitioning(
        "PARTITIONED BY (customer_id string, b string) LOCATION 's3://b/h/'",
        &[],
    )
    .unwrap();
    assert_eq!(
        values(&hive, "h/Customer_Id=C%201/csp=aws/f").as_deref(),
        Some("C 1|-")
    );
    assert_eq!(
        hive.values("h/f", &[("b", "x")]),
        Some(vec![None, Some("x".into())])
    );
    for (columns, expected) in [
        (
            "account string, region string, year string, month string, day string",
            "111122223333|us-east-1|2024|01|31",
        ),
        (
            "p_account string, p_region string, p_date string",
            "111122223333|us-east-1|2024/01/31",
        ),
        ("day string", "2024/01/31"),
        ("other string", "-"),
    ] {
        let table = partitioning(
            &format!("PARTITIONED BY ({columns}) LOCATION 's3://b/x/'"),
            &[],
        )
        .unwrap();
        assert_eq!(
            values(&table, FOLDER).as_deref(),
            Some(expected),
            "{columns}"
        );
    }
}

#[test]
fn specs_keep_any_value() {
    let terms = ["=", "<>", "<=", ">"].map(|operator| PartitionTerm {
        column: "a".into(),
        operator,
        value: "x/y=<é> %".into(),
    });
    assert_eq!(terms_of(&spec_of(&terms)), terms);
}
