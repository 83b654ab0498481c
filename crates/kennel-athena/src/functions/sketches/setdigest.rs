//! Set digests: a sample of a set by its least hashes, with counts, beside a HyperLogLog.
//!
//! Source: Trino manual, "Set Digest functions"; Broder, "On the resemblance and containment of
//! documents". The bytes are not Trino's.

use std::collections::BTreeMap;

use datafusion::{common::exec_err, error::Result};

use super::{bytes::Bytes, hll::Hll};

const TAG: u8 = 0xd2;
/// Number of hashes that are kept.
const MOST_KEPT: usize = 8_192;
/// The number of buckets of the HyperLogLog is two to this.
const INDEX_BITS: u32 = 11;

#[derive(Debug, Clone, PartialEq)]
pub(in crate::functions) struct SetDigest {
    counts: BTreeMap<i64, i16>,
    hll: Hll,
}

impl Default for SetDigest {
    fn default() -> Self {
        Self {
            counts: BTreeMap::new(),
            hll: Hll::with_bits(INDEX_BITS),
        }
    }
}

impl SetDigest {
    pub(in crate::functions) fn add(&mut self, hash: u64) {
        self.hll.insert(hash);
        self.count(hash as i64, 1);
    }

    fn count(&mut self, hash: i64, times: i16) {
        let count = self.counts.entry(hash).or_default();
        *count = count.saturating_add(times);
        while self.counts.len() > MOST_KEPT {
            self.counts.pop_last();
        }
    }

    pub(in crate::functions) fn merge(&mut self, other: &Self) -> Result<()> {
        for (&hash, &times) in &other.counts {
            self.count(hash, times);
        }
        self.hll.merge(&other.hll)
    }

    fn is_exact(&self) -> bool {
        self.counts.len() < MOST_KEPT
    }

    pub(super) fn cardinality(&self) -> i64 {
        if self.is_exact() {
            self.counts.len() as i64
        } else {
            self.hll.cardinality()
        }
    }

    pub(super) fn hashes(&self) -> impl Iterator<Item = (i64, i16)> {
        self.counts.iter().map(|(hash, count)| (*hash, *count))
    }

    /// The part of both sets that they have in common.
    pub(super) fn jaccard_index(&self, other: &Self) -> f64 {
        let smaller = self.counts.len().min(other.counts.len());
        let mut union: Vec<_> = self.counts.keys().chain(other.counts.keys()).collect();
        union.sort_unstable();
        union.dedup();
        let common = union
            .into_iter()
            .take(smaller)
            .filter(|hash| self.counts.contains_key(hash) && other.counts.contains_key(hash));
        common.count() as f64 / smaller as f64
    }

    pub(super) fn intersection_cardinality(&self, other: &Self) -> Result<i64> {
        if self.is_exact() && other.is_exact() {
            let mut hashes = self.counts.keys();
            let both = hashes
                .by_ref()
                .filter(|hash| other.counts.contains_key(hash));
            return Ok(both.count() as i64);
        }
        let mut union = self.hll.clone();
        union.merge(&other.hll)?;
        let estimate = (self.jaccard_index(other) * union.cardinality() as f64).round() as i64;
        // No more is common than the smaller set holds.
        Ok(estimate.min(self.cardinality()).min(other.cardinality()))
    }

    pub(in crate::functions) fn write(&self) -> Vec<u8> {
        let mut out = vec![TAG];
        out.extend((self.counts.len() as u32).to_le_bytes());
        for (hash, count) in &self.counts {
            out.extend(hash.to_le_bytes());
            out.extend(count.to_le_bytes());
        }
        out.extend(self.hll.write());
        out
    }

    pub(in crate::functions) fn read(bytes: &[u8]) -> Result<Self> {
        match Self::try_read(bytes) {
            Some(digest) => Ok(digest),
            None => exec_err!("the bytes are no set digest that was made here"),
        }
    }

    fn try_read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        if bytes.byte()? != TAG {
            return None;
        }
        let mut counts = BTreeMap::new();
        for _ in 0..bytes.int()? {
            counts.insert(bytes.long()?, bytes.short()? as i16);
        }
        let hll = Hll::read(bytes.0).ok()?;
        (counts.len() <= MOST_KEPT).then_some(Self { counts, hll })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::functions::binary::hash64;

    fn of(numbers: impl IntoIterator<Item = i64>) -> SetDigest {
        let mut digest = SetDigest::default();
        for number in numbers {
            digest.add(hash64(&number.to_le_bytes()));
        }
        digest
    }

    #[test]
    fn hashes_and_counts_are_those_that_trino_shows() {
        let hashes: Vec<_> = of([1, 1, 1, 2, 2]).hashes().collect();
        assert_eq!(
            hashes,
            [(-2_447_670_524_089_286_488, 2), (19_144_387_141_682_250, 3)]
        );
    }

    #[test]
    fn large_sets_are_compared_nearly() {
        let (a, b) = (of(0..20_000), of(10_000..30_000));
        let index = a.jaccard_index(&b);
        assert!((index - 1.0 / 3.0).abs() < 0.03, "{index}");
        let common = a.intersection_cardinality(&b).unwrap();
        assert!((8_500..11_500).contains(&common), "{common}");
    }

    proptest! {
        #[test]
        fn small_sets_are_compared_exactly(cut in 0_i64..200, count in 1_i64..200) {
            let (a, b) = (of(0..count), of(cut..cut + 50));
            let common = (count.min(cut + 50) - cut).max(0);
            prop_assert_eq!(a.intersection_cardinality(&b).unwrap(), common);
            prop_assert_eq!(a.cardinality(), count);
            prop_assert_eq!(SetDigest::read(&a.write()).unwrap(), a);
        }
    }
}
