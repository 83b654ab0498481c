//! `kennel demo`: sample data inside the binary, mirrored and asked like a bucket.

use std::{fs, io::Write as _, path::Path, time::Instant};

use include_dir::{Dir, include_dir};
use kennel_cache::{CacheWriter, SourceKind, SourceName};
use kennel_engine::{EngineSettings, ParamValues};
use kennel_mirror::{CancelFlag, MirrorSettings, RetrySettings};

use super::{export, questions::Verdict, sync};
use crate::{
    context::Context,
    error::CliError,
    exit::Exit,
    export::private_folder,
    mirroring::{self, Options, Outcome},
    output::{self, Format, Look},
    progress::Progress,
    settings::{Origin, Settings, Source},
};

/// k9's guide, as made by `kennel-testkit`.
static BUCKET: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../testdata/k9/guide");

/// Where the sample bucket is written, below the demo's home.
const BUCKET_FOLDER: &str = "sample-inbox";

/// Where the demo's reports are, below its home.
const REPORTS: &str = "reports";

/// Rows of each answer on a terminal.
const SHOWN_ROWS: usize = 10;

/// What is asked.
const QUESTIONS: [&str; 5] = [
    "k9/iam-admins",
    "k9/rds-delete",
    "k9/stale-credentials",
    "k9/over-accessible-resources",
    "k9/excessive-access",
];

/// Show kennel on sample data: no network, no credentials, no config
///
/// Writes a small k9 inbox that is part of the binary to a folder, mirrors it as it would mirror a
/// bucket, answers a few questions, and writes the nightly report as a page. It has a home of its own in the platform's cache folder; your
/// own cache is not touched. The second run answers at once.
///
/// The sample lacks a report on purpose. The demo says so as every answer does; `kennel run` would end
/// with 3 for it, the demo ends with 0.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel demo
  kennel demo --home /tmp/kennel-demo    and then `kennel sql --home /tmp/kennel-demo`")]
pub(crate) struct Args {}

/// Gives the demo its own home and source, whatever the config says.
pub(crate) fn prepare(settings: &mut Settings) -> Result<(), CliError> {
    if settings.home.origin == Origin::Default {
        let folders = directories::BaseDirs::new().ok_or_else(|| {
            CliError::new("there is no home directory for the demo")
                .hint("name a folder with `--home DIR`")
        })?;
        settings.home.value = folders.cache_dir().join("kennel").join("demo");
    }
    let home = std::path::absolute(&settings.home.value)
        .map_err(|e| CliError::new("cannot tell where the demo's home lies").cause(&e))?;
    settings.sources = vec![Source::local(
        SourceName::try_new("demo").expect("a name of plain letters"),
        SourceKind::K9,
        &home.join(BUCKET_FOLDER),
    )];
    settings.home.value = home;
    Ok(())
}

pub(crate) async fn run(_args: Args, cx: &Context) -> Result<Exit, CliError> {
    let bucket = cx.home().join(BUCKET_FOLDER);
    let written = write_bucket(&bucket)?;
    let is_synced = cx.cache()?.is_some_and(|cache| {
        cache
            .sources()
            .is_ok_and(|sources| sources.iter().any(|s| s.last_success_at.is_some()))
    });
    if written || !is_synced {
        cx.printer.info(&format!(
            "a sample k9 inbox lies in {}; mirroring it",
            bucket.display()
        ));
        mirror(cx).await?;
    }
    let engine = cx.engine(EngineSettings::default())?;
    let look = Look {
        max_rows: SHOWN_ROWS,
        advice: false,
        ..cx.printer.look()
    };
    let mut verdict = Verdict::default();
    for id in QUESTIONS {
        let query = engine.library().find(id)?;
        let answer = engine.run(query, &ParamValues::default()).await?;
        verdict.caveats(&answer.caveats, cx);
        let title = format!("{}: {}", query.id, query.title);
        let mut writer = output::writer(Format::Table, &answer.schema, look);
        let mut out = cx.printer.stdout();
        output::write_stream(answer.stream, writer.as_mut(), Some(&title), &mut out).await?;
        writeln!(out)?;
        out.flush()?;
    }
    let page = export::page(&cx.home().join(REPORTS), &mut verdict, cx).await?;
    farewell(&bucket, &page, cx);
    // What the sample lacks, it lacks on purpose; the demo itself is done.
    Ok(Exit::Done)
}

async fn mirror(cx: &Context) -> Result<(), CliError> {
    let source = &cx.settings.sources[0];
    let options = Options {
        customers: Vec::new(),
        accounts: Vec::new(),
        regions: Vec::new(),
        since: None,
        until: None,
        include: None,
        exclude: None,
        allow_shrink: true,
        full: false,
        mirror: MirrorSettings {
            concurrency: 8,
            bandwidth_limit: None,
            retry: RetrySettings::default(),
            offline: true,
            now: mirroring::now,
        },
    };
    let started = Instant::now();
    let mut writer = CacheWriter::open(cx.home(), cx.now())?;
    let progress = Progress::new(
        source.name.as_str(),
        cx.settings.progress.value,
        false,
        &cx.printer,
    );
    let outcome = Box::pin(mirroring::sync_source(
        source,
        &mut writer,
        &options,
        &progress,
        &CancelFlag::default(),
    ))
    .await;
    drop(progress);
    match outcome? {
        Outcome::Synced(synced) => sync::tell(source, &synced, started, cx),
        Outcome::Interrupted { .. } => return Err(CliError::interrupted("interrupted")),
    }
    Ok(())
}

/// Writes the bundled objects; says whether any was missing or different.
fn write_bucket(folder: &Path) -> Result<bool, CliError> {
    fn files<'a>(dir: &'a Dir<'a>, found: &mut Vec<&'a include_dir::File<'a>>) {
        found.extend(dir.files());
        dir.dirs().for_each(|dir| files(dir, found));
    }
    let mut bundled = Vec::new();
    files(&BUCKET, &mut bundled);
    let mut any = false;
    for file in bundled {
        let path = folder.join(file.path());
        if fs::read(&path).is_ok_and(|bytes| bytes == file.contents()) {
            continue;
        }
        let cannot = |e: std::io::Error| {
            CliError::new(format!(
                "cannot write the sample object `{}`",
                path.display()
            ))
            .cause(&e)
        };
        if let Some(parent) = path.parent() {
            private_folder(parent).map_err(cannot)?;
        }
        fs::write(&path, file.contents()).map_err(cannot)?;
        any = true;
    }
    Ok(any)
}

fn farewell(bucket: &Path, page: &Path, cx: &Context) {
    let home = shell_quoted(cx.home());
    cx.printer
        .info(&format!("The nightly report as a page: {}", page.display()));
    cx.printer.info(&format!(
        "The sample inbox is {}, the cache {}. Try next:",
        bucket.display(),
        cx.home().display()
    ));
    for command in [
        format!("kennel list --home {home}"),
        format!("kennel run sensitive-data-access --home {home}"),
        format!("kennel export --home {home} --out kennel-export"),
        format!(
            "kennel sql --home {home} -c \"SELECT principal_name, principal_type FROM k9.principals_latest\""
        ),
        format!("kennel status --home {home}"),
        "kennel init --k9 s3://YOUR-K9-INBOX".to_owned(),
    ] {
        cx.printer.info(&format!("  {command}"));
    }
}

/// A path as a shell takes it.
fn shell_quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"/._-+@%:,=".contains(&b));
    if plain {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
