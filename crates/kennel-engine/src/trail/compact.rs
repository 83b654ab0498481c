//! Carries out a compaction: new and small table files become sorted ones of good size, and every row
//! gets its duplicate flag.

use std::path::Path;

use kennel_cache::Stage;

use super::{
    CompactionPlan, NewTrailFile, TrailFileError, TrailTableFile, TrailWriteOptions,
    cursor::{Input, Place, overlap},
    merge::{self, FAN_IN},
};

/// What a compaction made. Nothing of it is visible before the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactionOutcome {
    /// The files that take the place of the rewritten ones, in the order of their rows.
    pub new_files: Vec<NewTrailFile>,
    /// Ids of the rewritten files.
    pub replaced_ids: Vec<i64>,
    /// Rows of the new files that are flagged as duplicates.
    pub duplicate_count: u64,
}

/// Merges the files that a plan names into sorted ones and sets `is_duplicate` on each row.
///
/// `tables_root` is the folder below which [`TrailTableFile::table_path`] lies. Of rows with equal
/// `event_time`, `record_id` and `account_id`, none is original if a reference file has the original,
/// else the first in the order of the table files; rows without `record_id` are always original. So of
/// each event exactly one row over all visible files is not flagged, if that was so before among the
/// visible ones, and if the plan's references are all that overlap its rewritten files.
///
/// All rows and columns are kept; a column that some files do not have is null there. Memory does not
/// grow with rows, and not with files: more than a few dozen are merged in several passes through
/// staged files. Equal inputs make equal bytes, so a new file can have the path of one it replaces.
///
/// # Errors
/// [`TrailFileError`] names the file that could not be read. No manifest names anything new then.
pub fn compact(
    plan: &CompactionPlan,
    tables_root: &Path,
    stage: &Stage,
    options: &TrailWriteOptions,
) -> Result<CompactionOutcome, TrailFileError> {
    compact_with_fan_in(plan, tables_root, stage, options, FAN_IN)
}

/// New files, by what becomes of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Those that stay as they were written.
    pub stay: Vec<TrailTableFile>,
    /// Those to be rewritten: small ones, and those with an event that another file holds, too.
    pub rewrite: Vec<TrailTableFile>,
    /// Rows of the former that are flagged as duplicates.
    pub duplicate_count: u64,
}

/// Finds the new files that need no rewriting, in which what is a duplicate within the file was flagged when it was
/// written.
///
/// A file stays when it has [`TrailWriteOptions::min_settled_bytes`] and no event of it is in a file of
/// `visible`, or in one that stays. Of each file that shares an instant with one of those, identities are read.
///
/// # Errors
/// [`TrailFileError`] names the file that could not be read.
pub fn settle(
    new: Vec<TrailTableFile>,
    visible: &[TrailTableFile],
    tables_root: &Path,
    options: &TrailWriteOptions,
) -> Result<Settled, TrailFileError> {
    let (large, mut rewrite): (Vec<_>, Vec<_>) = new
        .into_iter()
        .partition(|file| file.size_bytes >= options.min_settled_bytes);
    let ranges = large.iter().map(TrailTableFile::range).collect::<Vec<_>>();
    let references = visible
        .iter()
        .filter(|file| ranges.iter().any(|range| overlap(range, &file.range())))
        .collect::<Vec<_>>();
    let inputs = references.iter().copied().chain(&large);
    let inputs = inputs.map(|file| inspect(file, tables_root));
    let found = merge::repeated(inputs.collect::<Result<_, _>>()?)?;
    let mut settled = Settled::default();
    for (rank, file) in (references.len()..).zip(large) {
        if found.contains(&rank) {
            rewrite.push(file);
        } else {
            settled.duplicate_count += inspect(&file, tables_root)?.duplicate_count()?;
            settled.stay.push(file);
        }
    }
    settled.rewrite = rewrite;
    Ok(settled)
}

/// Whether the one new file that a plan would write anew, merged with none, can stay as it is: when no reference holds
/// an event of it. Then how many of its rows are flagged.
pub(super) fn stays_alone(
    plan: &CompactionPlan,
    tables_root: &Path,
) -> Result<Option<u64>, TrailFileError> {
    let [file] = &plan.rewrite[..] else {
        return Ok(None);
    };
    let range = file.range();
    let near = plan.reference.iter();
    let near = near.filter(|other| overlap(&range, &other.range()));
    let inputs = near.chain([file]).map(|file| inspect(file, tables_root));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let rank = inputs.len() - 1;
    if merge::repeated(inputs)?.contains(&rank) {
        return Ok(None);
    }
    inspect(file, tables_root)?.duplicate_count().map(Some)
}

fn inspect(file: &TrailTableFile, tables_root: &Path) -> Result<Input, TrailFileError> {
    Input::inspect(Place::Published(tables_root.join(&file.table_path)))
}

pub(super) fn compact_with_fan_in(
    plan: &CompactionPlan,
    tables_root: &Path,
    stage: &Stage,
    options: &TrailWriteOptions,
    fan_in: usize,
) -> Result<CompactionOutcome, TrailFileError> {
    let inspected = |files: &[TrailTableFile]| {
        let inputs = files.iter().map(|file| inspect(file, tables_root));
        inputs.collect::<Result<Vec<_>, _>>()
    };
    let merged = merge::merge(
        inspected(&plan.rewrite)?,
        inspected(&plan.reference)?,
        stage,
        options,
        fan_in,
    )?;
    Ok(CompactionOutcome {
        new_files: merged.files,
        replaced_ids: plan.rewrite.iter().map(|file| file.id).collect(),
        duplicate_count: merged.duplicate_count,
    })
}
