//! HyperLogLog: how many distinct values there are, from their hashes.
//!
//! Few values are kept by the first 26 bits of their hashes, many by the longest run of zeros in each
//! bucket. The bytes are those of Trino's sketches, so that either engine reads the other's.
//!
//! Source: airlift's documentation of its HyperLogLog format; the estimate is that of Ertl, "New
//! cardinality estimation algorithms for HyperLogLog sketches".

use std::collections::BTreeMap;

use datafusion::{common::exec_err, error::Result};

use super::bytes::Bytes;

/// Bits of a hash by which few values are told apart.
const SPARSE_BITS: u32 = 26;
/// What a bucket holds beyond the least of all buckets, at most, without an overflow.
const MOST_DELTA: u8 = 15;
const SPARSE_TAG: u8 = 2;
const DENSE_TAG: u8 = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::functions) struct Hll {
    /// The number of buckets is two to this.
    index_bits: u32,
    registers: Registers,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Registers {
    /// The zeros that follow the first 26 bits, by those bits.
    Sparse(BTreeMap<u32, u8>),
    /// The greatest rank (zeros after the index, and one) in each bucket.
    Dense(Vec<u8>),
}

/// Zeros after the first `skipped` bits.
fn zeros(hash: u64, skipped: u32) -> u8 {
    ((hash << skipped) | 1 << (skipped - 1)).leading_zeros() as u8
}

impl Hll {
    /// An empty sketch whose error is about `error`.
    pub(in crate::functions) fn with_error(error: f64) -> Result<Self> {
        if !(0.004_062_5..=0.26).contains(&error) {
            return exec_err!("Max standard error must be in [0.0040625, 0.26]: {error}");
        }
        let buckets = (1.04 / error).powi(2);
        // An error that is just that of a number of buckets needs no more of them.
        let index_bits = (buckets.log2() - 1e-9).ceil() as u32;
        Ok(Self::with_bits(index_bits.clamp(4, 16)))
    }

    pub(super) fn with_bits(index_bits: u32) -> Self {
        Self {
            index_bits,
            registers: Registers::Sparse(BTreeMap::new()),
        }
    }

    /// Where sparse entries take more room than dense buckets.
    fn most_sparse(&self) -> usize {
        1 << (self.index_bits - 3)
    }

    pub(in crate::functions) fn insert(&mut self, hash: u64) {
        match &mut self.registers {
            Registers::Sparse(entries) => {
                let bucket = (hash >> (64 - SPARSE_BITS)) as u32;
                let rank = entries.entry(bucket).or_default();
                *rank = zeros(hash, SPARSE_BITS).max(*rank);
                if entries.len() > self.most_sparse() {
                    self.registers = Registers::Dense(self.dense());
                }
            }
            Registers::Dense(buckets) => {
                let bucket = (hash >> (64 - self.index_bits)) as usize;
                buckets[bucket] = buckets[bucket].max(zeros(hash, self.index_bits) + 1);
            }
        }
    }

    fn dense(&self) -> Vec<u8> {
        let entries = match &self.registers {
            Registers::Dense(buckets) => return buckets.clone(),
            Registers::Sparse(entries) => entries,
        };
        let mut buckets = vec![0; 1 << self.index_bits];
        let between = SPARSE_BITS - self.index_bits;
        for (&entry, &after) in entries {
            let low = entry & ((1 << between) - 1);
            let zeros = match low {
                0 => between as u8 + after,
                low => (low.leading_zeros() - (32 - between)) as u8,
            };
            let bucket = (entry >> between) as usize;
            buckets[bucket] = buckets[bucket].max(zeros + 1);
        }
        buckets
    }

    pub(in crate::functions) fn merge(&mut self, other: &Self) -> Result<()> {
        if self.index_bits != other.index_bits {
            return exec_err!(
                "Cannot merge HLLs with different number of buckets: {} vs {}",
                1_u64 << self.index_bits,
                1_u64 << other.index_bits
            );
        }
        if let (Registers::Sparse(mine), Registers::Sparse(others)) =
            (&mut self.registers, &other.registers)
        {
            for (&bucket, &after) in others {
                let rank = mine.entry(bucket).or_default();
                *rank = after.max(*rank);
            }
            if mine.len() > self.most_sparse() {
                self.registers = Registers::Dense(self.dense());
            }
            return Ok(());
        }
        let mut buckets = self.dense();
        for (mine, other) in buckets.iter_mut().zip(other.dense()) {
            *mine = other.max(*mine);
        }
        self.registers = Registers::Dense(buckets);
        Ok(())
    }

    pub(in crate::functions) fn cardinality(&self) -> i64 {
        match &self.registers {
            Registers::Sparse(entries) => {
                let total = f64::from(1 << SPARSE_BITS);
                (total * (total / (total - entries.len() as f64)).ln()).round() as i64
            }
            Registers::Dense(buckets) => estimate(buckets, self.index_bits).round() as i64,
        }
    }

    pub(in crate::functions) fn write(&self) -> Vec<u8> {
        let index_bits = self.index_bits as u8;
        match &self.registers {
            Registers::Sparse(entries) => {
                let mut out = vec![SPARSE_TAG, index_bits];
                out.extend((entries.len() as u16).to_le_bytes());
                for (bucket, after) in entries {
                    out.extend((bucket << 6 | u32::from(*after)).to_le_bytes());
                }
                out
            }
            Registers::Dense(buckets) => {
                let least = buckets.iter().copied().min().unwrap_or(0);
                let mut out = vec![DENSE_TAG, index_bits, least];
                let delta = |rank: u8| (rank - least).min(MOST_DELTA);
                out.extend(buckets.chunks(2).map(|pair| {
                    let second = pair.get(1).copied().map_or(0, delta);
                    delta(pair[0]) << 4 | second
                }));
                let over: Vec<_> = buckets
                    .iter()
                    .enumerate()
                    .filter(|(_, rank)| **rank - least > MOST_DELTA)
                    .collect();
                out.extend((over.len() as u16).to_le_bytes());
                for (bucket, _) in &over {
                    out.extend((*bucket as u16).to_le_bytes());
                }
                out.extend(over.iter().map(|(_, rank)| **rank - least - MOST_DELTA));
                out
            }
        }
    }

    pub(in crate::functions) fn read(bytes: &[u8]) -> Result<Self> {
        match Self::try_read(bytes) {
            Some(sketch) => Ok(sketch),
            None => exec_err!("the bytes are no HyperLogLog"),
        }
    }

    fn try_read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        let tag = bytes.byte()?;
        let index_bits = u32::from(bytes.byte()?);
        if !(4..=16).contains(&index_bits) {
            return None;
        }
        let registers = match tag {
            SPARSE_TAG => {
                let count = bytes.short()?;
                let mut entries = BTreeMap::new();
                for _ in 0..count {
                    let entry = bytes.int()?;
                    let after = (entry & 63) as u8;
                    if u32::from(after) > 64 - SPARSE_BITS {
                        return None;
                    }
                    entries.insert(entry >> 6, after);
                }
                Registers::Sparse(entries)
            }
            DENSE_TAG => Registers::Dense(read_dense(&mut bytes, index_bits)?),
            _ => return None,
        };
        bytes.is_empty().then_some(Self {
            index_bits,
            registers,
        })
    }
}

fn read_dense(bytes: &mut Bytes<'_>, index_bits: u32) -> Option<Vec<u8>> {
    let least = bytes.byte()?;
    let deltas = bytes.take(1 << (index_bits - 1))?;
    let most = (64 - index_bits + 1) as u8;
    let mut buckets: Vec<u8> = deltas
        .iter()
        .flat_map(|pair| [pair >> 4, pair & 15])
        .map(|delta| least.saturating_add(delta))
        .collect();
    let count = bytes.short()?;
    let over: Option<Vec<_>> = (0..count).map(|_| bytes.short()).collect();
    for bucket in over? {
        let bucket = buckets.get_mut(usize::from(bucket))?;
        *bucket = bucket.saturating_add(bytes.byte()?);
    }
    buckets.iter().all(|rank| *rank <= most).then_some(buckets)
}

/// The estimate from the greatest ranks, without tables of corrections.
fn estimate(buckets: &[u8], index_bits: u32) -> f64 {
    let most = 64 - index_bits as usize;
    let mut counts = vec![0.0; most + 2];
    for rank in buckets {
        counts[usize::from(*rank)] += 1.0;
    }
    let size = buckets.len() as f64;
    let mut sum = size * tau(1.0 - counts[most + 1] / size);
    for count in counts[1..=most].iter().rev() {
        sum = 0.5 * (sum + count);
    }
    sum += size * sigma(counts[0] / size);
    size * size / (2.0 * std::f64::consts::LN_2 * sum)
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * y;
        y += y;
        if sum == before {
            return sum;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        y *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * y;
        if sum == before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::functions::binary::hash64;

    fn of(numbers: impl IntoIterator<Item = u64>) -> Hll {
        let mut sketch = Hll::with_error(0.01625).unwrap();
        for number in numbers {
            sketch.insert(hash64(&number.to_le_bytes()));
        }
        sketch
    }

    #[test]
    fn few_values_are_counted_exactly_and_many_nearly() {
        for count in [0, 1, 2, 100, 500] {
            assert_eq!(of(0..count).cardinality(), count as i64);
        }
        for count in [1_000, 5_000, 20_000, 100_000] {
            let off = of(0..count).cardinality() as f64 / count as f64 - 1.0;
            assert!(off.abs() < 0.05, "{count}: {off}");
        }
    }

    #[test]
    fn an_error_decides_the_number_of_buckets() {
        for (error, bits) in [(0.01625, 12), (0.0325, 10), (0.26, 4), (0.0040625, 16)] {
            assert_eq!(Hll::with_error(error).unwrap().index_bits, bits, "{error}");
        }
        assert!(Hll::with_error(0.5).is_err());
        assert!(Hll::with_error(f64::NAN).is_err());
    }

    #[test]
    fn bytes_that_are_no_sketch_are_refused() {
        for bytes in [
            &[][..],
            &[2],
            &[9, 12, 0, 0],
            &[2, 12, 1, 0],
            &[3, 12, 0],
            &[2, 99, 0, 0],
        ] {
            assert!(Hll::read(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn bytes_lead_back(count in 0_u64..3_000) {
            let sketch = of(0..count);
            prop_assert_eq!(Hll::read(&sketch.write()).unwrap(), sketch);
        }

        #[test]
        fn a_merged_sketch_is_that_of_all_values(cut in 0_u64..3_000, count in 0_u64..3_000) {
            let mut merged = of(0..cut);
            merged.merge(&of(cut / 2..count)).unwrap();
            let whole = of(0..cut.max(count));
            let whole = if count < cut / 2 { of(0..cut) } else { whole };
            prop_assert_eq!(merged.dense(), whole.dense());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(sketch) = Hll::read(&bytes) {
                prop_assert!(sketch.cardinality() >= 0);
            }
        }
    }
}
