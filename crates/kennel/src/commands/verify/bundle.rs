//! `kennel verify bundle`: an export against its manifest, and against the cache it was made from.

use std::{collections::BTreeSet, io::Write, path::PathBuf};

use chrono::{DateTime, Utc};
use kennel_cache::{AccountId, Cache, CustomerId, SourceKind};
use kennel_engine::{AsOf, Engine, EngineSettings, ParamValues};

use super::VerifyFormat;
use crate::{
    context::Context,
    error::CliError,
    exit::Exit,
    export::{
        Shaping,
        check::{Checked, Problem, check},
        described,
        manifest::{self, Manifest, Question},
        read_manifest, rows_sha256, sha256,
    },
    suppressions::SuppressArgs,
    text::{bytes, counted, visible},
};

/// Check that an export is as it was written
///
/// Every file is hashed and compared with manifest.json; files that are missing or were added, queries that are not those of their
/// hash and numbers of rows that differ are named, one a line, and the exit code is 1. A folder without a manifest is no export: 2.
///
/// Where the cache still has the snapshots that the export is of, the questions are asked again, and must give the same rows. The
/// manifest is not signed: whoever can change a file can change it, too; what proves it is this second run, or its own hash, which
/// is printed, kept elsewhere.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel verify bundle kennel-export/latest
  kennel verify bundle kennel-export/2026-03-02 -f json
  kennel verify bundle /mnt/evidence/2026-03-02 --files-only")]
pub(super) struct Args {
    /// Folder of the export
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Do not ask the questions again
    #[arg(long)]
    files_only: bool,
    /// Form of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    format: VerifyFormat,
    #[command(flatten)]
    suppress: SuppressArgs,
}

/// What `-f json` promises, format 1: fields are added, never changed.
#[derive(serde::Serialize)]
struct BundleJson<'a> {
    format: u32,
    manifest_sha256: &'a str,
    file_count: u64,
    size_bytes: u64,
    /// Questions that the cache gave the same rows for.
    proved_count: u64,
    /// Questions that were not asked again, and why.
    not_asked: &'a [Problem],
    problems: &'a [Problem],
}

/// What asking again came to.
#[derive(Default)]
struct Proof {
    proved_count: u64,
    not_asked: Vec<Problem>,
}

impl Proof {
    fn none(manifest: &Manifest, why: &str) -> Self {
        let not_asked = manifest.questions.iter().map(|question| Problem {
            what: question.id.clone(),
            problem: why.to_owned(),
        });
        Self {
            proved_count: 0,
            not_asked: not_asked.collect(),
        }
    }
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let folder = &args.folder;
    let no_bundle = || {
        CliError::new(format!(
            "`{}` is no export: it has no {}",
            folder.display(),
            manifest::NAME
        ))
        .hint("name the folder of one date, such as kennel-export/latest")
    };
    let mut checked = Checked::default();
    let mut proof = Proof::default();
    let manifest = read_manifest(folder);
    let text = match &manifest {
        Ok(None) => return Err(no_bundle()),
        _ => std::fs::read(folder.join(manifest::NAME)).unwrap_or_default(),
    };
    let manifest_sha256 = sha256(&text);
    match manifest {
        Ok(Some(manifest)) => {
            checked = check(folder, &manifest);
            proof = match args.files_only {
                true => Proof::none(&manifest, "--files-only"),
                false => Box::pin(ask_again(&manifest, &args.suppress, &mut checked, cx)).await?,
            };
        }
        Ok(None) => {}
        Err(why) => checked.problem(manifest::NAME, why),
    }
    let mut out = cx.printer.stdout();
    match args.format {
        VerifyFormat::Table => write_text(&checked, &proof, &manifest_sha256, &mut out)?,
        VerifyFormat::Json => {
            let json = BundleJson {
                format: 1,
                manifest_sha256: &manifest_sha256,
                file_count: checked.file_count,
                size_bytes: checked.size_bytes,
                proved_count: proof.proved_count,
                not_asked: &proof.not_asked,
                problems: &checked.problems,
            };
            serde_json::to_writer_pretty(&mut out, &json)
                .map_err(|e| CliError::from(std::io::Error::from(e)))?;
            writeln!(out)?;
        }
    }
    out.flush()?;
    tell_not_asked(&proof, cx);
    match checked.problems.is_empty() {
        true => Ok(Exit::Done),
        false => Ok(Exit::Findings),
    }
}

fn write_text(
    checked: &Checked,
    proof: &Proof,
    manifest_sha256: &str,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    for problem in &checked.problems {
        writeln!(
            out,
            "damaged: {}: {}",
            visible(&problem.what),
            visible(&problem.problem)
        )?;
    }
    writeln!(
        out,
        "{} ({}) as written; {} asked again with the same rows; {}",
        counted(checked.file_count, "file"),
        bytes(checked.size_bytes),
        counted(proof.proved_count, "question"),
        match checked.problems.len() as u64 {
            0 => "nothing is damaged".to_owned(),
            count => counted(count, "problem"),
        }
    )?;
    writeln!(out, "sha256 of {}: {manifest_sha256}", manifest::NAME)
}

fn tell_not_asked(proof: &Proof, cx: &Context) {
    let reasons = proof.not_asked.iter().map(|not_asked| &not_asked.problem);
    for reason in reasons.collect::<BTreeSet<_>>() {
        let those = proof
            .not_asked
            .iter()
            .filter(|other| other.problem == *reason);
        cx.printer.info(&format!(
            "note: {} not asked again: {reason}",
            counted(those.count() as u64, "question")
        ));
    }
}

/// Asks the questions again of the same snapshots, and compares the rows with the hashes in the manifest.
async fn ask_again(
    manifest: &Manifest,
    suppress: &SuppressArgs,
    checked: &mut Checked,
    cx: &Context,
) -> Result<Proof, CliError> {
    let Some(cache) = cx.cache()? else {
        return Ok(Proof::none(manifest, "there is no cache here"));
    };
    let state = &manifest.state;
    let Some(at) = parsed(state.as_of.as_ref().unwrap_or(&state.at)) else {
        return Ok(Proof::none(manifest, "its time cannot be understood"));
    };
    let settings = EngineSettings {
        as_of: Some(AsOf::At(at)),
        customers: manifest
            .scope
            .customers
            .iter()
            .map(CustomerId::new)
            .collect(),
        accounts: manifest.scope.accounts.iter().map(AccountId::new).collect(),
        ..EngineSettings::default()
    };
    let engine = cx.engine(settings)?;
    let shaping = Shaping::open(suppress, engine.library(), at, None, cx)?;
    if let Some(why) = why_not(manifest, &cache, &shaping, &engine, at)? {
        return Ok(Proof::none(manifest, why));
    }
    let mut proof = Proof::default();
    for question in &manifest.questions {
        match again(question, manifest, &engine, &shaping, at).await? {
            Again::Same => proof.proved_count += 1,
            Again::NotAsked(why) => proof.not_asked.push(Problem {
                what: question.id.clone(),
                problem: why.to_owned(),
            }),
            Again::Other(row_count) => checked.problem(
                &question.id,
                format!(
                    "asked again, its rows are others ({row_count}, the manifest has {})",
                    question.row_count
                ),
            ),
        }
    }
    Ok(proof)
}

/// Why this cache cannot give the same rows again, whatever is in the files.
fn why_not(
    manifest: &Manifest,
    cache: &Cache,
    shaping: &Shaping,
    engine: &Engine,
    at: DateTime<Utc>,
) -> Result<Option<&'static str>, CliError> {
    if manifest.redaction != shaping.redaction() {
        return Ok(Some(
            "its names were replaced, and here they would not be, or otherwise",
        ));
    }
    if manifest.suppressions_sha256 != shaping.suppressions_sha256() {
        return Ok(Some(
            "other findings were accepted then: `--suppressions` names a file",
        ));
    }
    let held = cache.object_versions()?;
    let held = held
        .iter()
        .map(|object| {
            let key = shaping.shown(&object.key);
            (object.source.to_string(), key, object.sha256.to_string())
        })
        .collect::<BTreeSet<_>>();
    let mut objects = manifest.objects.iter();
    let has_all = objects.all(|object| {
        let wanted = (object.source.clone(), object.key.clone());
        held.contains(&(wanted.0, wanted.1, object.sha256.clone()))
    });
    if !has_all {
        return Ok(Some(
            "this cache does not hold the objects that it rests on",
        ));
    }
    let of_k9 = |snapshots: &[manifest::Snapshot]| {
        let k9 = snapshots
            .iter()
            .filter(|snapshot| snapshot.kind == SourceKind::K9.as_str());
        k9.cloned().collect::<Vec<_>>()
    };
    let standing = described(&engine.standing(Some(at))?);
    let is_kept = of_k9(&standing) == of_k9(&manifest.state.snapshots);
    Ok((!is_kept).then_some("this cache no longer keeps its snapshots"))
}

enum Again {
    Same,
    Other(u64),
    NotAsked(&'static str),
}

async fn again(
    question: &Question,
    manifest: &Manifest,
    engine: &Engine,
    shaping: &Shaping,
    at: DateTime<Utc>,
) -> Result<Again, CliError> {
    // What a manifest from anywhere calls a query is not run: only what this kennel has, too.
    let known = engine.library().find(&question.id).ok();
    let Some(query) = known.filter(|query| query.text == question.query) else {
        return Ok(Again::NotAsked(
            "this kennel has another query of that name",
        ));
    };
    let is_k9 = |table: &String| table.starts_with("k9.") || table.starts_with("iam.");
    if query.reads.is_empty() || !query.reads.iter().all(is_k9) {
        return Ok(Again::NotAsked("CloudTrail's tables have no past states"));
    }
    let values = ParamValues(question.params.clone());
    // With `--as-of`, "now" was that time; without, each report's own.
    let answer = match manifest.state.as_of {
        Some(_) => engine.run(query, &values).await,
        None => engine.past(at)?.run(query, &values).await,
    };
    let (sha256, row_count) = rows_sha256(query, answer?, shaping).await?;
    Ok(match sha256 == question.rows_sha256 {
        true => Again::Same,
        false => Again::Other(row_count),
    })
}

fn parsed(text: &str) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(text).ok()?;
    Some(at.to_utc())
}
