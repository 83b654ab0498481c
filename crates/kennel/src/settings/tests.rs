//! Precedence, and what a wrong config file is told.

use std::path::Path;

use super::*;
use crate::error::Label;

fn parse(text: &str) -> Result<ConfigFile, String> {
    let told = |error: CliError| {
        let label = |label: Label| {
            if label == Label::Hint {
                "hint:".to_owned()
            } else {
                "error:".to_owned()
            }
        };
        error.lines(label).join("\n")
    };
    ConfigFile::parse(Path::new("/etc/kennel/kennel.toml"), text).map_err(told)
}

fn resolve(global: &GlobalArgs, origins: FlagOrigins, file: &str) -> Settings {
    Settings::resolve(global, origins, Some(&parse(file).unwrap())).unwrap()
}

#[test]
fn flags_beat_environment_beats_file_beats_default() {
    let file = "home = 'cache'\noffline = true\n[sync]\nconcurrency = 8\n";
    let global = GlobalArgs {
        home: Some("/h".into()),
        ..GlobalArgs::default()
    };
    let origins = |home| FlagOrigins {
        home,
        ..FlagOrigins::default()
    };

    let settings = resolve(&global, origins(Some(ValueSource::CommandLine)), file);
    assert_eq!(
        settings.home,
        Sourced::new("/h".into(), Origin::Flag("--home"))
    );
    let settings = resolve(&global, origins(Some(ValueSource::EnvVariable)), file);
    assert_eq!(
        settings.home,
        Sourced::new("/h".into(), Origin::Environment("KENNEL_HOME"))
    );
    let settings = resolve(&GlobalArgs::default(), origins(None), file);
    assert_eq!(
        settings.home,
        Sourced::new("/etc/kennel/cache".into(), Origin::File)
    );
    assert_eq!(settings.offline, Sourced::new(true, Origin::File));
    assert_eq!(settings.concurrency, Sourced::new(8, Origin::File));
    assert_eq!(settings.color.origin, Origin::Default);
    assert_eq!(
        settings.bandwidth_limit,
        Sourced::new(None, Origin::Default)
    );
}

#[test]
fn relative_paths_are_as_seen_from_the_config_file() {
    let file = "queries = ['./sql', '/abs']\n[[source]]\nname='k9'\nkind='k9'\nurl='file://./inbox'\nca_bundle='ca.pem'\n";
    let settings = resolve(&GlobalArgs::default(), FlagOrigins::default(), file);
    assert_eq!(
        settings.queries.value,
        [PathBuf::from("/etc/kennel/./sql"), PathBuf::from("/abs")]
    );
    assert_eq!(settings.sources[0].url, "file:///etc/kennel/./inbox");
    assert_eq!(
        settings.sources[0].ca_bundle.as_deref(),
        Some(Path::new("/etc/kennel/ca.pem"))
    );
    assert!(settings.sources[0].keep_raw);
}

#[test]
fn an_unknown_key_is_shown_in_its_line_with_the_nearest_one() {
    let error = parse("[[source]]\nname = 'k9'\nkind = 'k9'\nurll = 's3://b'\n").unwrap_err();
    assert_eq!(
        error,
        "error: cannot understand the config file `/etc/kennel/kennel.toml`
 4 | urll = 's3://b'
   | ^^^^ did you mean `url`?
  caused by: line 4, column 1: unknown field `urll`, expected one of `name`, `kind`, `url`, `region`, `profile`, `role_arn`, `external_id`, `endpoint_url`, `request_payer`, `ca_bundle`, `path_style`, `since`, `keep_raw`, `csv_reports`
hint: `kennel init` in an empty folder writes a commented example"
    );
}

#[test]
fn wrong_values_are_shown_where_they_stand() {
    let source =
        |lines: &str| format!("[[source]]\nname = 'a'\nkind = 'k9'\nurl = 's3://b'\n{lines}");
    for (text, expected) in [
        (source("since = '3 moons'\n"), "line 5"),
        (
            source("\n[[source]]\nname = 'a'\nkind = 'k9'\nurl = 's3://c'\n"),
            "two sources are named `a`",
        ),
        (
            "[[source]]\nname = 'a'\nkind = 'k9'\nurl = 'https://b'\n".to_owned(),
            "is not s3://BUCKET",
        ),
        (
            "[[source]]\nname = 'a b'\nkind = 'k9'\nurl = 's3://b'\n".to_owned(),
            "source name",
        ),
        (
            "[[source]]\nname = 'a'\nkind = 'clodtrail'\nurl = 's3://b'\n".to_owned(),
            "did you mean `cloudtrail`?",
        ),
        (
            "[sync]\nconcurrency = 0\n".to_owned(),
            "at least one download",
        ),
        (
            "[sync]\nbandwidth_limit = 'fast'\n".to_owned(),
            "not a size",
        ),
        ("home = \n".to_owned(), "line 1"),
    ] {
        let error = parse(&text).unwrap_err();
        let found =
            error.contains(expected) || (expected == "line 5" && error.contains(" 5 | since"));
        assert!(found, "{text}\n{error}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let file = "[[source]]\nname='k9'\nkind='k9'\nurl='s3://b'\nexternal_id='hush'\nendpoint_url='https://user:hush@minio:9000/x'\n";
    let settings = resolve(&GlobalArgs::default(), FlagOrigins::default(), file);
    let shown = format!("{:?}", settings.describe());
    assert!(!shown.contains("hush"), "{shown}");
    assert!(shown.contains("https://[redacted]@minio:9000/x"), "{shown}");
}
