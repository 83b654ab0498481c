//! Quantile digests: quantiles that are values, with the weight of each.
//!
//! Values are kept in their order until there are too many; then neighbours are merged into the greater
//! one. So a quantile is never less than Trino's, and exact for some thousands of distinct values. The
//! bytes are not Trino's, whose digests are trees.

use std::collections::BTreeMap;

use datafusion::{common::exec_err, error::Result};

use super::bytes::Bytes;

const TAG: u8 = 0xd1;
/// Number of distinct values from which neighbours are merged.
const MOST_KEPT: usize = 8_192;

/// Weights by value; numbers of other types are kept as integers that sort as they do.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::functions) struct QDigest(BTreeMap<i64, f64>);

/// An integer that sorts as the number does; its own inverse is [`from_sortable`].
pub(super) fn sortable(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ (bits >> 63) & i64::MAX
}

pub(super) fn from_sortable(value: i64) -> f64 {
    f64::from_bits((value ^ (value >> 63) & i64::MAX) as u64)
}

impl QDigest {
    pub(in crate::functions) fn add(&mut self, value: i64, weight: f64) -> Result<()> {
        if !(weight.is_finite() && weight > 0.0) {
            return exec_err!("weight must be > 0");
        }
        *self.0.entry(value).or_default() += weight;
        self.thin_out();
        Ok(())
    }

    pub(in crate::functions) fn merge(&mut self, other: &Self) {
        for (&value, weight) in &other.0 {
            *self.0.entry(value).or_default() += weight;
        }
        self.thin_out();
    }

    fn thin_out(&mut self) {
        if self.0.len() <= MOST_KEPT {
            return;
        }
        let all: Vec<_> = std::mem::take(&mut self.0).into_iter().collect();
        // The least value stays what it is, and so does the greatest, which ends a pair.
        let (first, rest) = all.split_at(1 + (all.len() - 1) % 2);
        self.0.extend(first.iter().copied());
        self.0.extend(
            rest.chunks_exact(2)
                .map(|pair| (pair[1].0, pair[0].1 + pair[1].1)),
        );
    }

    fn total(&self) -> f64 {
        self.0.values().sum()
    }

    /// The value at a quantile: the first with more than that part of all weight up to it.
    pub(super) fn value_at(&self, quantile: f64) -> Option<i64> {
        let wanted = quantile * self.total();
        let mut sum = 0.0;
        let found = self.0.iter().find(|(_, weight)| {
            sum += **weight;
            sum > wanted
        });
        found
            .or_else(|| self.0.last_key_value())
            .map(|(value, _)| *value)
    }

    /// The part of all weight below a value; `None` outside of the values.
    pub(super) fn quantile_at(&self, value: i64) -> Option<f64> {
        let (least, greatest) = (self.0.first_key_value()?, self.0.last_key_value()?);
        if value < *least.0 || value > *greatest.0 {
            return None;
        }
        let below: f64 = self.0.range(..value).map(|(_, weight)| weight).sum();
        Some(below / self.total())
    }

    pub(in crate::functions) fn write(&self) -> Vec<u8> {
        let mut out = vec![TAG];
        for (value, weight) in &self.0 {
            out.extend(value.to_le_bytes());
            out.extend(weight.to_le_bytes());
        }
        out
    }

    pub(in crate::functions) fn read(bytes: &[u8]) -> Result<Self> {
        match Self::try_read(bytes) {
            Some(digest) => Ok(digest),
            None => exec_err!("the bytes are no quantile digest that was made here"),
        }
    }

    fn try_read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        if bytes.byte()? != TAG {
            return None;
        }
        let mut digest = Self::default();
        while !bytes.is_empty() {
            let (value, weight) = (bytes.long()?, bytes.double()?);
            if !(weight.is_finite() && weight > 0.0) {
                return None;
            }
            digest.0.insert(value, weight);
        }
        Some(digest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: impl IntoIterator<Item = i64>) -> QDigest {
        let mut digest = QDigest::default();
        for value in values {
            digest.add(value, 1.0).unwrap();
        }
        digest
    }

    #[test]
    fn few_values_are_ranked_exactly() {
        let digest = of(0..100);
        for (quantile, value) in [(0.0, 0), (0.5, 50), (0.99, 99), (1.0, 99)] {
            assert_eq!(digest.value_at(quantile), Some(value));
        }
        assert_eq!(digest.quantile_at(25), Some(0.25));
        assert_eq!(digest.quantile_at(100), None);
        assert_eq!(QDigest::default().value_at(0.5), None);
    }

    #[test]
    fn many_values_are_ranked_nearly() {
        let digest = of((0..50_000).map(|n| n * 7_919 % 50_000));
        assert!(digest.0.len() <= MOST_KEPT);
        for quantile in [0.0, 0.1, 0.5, 0.9, 1.0] {
            let found = digest.value_at(quantile).unwrap() as f64 / 50_000.0;
            assert!((found - quantile).abs() < 0.01, "{quantile}: {found}");
        }
        assert_eq!(digest.value_at(1.0), Some(49_999));
    }

    proptest! {
        #[test]
        fn integers_sort_as_the_numbers_do(a in any::<f64>(), b in any::<f64>()) {
            prop_assert_eq!(sortable(a).cmp(&sortable(b)), a.total_cmp(&b));
            prop_assert_eq!(from_sortable(sortable(a)).to_bits(), a.to_bits());
        }

        #[test]
        fn bytes_lead_back(values in prop::collection::vec(any::<i64>(), 0..200)) {
            let digest = of(values);
            prop_assert_eq!(QDigest::read(&digest.write()).unwrap(), digest);
        }
    }
}
