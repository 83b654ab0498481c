use super::*;

fn text(value: &str) -> Property {
    Property::Text(value.into())
}

#[test]
fn rows_leave_into_folders_of_this_machine_only() {
    assert_eq!(
        local_folder("file:///tmp/x/").unwrap(),
        PathBuf::from("/tmp/x/")
    );
    assert_eq!(local_folder("out").unwrap(), PathBuf::from("out"));
    for to in ["s3://b/x", "s3a://b/x", "https://x", "file://", " "] {
        assert!(local_folder(to).is_err(), "{to}");
    }
}

#[test]
fn formats_are_those_that_can_be_written() {
    let read = |pairs: &[(&str, &str)]| {
        let properties = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), text(value)));
        unload_format(&properties.collect()).map(|(format, _)| format)
    };
    assert_eq!(
        read(&[("format", "parquet")]).unwrap(),
        UnloadFormat::Parquet
    );
    assert_eq!(
        read(&[("format", "TEXTFILE"), ("field_delimiter", ",")]).unwrap(),
        UnloadFormat::Text { delimiter: ',' }
    );
    assert_eq!(
        read(&[("format", "TEXTFILE")]).unwrap(),
        UnloadFormat::Text { delimiter: '\u{1}' }
    );
    for pairs in [
        &[][..],
        &[("format", "ORC")],
        &[("format", "JSON"), ("partitioned_by", "a")],
        &[("format", "JSON"), ("colour", "red")],
        &[("format", "TEXTFILE"), ("field_delimiter", "::")],
    ] {
        assert!(read(pairs).is_err(), "{pairs:?}");
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
    for pairs in [
        &[("format", text("CSV"))],
        &[("table_type", text("ICEBERG"))],
        &[("colour", text("red"))],
    ] {
        assert!(form(pairs).is_err(), "{pairs:?}");
    }
}
