//! What an export is compared with: the last export of an earlier state in the same folder, the snapshot that
//! `--baseline` names, or the snapshot before. Rows come from the files of that export; where it has none that can be read,
//! the question is asked again of its snapshot, as long as the cache keeps that.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader},
    path::PathBuf,
};

use chrono::{DateTime, Utc};
use datafusion::{
    arrow::record_batch::RecordBatch, parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder,
};
use futures::StreamExt;
use kennel_cache::SourceKind;
use kennel_engine::{
    AsOf, CannedQuery, Engine, EngineError, ParamValues, Past, ReportUsed, Standing,
};

use super::{
    check::{hash_file, inside},
    folder::Bundle,
    keys::{KeyColumns, Keyed, Known, members},
    manifest,
    shaping::Shaping,
    state::{self, State},
    together::{Task, slices, together},
};
use crate::error::CliError;

/// A report by what it is of: table, customer, account.
pub(crate) type ReportName = (String, String, String);

/// The states that an export is compared with.
pub(crate) struct Baselines<'e> {
    /// What the page shows changes since.
    pub(crate) page: Option<Earlier<'e>>,
    /// The last export, where it is of the same state: what `--check new` counts since, then.
    pub(crate) same_state: Option<Earlier<'e>>,
    /// Whether there is an export, or a named snapshot, to be new against.
    pub(crate) has_last: bool,
}

/// An earlier state, and where its rows are.
pub(crate) struct Earlier<'e> {
    pub(crate) named: manifest::Baseline,
    bundle: Option<Bundle>,
    past: Result<Past<'e>, String>,
}

/// The rows of an earlier state, or why they cannot be had.
pub(crate) enum Loaded {
    Rows {
        known: Known,
        reports: BTreeSet<ReportName>,
        /// How many rows the question had when it was asked for this, those that are accepted among them.
        row_count: Option<u64>,
    },
    Unknown(String),
}

impl<'e> Baselines<'e> {
    /// Decides what to compare with.
    ///
    /// An export of the same state that is made again compares with what the first one did, although it may have replaced
    /// that: the same state and arguments are the same bytes.
    pub(crate) fn choose(
        state: &State,
        bundles: &[Bundle],
        named: Option<AsOf>,
        engine: &'e Engine,
    ) -> Result<Self, CliError> {
        if let Some(as_of) = named {
            let at = engine.instant_of(as_of)?;
            let snapshots = engine.standing(at)?;
            let snapshots = state.of_kinds(snapshots);
            let Some(at) = state::newest(&snapshots) else {
                return Err(
                    CliError::absent("there is no snapshot at the time of `--baseline`")
                        .hint("`kennel status` lists the snapshots"),
                );
            };
            let snapshots = state::described(&snapshots);
            let earlier = Earlier::of(snapshots, at, true, bundles, engine)?;
            return Ok(Self {
                // By name, the cache is asked, whatever exports there are.
                page: Some(Earlier {
                    bundle: None,
                    ..earlier
                }),
                same_state: None,
                has_last: true,
            });
        }
        let snapshots = state::described(&state.snapshots);
        let same = bundles
            .iter()
            .find(|bundle| bundle.manifest.state.snapshots == snapshots);
        let before = bundles
            .iter()
            .rev()
            .find(|bundle| at_of(bundle).is_some_and(|at| at < state.at));
        let recorded = same
            .and_then(|bundle| bundle.manifest.baseline.as_ref())
            .filter(|baseline| !baseline.is_named);
        let page = match (recorded, before) {
            (Some(recorded), _) => parsed(&recorded.at)
                .map(|at| Earlier::of(recorded.snapshots.clone(), at, false, bundles, engine))
                .transpose()?,
            (None, Some(bundle)) => Some(Earlier::of_bundle(bundle, engine)?),
            (None, None) => previous(state, engine)?,
        };
        Ok(Self {
            page,
            same_state: same
                .map(|bundle| Earlier::of_bundle(bundle, engine))
                .transpose()?,
            has_last: same.is_some() || before.is_some(),
        })
    }
}

impl Baselines<'_> {
    /// Whether two questions that come to the same are held against the same rows. Exports are read question by question.
    pub(crate) fn treat_alike(&self, one: &CannedQuery, other: &CannedQuery) -> bool {
        let earlier = [&self.page, &self.same_state].into_iter().flatten();
        let mut bundles = earlier.filter_map(|earlier| earlier.bundle.as_ref());
        bundles.all(|bundle| {
            let asked = |query: &CannedQuery| {
                let mut questions = bundle.manifest.questions.iter();
                let found = questions.find(|question| question.id == query.id)?;
                Some((&found.rows_sha256, &found.reports))
            };
            asked(one) == asked(other)
        })
    }
}

/// The snapshots before those that are exported, where the cache keeps them: of k9's sources, if there are any, since CloudTrail's
/// tables have no past states. A source that had none then would look as if all of it were new.
fn previous<'e>(state: &State, engine: &'e Engine) -> Result<Option<Earlier<'e>>, CliError> {
    let of_k9 = |standing: &&Standing| standing.kind == SourceKind::K9;
    let has_k9 = state.snapshots.iter().any(|standing| of_k9(&standing));
    let compared = state.snapshots.iter();
    let compared = compared
        .filter(|standing| !has_k9 || of_k9(standing))
        .cloned()
        .collect::<Vec<_>>();
    let Some(newest) = state::newest(&compared) else {
        return Ok(None);
    };
    let just_before = newest - chrono::TimeDelta::microseconds(1);
    let snapshots = state.of_kinds(engine.standing(Some(just_before))?);
    let had_one = |standing: &Standing| {
        let mut earlier = snapshots.iter();
        earlier.any(|earlier| earlier.snapshot.source == standing.snapshot.source)
    };
    let Some(at) = state::newest(&snapshots).filter(|_| compared.iter().all(had_one)) else {
        return Ok(None);
    };
    let snapshots = state::described(&snapshots);
    Earlier::of(snapshots, at, false, &[], engine).map(Some)
}

fn parsed(text: &str) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(text).ok()?;
    Some(at.to_utc())
}

fn at_of(bundle: &Bundle) -> Option<DateTime<Utc>> {
    parsed(&bundle.manifest.state.at)
}

impl<'e> Earlier<'e> {
    fn of_bundle(bundle: &Bundle, engine: &'e Engine) -> Result<Self, CliError> {
        let state = &bundle.manifest.state;
        let at = parsed(&state.at).unwrap_or_default();
        Self::of(
            state.snapshots.clone(),
            at,
            false,
            std::slice::from_ref(bundle),
            engine,
        )
    }

    /// The state of these snapshots, with the export of it, if there is one.
    fn of(
        snapshots: Vec<manifest::Snapshot>,
        at: DateTime<Utc>,
        is_named: bool,
        bundles: &[Bundle],
        engine: &'e Engine,
    ) -> Result<Self, CliError> {
        let bundle = bundles
            .iter()
            .find(|bundle| bundle.manifest.state.snapshots == snapshots);
        // Where a snapshot was pruned, the one before it would answer, and say nothing.
        let kept = state::described(&engine.standing(Some(at))?);
        let lost = snapshots.iter().find(|snapshot| !kept.contains(snapshot));
        let past = match lost {
            None => Ok(engine.past(at)?),
            Some(snapshot) => Err(format!("the cache no longer keeps {}", snapshot.id)),
        };
        Ok(Self {
            named: manifest::Baseline {
                at: crate::text::instant(at),
                snapshots,
                is_named,
            },
            bundle: bundle.cloned(),
            past,
        })
    }

    /// Its time.
    pub(crate) fn at(&self) -> Option<DateTime<Utc>> {
        parsed(&self.named.at)
    }

    /// `s4 of 2026-03-01 04:10 UTC`.
    pub(crate) fn label(&self) -> String {
        manifest::label(&self.named.snapshots, &self.named.at)
    }

    /// Its rows for a question.
    pub(crate) async fn rows(
        &self,
        query: &CannedQuery,
        values: &ParamValues,
        shaping: &Shaping,
    ) -> Result<Loaded, CliError> {
        let from_file = match &self.bundle {
            Some(bundle) => rows_of_files(bundle, query, shaping),
            None => Err("there is no export of it".to_owned()),
        };
        match (from_file, &self.past) {
            (Ok((known, reports)), _) => Ok(Loaded::Rows {
                known,
                reports,
                row_count: None,
            }),
            (Err(_), Ok(past)) => rows_of_past(past, query, values, shaping, self.at()).await,
            (Err(why), Err(lost)) => Ok(Loaded::Unknown(format!("{why}, and {lost}"))),
        }
    }
}

/// Asks a question of an earlier state.
async fn rows_of_past(
    past: &Past<'_>,
    query: &CannedQuery,
    values: &ParamValues,
    shaping: &Shaping,
    at: Option<DateTime<Utc>>,
) -> Result<Loaded, CliError> {
    let answer = match past.run_unordered(query, values).await {
        Ok(answer) => answer,
        // A table, a column or a report that did not exist then.
        Err(error @ (EngineError::Sql { .. } | EngineError::Table { .. })) => {
            return Ok(Loaded::Unknown(CliError::from(error).one_line()));
        }
        Err(error) => return Err(error.into()),
    };
    let names = answer.reports.iter().map(|report| name_of(report, shaping));
    let reports = names.collect();
    let mut shape = shaping.question(query, &answer, at)?;
    let columns = match KeyColumns::find(&shape.schema(), &query.key, &query.noise) {
        Ok(columns) => columns,
        Err(column) => return Ok(Loaded::Unknown(no_column(&column))),
    };
    let mut known = Known::new();
    let mut row_count = 0;
    let mut spare = Vec::new();
    let mut stream = answer.stream;
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(CliError::from_execution)?;
        row_count += batch.num_rows() as u64;
        add(&columns, &shape.rows(batch)?.kept, &mut spare, &mut known)?;
    }
    Ok(Loaded::Rows {
        known,
        reports,
        row_count: Some(row_count),
    })
}

/// Adds the rows of a batch; `spare` is for the work.
fn add(
    columns: &KeyColumns,
    batch: &RecordBatch,
    spare: &mut Vec<Keyed>,
    known: &mut Known,
) -> Result<(), CliError> {
    let slices = slices(batch);
    spare.resize_with(slices.len(), Keyed::default);
    let made = slices.iter().zip(spare.iter_mut()).map(|(slice, keyed)| {
        let task: Task<'_> = Box::new(move || {
            columns.keyed(slice, keyed);
            Ok(())
        });
        task
    });
    together(made.collect(), slices.len() < 2)?;
    for keyed in spare {
        known.add(keyed)?;
    }
    Ok(())
}

/// A report as the manifest names it.
pub(crate) fn name_of(report: &ReportUsed, shaping: &Shaping) -> ReportName {
    let report = shaping.report(report);
    (
        report.table,
        report.customer_id.to_string(),
        report.account_id.to_string(),
    )
}

fn no_column(column: &str) -> String {
    format!("it has no column `{column}`")
}

/// Reads the rows of a question from an export's files, which must be as they were written.
fn rows_of_files(
    bundle: &Bundle,
    query: &CannedQuery,
    shaping: &Shaping,
) -> Result<(Known, BTreeSet<ReportName>), String> {
    let manifest = &bundle.manifest;
    if manifest.redaction != shaping.redaction() {
        return Err("its names are replaced in another way".into());
    }
    let question = manifest
        .questions
        .iter()
        .find(|question| question.id == query.id)
        .ok_or_else(|| format!("`{}` was not asked then", query.id))?;
    let readable = ["jsonl", "json", "parquet"];
    let path = readable
        .iter()
        .find_map(|extension| {
            let ending = format!(".{extension}");
            question.files.iter().find(|path| path.ends_with(&ending))
        })
        .ok_or_else(|| "the last export has no file of its rows that can be read".to_owned())?;
    let place = inside(&bundle.path, path)?;
    let listed = manifest.files.iter().find(|file| file.path == *path);
    let is_whole =
        listed.is_some_and(|file| hash_file(&place).is_ok_and(|(sha256, _)| sha256 == file.sha256));
    if !is_whole {
        return Err(format!("its file `{path}` is not as it was written"));
    }
    let known = match path.ends_with(".parquet") {
        true => rows_of_parquet(&place, query)?,
        false => rows_of_lines(&place, query)?,
    };
    let reports = question.reports.iter().map(|report| {
        (
            report.table.clone(),
            report.customer_id.clone(),
            report.account_id.clone(),
        )
    });
    Ok((known, reports.collect()))
}

/// One object a line, as JSON lines and kennel's arrays have them.
fn rows_of_lines(path: &PathBuf, query: &CannedQuery) -> Result<Known, String> {
    let failed = |e: std::io::Error| format!("its file cannot be read: {e}");
    let mut lines = BufReader::new(File::open(path).map_err(failed)?);
    let mut known = Known::new();
    let mut columns: Option<(Vec<String>, KeyColumns)> = None;
    let mut keyed = Keyed::default();
    let (mut line, mut text) = (String::new(), String::new());
    loop {
        line.clear();
        if lines.read_line(&mut line).map_err(failed)? == 0 {
            known.add(&keyed).map_err(failed)?;
            return Ok(known);
        }
        let object = line.trim();
        if matches!(object, "" | "[" | "]" | "[]") {
            continue;
        }
        let not_ours = || "its file is not as kennel writes it".to_owned();
        let row = members(object.strip_suffix(',').unwrap_or(object)).ok_or_else(not_ours)?;
        let is_same = |names: &[String]| {
            names.len() == row.len() && names.iter().zip(&row).all(|(a, (b, _))| a == b)
        };
        if !columns.as_ref().is_some_and(|(names, _)| is_same(names)) {
            let written = row.iter().map(|(name, _)| (*name).to_owned());
            let written = written.collect::<Vec<_>>();
            let names = written.iter().map(|name| serde_json::from_str(name).ok());
            let names = names
                .collect::<Option<Vec<String>>>()
                .ok_or_else(not_ours)?;
            let found = KeyColumns::among(&names, &query.key, &query.noise);
            columns = Some((written, found.map_err(|column| no_column(&column))?));
        }
        if let Some((_, columns)) = &columns {
            let values = row.iter().map(|(_, value)| *value).collect::<Vec<_>>();
            columns.add_line(&values, &mut text, &mut keyed);
        }
        if keyed.is_much() {
            known.add(&keyed).map_err(failed)?;
            keyed = Keyed::default();
        }
    }
}

fn rows_of_parquet(path: &PathBuf, query: &CannedQuery) -> Result<Known, String> {
    let failed = |e: &dyn std::fmt::Display| format!("its file cannot be read: {e}");
    let file = File::open(path).map_err(|e| failed(&e))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| failed(&e))?;
    let columns = KeyColumns::find(reader.schema(), &query.key, &query.noise);
    let columns = columns.map_err(|column| no_column(&column))?;
    let mut known = Known::new();
    let mut keyed = Keyed::default();
    for batch in reader.build().map_err(|e| failed(&e))? {
        let batch = batch.map_err(|e| failed(&e))?;
        columns.keyed(&batch, &mut keyed);
        known.add(&keyed).map_err(|e| failed(&e))?;
    }
    Ok(known)
}
