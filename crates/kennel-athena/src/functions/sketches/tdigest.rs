//! T-digest: quantiles from centroids, which are the smaller the nearer to the ends they lie.
//!
//! Source: Dunning and Ertl, "Computing extremely accurate quantiles using t-digests"; where to
//! interpolate, and the bytes, follow airlift's, so that quantiles are Trino's.

use datafusion::{common::exec_err, error::Result};

use super::bytes::Bytes;

const COMPRESSION: f64 = 100.0;
const TAG: u8 = 0;
/// Number of centroids from which they are merged.
const MOST_KEPT: usize = 1_260;
/// Largest number of centroids that is read from bytes.
const MOST_READ: u32 = 1 << 20;

#[derive(Debug, Clone, PartialEq)]
pub(in crate::functions) struct TDigest {
    compression: f64,
    centroids: Vec<(f64, f64)>,
    min: f64,
    max: f64,
}

impl Default for TDigest {
    fn default() -> Self {
        Self {
            compression: COMPRESSION,
            centroids: vec![],
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }
}

impl TDigest {
    pub(in crate::functions) fn add(&mut self, value: f64, weight: f64) -> Result<()> {
        if !value.is_finite() {
            return exec_err!("Cannot add {value} to t-digest");
        }
        if !(weight.is_finite() && weight > 0.0) {
            return exec_err!("weight must be > 0, was {weight}");
        }
        if self.centroids.len() >= MOST_KEPT {
            self.compact(2.0 * self.compression);
        }
        self.centroids.push((value, weight));
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        Ok(())
    }

    pub(in crate::functions) fn merge(&mut self, other: &Self) {
        self.centroids.extend_from_slice(&other.centroids);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        if self.centroids.len() > MOST_KEPT {
            self.compact(2.0 * self.compression);
        }
    }

    fn total(&self) -> f64 {
        self.centroids.iter().map(|(_, weight)| weight).sum()
    }

    /// Merges neighbours as far as their places allow.
    fn compact(&mut self, compression: f64) {
        self.centroids.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total = self.total();
        let normalizer = compression / (4.0 * (total / compression).ln() + 24.0);
        let largest = |quantile: f64| quantile * (1.0 - quantile) / normalizer;
        let mut merged: Vec<(f64, f64)> = Vec::with_capacity(self.centroids.len());
        let (mut before, mut limit) = (0.0, largest(0.0));
        for &(mean, weight) in &self.centroids {
            let Some(last) = merged.last_mut() else {
                merged.push((mean, weight));
                continue;
            };
            let both = last.1 + weight;
            let quantile = ((before + both) / total).min(1.0);
            if both <= total * limit.min(largest(quantile)) {
                last.0 += (mean - last.0) * weight / both;
                last.1 = both;
            } else {
                before += last.1;
                limit = largest(before / total);
                merged.push((mean, weight));
            }
        }
        self.centroids = merged;
    }

    /// The values at quantiles that ascend; `None` where there are no values.
    pub(in crate::functions) fn values_at(&self, quantiles: &[f64]) -> Option<Vec<f64>> {
        let mut sorted = self.clone();
        sorted.compact(2.0 * self.compression);
        let (means, weights): (Vec<_>, Vec<_>) = sorted.centroids.into_iter().unzip();
        if means.is_empty() {
            return None;
        }
        Some(interpolated(
            &means,
            &weights,
            [self.min, self.max],
            quantiles,
        ))
    }

    pub(in crate::functions) fn write(&self) -> Vec<u8> {
        let mut small = self.clone();
        small.compact(self.compression);
        let mut out = vec![TAG];
        for number in [self.min, self.max, self.compression, self.total()] {
            out.extend(number.to_le_bytes());
        }
        out.extend((small.centroids.len() as u32).to_le_bytes());
        for (mean, _) in &small.centroids {
            out.extend(mean.to_le_bytes());
        }
        for (_, weight) in &small.centroids {
            out.extend(weight.to_le_bytes());
        }
        out
    }

    pub(in crate::functions) fn read(bytes: &[u8]) -> Result<Self> {
        match Self::try_read(bytes) {
            Some(digest) => Ok(digest),
            None => exec_err!("the bytes are no t-digest"),
        }
    }

    fn try_read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        if bytes.byte()? != TAG {
            return None;
        }
        let (min, max) = (bytes.double()?, bytes.double()?);
        let (compression, _total) = (bytes.double()?, bytes.double()?);
        let count = bytes.int().filter(|count| *count <= MOST_READ)?;
        let means: Option<Vec<_>> = (0..count).map(|_| bytes.double()).collect();
        let weights: Option<Vec<_>> = (0..count).map(|_| bytes.double()).collect();
        let (means, weights) = (means?, weights?);
        let is_good = bytes.is_empty()
            && (10.0..=1e6).contains(&compression)
            && means.iter().all(|mean| mean.is_finite())
            && weights
                .iter()
                .all(|weight| weight.is_finite() && *weight > 0.0)
            && (count == 0 || min.is_finite() && max.is_finite());
        is_good.then(|| Self {
            compression,
            centroids: means.into_iter().zip(weights).collect(),
            min,
            max,
        })
    }
}

/// How far `x` is on the way from `from` to `to`, on that from `a` to `b`.
fn part(x: f64, from: f64, a: f64, to: f64, b: f64) -> f64 {
    (x - from) / (to - from) * (b - a)
}

/// The values at ascending quantiles of sorted centroids, of which there must be one: single values are
/// taken as they are, between larger centroids it is interpolated.
pub(in crate::functions) fn interpolated(
    means: &[f64],
    weights: &[f64],
    [min, max]: [f64; 2],
    quantiles: &[f64],
) -> Vec<f64> {
    let last = means.len() - 1;
    if last == 0 {
        return vec![means[0]; quantiles.len()];
    }
    let total: f64 = weights.iter().sum();
    let (first_half, last_half) = (weights[0] / 2.0, weights[last] / 2.0);
    let near_top = |offset: f64| max + part(total - offset, 1.0, max, last_half, means[last]);
    // The centroid left of the last offset, and the weight up to its middle.
    let (mut left, mut so_far) = (0, first_half);
    let each = quantiles.iter().map(|quantile| {
        let offset = quantile * total;
        if offset < 1.0 {
            return min;
        }
        if offset < first_half {
            return min + part(offset, 1.0, min, first_half, means[0]);
        }
        if offset > total - 1.0 {
            return max;
        }
        if total - offset <= last_half && last_half > 1.0 {
            return near_top(offset);
        }
        if offset >= total - 1.0 {
            return max;
        }
        // Half of each of the two centroids around the offset.
        let delta = loop {
            if left == last {
                return if last_half > 1.0 {
                    near_top(offset)
                } else {
                    max
                };
            }
            let delta = (weights[left] + weights[left + 1]) / 2.0;
            if so_far + delta > offset {
                break delta;
            }
            so_far += delta;
            left += 1;
        };
        let (right, within) = (left + 1, offset - so_far);
        let half = weights[left] / 2.0;
        if weights[left] == 1.0 && within < half {
            return means[left];
        }
        if weights[right] == 1.0 && within >= half {
            return means[right];
        }
        let (from, length) = match (weights[left] == 1.0, weights[right] == 1.0) {
            (true, _) => (within - half, weights[right] / 2.0),
            (_, true) => (within, half),
            _ => (within, delta),
        };
        means[left] + part(from, 0.0, means[left], length, means[right])
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[(f64, f64)]) -> TDigest {
        let mut digest = TDigest::default();
        for &(value, weight) in values {
            digest.add(value, weight).unwrap();
        }
        digest
    }

    #[test]
    fn single_values_are_taken_and_others_interpolated() {
        let digest = of(&[(1.0, 1.0), (2.0, 1.0), (3.0, 1.0)]);
        assert_eq!(
            digest.values_at(&[0.2, 0.5, 0.8]),
            Some(vec![1.0, 2.0, 3.0])
        );
        let digest = of(&[(1.0, 4.0), (2.0, 2.0), (3.0, 1.0)]);
        let found = digest.values_at(&[0.5, 0.8]).unwrap();
        assert!(
            (found[0] - 1.5).abs() < 1e-9 && (found[1] - 2.6).abs() < 1e-9,
            "{found:?}"
        );
        assert_eq!(TDigest::default().values_at(&[0.5]), None);
    }

    #[test]
    fn what_is_no_number_or_has_no_weight_is_refused() {
        let mut digest = TDigest::default();
        assert!(digest.add(f64::NAN, 1.0).is_err());
        assert!(digest.add(f64::INFINITY, 1.0).is_err());
        assert!(digest.add(1.0, 0.0).is_err());
        assert!(digest.add(1.0, f64::NAN).is_err());
    }

    proptest! {
        #[test]
        fn quantiles_ascend_within_the_values(
            values in prop::collection::vec((-1e6_f64..1e6, 0.5_f64..20.0), 1..3_000),
        ) {
            let digest = of(&values);
            let quantiles: Vec<f64> = (0..=20).map(|n| f64::from(n) / 20.0).collect();
            let found = digest.values_at(&quantiles).unwrap();
            for pair in found.windows(2) {
                prop_assert!(pair[0] <= pair[1] + 1e-6, "{:?}", found);
            }
            prop_assert!(found.iter().all(|value| (digest.min..=digest.max).contains(value)));
        }

        #[test]
        fn bytes_lead_back(values in prop::collection::vec((-1e6_f64..1e6, 1.0_f64..3.0), 0..300)) {
            let mut digest = of(&values);
            let back = TDigest::read(&digest.write()).unwrap();
            digest.compact(COMPRESSION);
            prop_assert_eq!(back, digest);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            if let Ok(digest) = TDigest::read(&bytes) {
                let _ = digest.values_at(&[0.0, 0.5, 1.0]);
            }
        }
    }
}
