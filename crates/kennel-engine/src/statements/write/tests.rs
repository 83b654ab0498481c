use super::*;

fn text(value: &str) -> Property {
    Property::Text(value.into())
}

#[test]
fn partition_columns_are_the_last_of_the_query() {
    let schema: SchemaRef = datafusion::arrow::datatypes::Schema::new(
        ["a", "b", "c"]
            .map(|name| datafusion::arrow::datatypes::Field::new(name, DataType::Utf8, true))
            .to_vec(),
    )
    .into();
    let last = |names: &[&str]| {
        let names = names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>();
        last_columns(&names, &schema)
    };
    assert_eq!(last(&["b", "c"]).unwrap(), ["b", "c"]);
    assert!(last(&[]).unwrap().is_empty());
    for names in [&["b"][..], &["c", "b"], &["a", "b", "c"], &["d"]] {
        assert!(last(names).is_err(), "{names:?}");
    }
}

#[test]
fn properties_of_tables_are_known_or_refused() {
    let form = |pairs: &[(&str, Property)]| {
        let properties = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        Form::read(&properties.collect())
    };
    assert_eq!(form(&[("format", text("orc"))]).unwrap().notes.len(), 1);
    assert!(
        form(&[
            ("bucketed_by", Property::List(vec!["a".into()])),
            ("bucket_count", text("3"))
        ])
        .unwrap()
        .notes
        .is_empty()
    );
    let iceberg = [
        ("table_type", text("ICEBERG")),
        ("location", text("s3://b/x/")),
        ("partitioning", Property::List(vec!["month(d)".into()])),
    ];
    assert_eq!(form(&iceberg).unwrap().notes.len(), 2);
    for pairs in [
        &[("format", text("CSV"))],
        &[("table_type", text("DELTA"))],
        &[("colour", text("red"))],
    ] {
        assert!(form(pairs).is_err(), "{pairs:?}");
    }
}
