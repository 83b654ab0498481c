//! Which table files a sync rewrites. Pure: looks at sizes and times alone.

use std::collections::BTreeMap;

use super::{
    cursor::{TimeRange, overlap},
    key::EVENT_TIME,
};
use crate::ingest::ColumnStatistics;

/// A file is taken into a merge when it is at most so many times as large as all smaller ones together.
const TIER_RATIO: u64 = 2;

/// A table file that the manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailTableFile {
    /// Its id in the manifest.
    pub id: i64,
    /// Where it lies, below the cache's folder of tables.
    pub table_path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Number of rows.
    pub row_count: u64,
    /// Smallest and largest `event_time`, µs since 1970; `None` when all are null.
    pub event_time_micros: Option<(i64, i64)>,
    /// Whether rows may have no `event_time`; when in doubt, true.
    pub may_lack_times: bool,
}

impl TrailTableFile {
    /// Reads from a file's statistics ([`NewTrailFile::statistics`](super::NewTrailFile::statistics))
    /// whether rows may have no `event_time`.
    pub fn may_lack_times(statistics: &str) -> bool {
        serde_json::from_str::<BTreeMap<String, ColumnStatistics>>(statistics)
            .ok()
            .and_then(|columns| Some(columns.get(EVENT_TIME)?.null_count > 0))
            .unwrap_or(true)
    }

    pub(super) fn range(&self) -> TimeRange {
        match self.event_time_micros {
            None => (None, None),
            Some((_, last)) if self.may_lack_times => (None, Some(last)),
            Some((first, last)) => (Some(first), Some(last)),
        }
    }
}

/// What a sync does with the table files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactionPlan {
    /// Files that become new ones together: all new files, and some that are visible.
    pub rewrite: Vec<TrailTableFile>,
    /// Visible files that stay, and may hold events that the rewritten ones hold too.
    pub reference: Vec<TrailTableFile>,
}

/// Chooses what becomes one with the new files.
///
/// `existing` are all visible files of the same kind, `new` those that a sync wrote. All new files are
/// rewritten, for their rows have no duplicate flags yet. Visible files of half of `max_file_bytes` or
/// more are never rewritten. Of the smaller ones, the plan takes the longest row, from the smallest
/// on, that ends with a file at most twice as large as the new files and all before it together. So
/// - each small file that stays is more than twice as large as all smaller ones together: their number
///   grows with the logarithm of `max_file_bytes`, all others' with the bytes;
/// - a file that is rewritten becomes part of at least 1.5 times its bytes (somewhat less where new
///   files are packed less tightly): a byte is rewritten log₁.₅(`max_file_bytes` / size of a sync)
///   times at most;
/// - a sync reads no file much larger than itself, except when several such syncs came before it.
pub fn plan_compaction(
    existing: &[TrailTableFile],
    new: &[TrailTableFile],
    max_file_bytes: u64,
) -> CompactionPlan {
    if new.is_empty() {
        return CompactionPlan::default();
    }
    let mut by_size = existing.iter().collect::<Vec<_>>();
    by_size.sort_by_key(|file| (file.size_bytes, file.id));
    let small_count = by_size.partition_point(|file| file.size_bytes < max_file_bytes / 2);
    let mut sum = new.iter().map(|file| file.size_bytes).sum::<u64>();
    let mut taken = 0;
    for (index, file) in by_size[..small_count].iter().enumerate() {
        if file.size_bytes <= TIER_RATIO.saturating_mul(sum) {
            taken = index + 1;
        }
        sum = sum.saturating_add(file.size_bytes);
    }
    let (merged, rest) = by_size.split_at(taken);
    let rewrite = merged.iter().map(|file| (*file).clone());
    let rewrite = rewrite.chain(new.iter().cloned()).collect::<Vec<_>>();
    let ranges = rewrite
        .iter()
        .map(TrailTableFile::range)
        .collect::<Vec<_>>();
    let mut reference = rest
        .iter()
        .filter(|file| ranges.iter().any(|range| overlap(range, &file.range())))
        .map(|file| (*file).clone())
        .collect::<Vec<_>>();
    reference.sort_by_key(|file| file.id);
    CompactionPlan { rewrite, reference }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: u64 = 128 << 20;

    /// A cache in which files have nothing but sizes and times.
    #[derive(Debug, Default)]
    struct Simulation {
        files: Vec<TrailTableFile>,
        next_id: i64,
        new_bytes: u64,
        rewritten_bytes: u64,
        largest_rewritten: u64,
    }

    impl Simulation {
        fn file(&mut self, size_bytes: u64, first: i64, last: i64) -> TrailTableFile {
            self.next_id += 1;
            TrailTableFile {
                id: self.next_id,
                table_path: String::new(),
                size_bytes,
                row_count: 1,
                event_time_micros: Some((first, last)),
                may_lack_times: false,
            }
        }

        /// Each file costs `overhead` bytes beside its rows, as footers do.
        fn sync(&mut self, runs: &[(u64, i64, i64)], overhead: u64) {
            let new = runs
                .iter()
                .map(|(size, first, last)| self.file(size + overhead, *first, *last))
                .collect::<Vec<_>>();
            let plan = plan_compaction(&self.files, &new, MAX);
            self.check(&plan, &new);
            self.new_bytes += new.iter().map(|f| f.size_bytes).sum::<u64>();
            let old = &plan.rewrite[..plan.rewrite.len() - new.len()];
            self.rewritten_bytes += old.iter().map(|f| f.size_bytes).sum::<u64>();
            self.largest_rewritten = old
                .iter()
                .map(|f| f.size_bytes)
                .fold(self.largest_rewritten, u64::max);
            self.files.retain(|file| !old.contains(file));
            let content = plan.rewrite.iter().map(|f| f.size_bytes - overhead);
            let content = content.sum::<u64>();
            let times = plan.rewrite.iter().filter_map(|f| f.event_time_micros);
            let first = times.clone().map(|t| t.0).min().unwrap();
            let last = times.map(|t| t.1).max().unwrap();
            let count = content.div_ceil(MAX).max(1);
            let step = (last - first) / count as i64;
            for part in 0..count {
                let begin = first + part as i64 * step;
                let file = self.file(content / count + overhead, begin, begin + step);
                self.files.push(file);
            }
        }

        fn check(&self, plan: &CompactionPlan, new: &[TrailTableFile]) {
            assert!(new.iter().all(|file| plan.rewrite.contains(file)));
            for file in &self.files {
                let is_rewritten = plan.rewrite.contains(file);
                assert!(!(is_rewritten && file.size_bytes >= MAX / 2), "{file:?}");
                let meets = |other: &TrailTableFile| overlap(&file.range(), &other.range());
                if !is_rewritten && plan.rewrite.iter().any(meets) {
                    assert!(plan.reference.contains(file), "{file:?}");
                }
                assert!(!(is_rewritten && plan.reference.contains(file)));
            }
        }

        fn bytes(&self) -> u64 {
            self.files.iter().map(|f| f.size_bytes).sum()
        }

        /// Full files follow bytes, small ones the logarithm of a file's size.
        fn file_bound(&self, smallest: u64) -> u64 {
            self.bytes() / (MAX / 2) + 2 + (MAX as f64 / smallest as f64).log(3.0).ceil() as u64
        }
    }

    #[test]
    fn three_years_of_hourly_syncs_leave_few_files_and_rewrite_each_byte_a_few_times() {
        let mut simulation = Simulation::default();
        let overhead = 40_000;
        for hour in 0..3 * 365 * 24_i64 {
            let size = 20_000 + (hour as u64 * 7_919) % 60_000;
            // Events are up to ten minutes late.
            simulation.sync(&[(size, hour * 60 - 10, hour * 60 + 59)], overhead);
            assert!(
                simulation.files.len() as u64 <= simulation.file_bound(20_000 + overhead),
                "{} files of {} bytes after {hour} hours",
                simulation.files.len(),
                simulation.bytes()
            );
        }
        assert!(simulation.largest_rewritten < MAX / 2);
        let amplification = simulation.rewritten_bytes as f64 / simulation.new_bytes as f64;
        let bound = (MAX as f64 / 2.0 / 60_000.0).log(1.5);
        assert!(amplification < bound / 2.0, "{amplification} of {bound}");
    }

    #[test]
    fn an_hourly_sync_beside_a_terabyte_rewrites_only_what_hourly_syncs_wrote() {
        let mut simulation = Simulation::default();
        let year = 365 * 24 * 60;
        simulation.sync(&[(1 << 40, 0, year)], 0);
        assert_eq!(simulation.files.len(), (1 << 40) / MAX as usize);
        for hour in 0..24 {
            simulation.sync(&[(5_000, year + hour * 60, year + hour * 60 + 60)], 0);
        }
        assert!(simulation.largest_rewritten < 24 * 5_000);
    }

    #[test]
    fn a_bulk_load_region_by_region_writes_each_region_once() {
        let mut simulation = Simulation::default();
        let year = 365 * 24 * 60;
        for _ in 0..17 {
            let runs = (0..40).map(|run| (10 << 20, run * year / 40, year));
            simulation.sync(&runs.collect::<Vec<_>>(), 0);
        }
        assert_eq!(simulation.rewritten_bytes, 0);
        assert!(simulation.files.len() as u64 <= simulation.file_bound(10 << 20));
    }

    #[test]
    fn a_bulk_load_of_small_regions_becomes_few_files() {
        let mut simulation = Simulation::default();
        for _ in 0..850 {
            simulation.sync(&[(300_000, 0, 1_000)], 40_000);
        }
        assert!(simulation.files.len() as u64 <= simulation.file_bound(340_000));
    }

    #[test]
    fn statistics_tell_whether_times_are_missing_and_in_doubt_they_are() {
        let may_lack = TrailTableFile::may_lack_times;
        assert!(!may_lack(r#"{"event_time":{"n":0,"b":[1,2]}}"#));
        assert!(may_lack(r#"{"event_time":{"n":3}}"#));
        assert!(may_lack(r#"{"record_id":{"n":0}}"#) && may_lack(""));
    }

    #[test]
    fn nothing_new_is_nothing_to_do() {
        let mut simulation = Simulation::default();
        simulation.sync(&[(100, 0, 1)], 0);
        let plan = plan_compaction(&simulation.files, &[], MAX);
        assert_eq!(plan, CompactionPlan::default());
    }

    #[test]
    fn rows_without_time_meet_each_other_and_files_of_all_earlier_times() {
        let mut simulation = Simulation::default();
        let with_nulls = |mut file: TrailTableFile, times| {
            file.event_time_micros = times;
            file.may_lack_times = true;
            file
        };
        let large = simulation.file(MAX, 500, 600);
        let large_with_nulls = simulation.file(MAX, 500, 600);
        let large_with_nulls = with_nulls(large_with_nulls, Some((500, 600)));
        let new = simulation.file(10, 0, 0);
        let new = with_nulls(new, None);
        let plan = plan_compaction(&[large, large_with_nulls.clone()], &[new], MAX);
        assert_eq!(plan.reference, [large_with_nulls]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn files_follow_bytes_and_rewriting_is_logarithmic_whatever_the_sizes(
            syncs in proptest::collection::vec(
                (proptest::collection::vec(1_000_u64..40_000_000, 1..4), 0_i64..1_000, 0_i64..50),
                1..300,
            ),
            overhead in 0_u64..50_000,
        ) {
            let mut simulation = Simulation::default();
            for (sizes, first, length) in syncs {
                // Small syncs are as frequent as large ones.
                let runs = sizes.iter().map(|size| {
                    let size = 1_000 + size / 10_u64.pow((size % 5) as u32);
                    (size, first, first + length)
                });
                simulation.sync(&runs.collect::<Vec<_>>(), overhead);
                prop_assert!(
                    simulation.files.len() as u64 <= simulation.file_bound(1_000 + overhead)
                );
            }
            let bound = (MAX as f64 / (1_000 + overhead) as f64).log(1.5).max(1.0);
            prop_assert!(
                simulation.rewritten_bytes as f64 <= bound * simulation.new_bytes as f64
            );
        }
    }
}
