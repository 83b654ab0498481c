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
        UnloadForm::read(&properties.collect()).map(|form| form.format)
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
        &[("format", "CSV")],
        &[("format", "PARQUET"), ("compression", "BROTLI")],
    ] {
        assert!(read(pairs).is_err(), "{pairs:?}");
    }
}

#[test]
fn text_files_are_compressed_where_that_is_asked_for() {
    let text_format = UnloadFormat::Text { delimiter: ',' };
    let read =
        |wanted, format| compression(wanted, format).map(|(gzip, notes)| (gzip, notes.len()));
    assert_eq!(read(None, text_format).unwrap(), (false, 1));
    assert_eq!(read(Some("gzip"), UnloadFormat::Json).unwrap(), (true, 0));
    assert_eq!(read(Some("NONE"), UnloadFormat::Json).unwrap(), (false, 0));
    assert_eq!(read(Some("ZSTD"), text_format).unwrap(), (true, 1));
    assert_eq!(
        read(Some("ZSTD"), UnloadFormat::Parquet).unwrap(),
        (false, 0)
    );
    assert!(read(Some("LZO"), UnloadFormat::Parquet).is_err());
}
