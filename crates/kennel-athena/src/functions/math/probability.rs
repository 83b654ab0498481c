//! Distributions: normal, beta, and Wilson's interval.

use std::sync::Arc;

use datafusion::{
    arrow::array::ArrayRef, common::exec_err, error::Result, logical_expr::ScalarUDF,
};

use crate::functions::scalar::{Call, Kind, Spec, double};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const TWO: &[Kind] = &[Kind::Double, Kind::Double];
    const THREE: &[Kind] = &[Kind::Double, Kind::Double, Kind::Double];
    const COUNTS: &[Kind] = &[Kind::Integer, Kind::Integer, Kind::Double];
    [
        Spec::new("normal_cdf", THREE, double, |call| of_three(call, normal)),
        Spec::new("inverse_normal_cdf", THREE, double, |call| {
            of_three(call, inverse_normal)
        }),
        Spec::new("beta_cdf", THREE, double, |call| of_three(call, beta)),
        Spec::new("inverse_beta_cdf", THREE, double, |call| {
            of_three(call, inverse_beta)
        }),
        Spec::new("t_cdf", TWO, double, |call| of_two(call, t_cdf)),
        Spec::new("t_pdf", TWO, double, |call| of_two(call, t_pdf)),
        Spec::new("wilson_interval_lower", COUNTS, double, |call| {
            of_counts(call, -1.0)
        }),
        Spec::new("wilson_interval_upper", COUNTS, double, |call| {
            of_counts(call, 1.0)
        }),
    ]
    .map(Spec::build)
    .into()
}

fn of_three(call: &Call, each: fn(f64, f64, f64) -> Result<f64>) -> Result<ArrayRef> {
    let (a, b, c) = (call.doubles(0), call.doubles(1), call.doubles(2));
    call.to_doubles(|row| each(a.value(row), b.value(row), c.value(row)).map(Some))
}

fn of_counts(call: &Call, side: f64) -> Result<ArrayRef> {
    let (hits, trials, z) = (call.integers(0), call.integers(1), call.doubles(2));
    call.to_doubles(|row| {
        let (hits, trials) = (hits.value(row) as f64, trials.value(row) as f64);
        wilson(hits, trials, z.value(row), side).map(Some)
    })
}

fn of_two(call: &Call, each: fn(f64, f64) -> Result<f64>) -> Result<ArrayRef> {
    let (a, b) = (call.doubles(0), call.doubles(1));
    call.to_doubles(|row| each(a.value(row), b.value(row)).map(Some))
}

/// Student's distribution, cumulated up to `x`.
fn t_cdf(x: f64, freedom: f64) -> Result<f64> {
    check_freedom(freedom)?;
    let tail = incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + x * x)) / 2.0;
    Ok(if x > 0.0 { 1.0 - tail } else { tail })
}

/// The density of Student's distribution.
fn t_pdf(x: f64, freedom: f64) -> Result<f64> {
    check_freedom(freedom)?;
    let half = (freedom + 1.0) / 2.0;
    let logarithm = libm::lgamma(half)
        - libm::lgamma(freedom / 2.0)
        - (freedom * std::f64::consts::PI).ln() / 2.0
        - half * (x * x / freedom).ln_1p();
    Ok(logarithm.exp())
}

fn check_freedom(freedom: f64) -> Result<()> {
    if freedom > 0.0 {
        return Ok(());
    }
    exec_err!("df must be greater than 0")
}

fn standard_normal(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

fn normal(mean: f64, deviation: f64, value: f64) -> Result<f64> {
    if deviation.is_nan() || deviation <= 0.0 {
        return exec_err!("standardDeviation must be > 0");
    }
    Ok(standard_normal((value - mean) / deviation))
}

fn inverse_normal(mean: f64, deviation: f64, p: f64) -> Result<f64> {
    if !(p > 0.0 && p < 1.0) {
        return exec_err!("p must be 0 > p > 1");
    }
    if deviation.is_nan() || deviation <= 0.0 {
        return exec_err!("standardDeviation must be > 0");
    }
    // Bisection finds the place, Newton's steps its last digits.
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if standard_normal(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    let mut x = f64::midpoint(low, high);
    for _ in 0..3 {
        let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let step = (standard_normal(x) - p) / density;
        if step.is_finite() {
            x -= step;
        }
    }
    Ok(mean + deviation * x)
}

fn check_beta(a: f64, b: f64) -> Result<()> {
    if a > 0.0 && b > 0.0 {
        return Ok(());
    }
    exec_err!("a, b must be > 0")
}

fn beta(a: f64, b: f64, value: f64) -> Result<f64> {
    check_beta(a, b)?;
    if !(0.0..=1.0).contains(&value) {
        return exec_err!("value must be 0 >= v >= 1");
    }
    Ok(incomplete_beta(a, b, value))
}

/// The regularised incomplete beta function.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    // The fraction converges fast on the left of the mean.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let logarithm =
        a * x.ln() + b * (-x).ln_1p() + libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b);
    logarithm.exp() * fraction(a, b, x) / a
}

/// Lentz's continued fraction of the incomplete beta function.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let kept = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / kept(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for step in 1..1000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = result;
        for term in [even, odd] {
            d = 1.0 / kept(1.0 + term * d);
            c = kept(1.0 + term / c);
            result *= d * c;
        }
        if (result / before - 1.0).abs() < 1e-16 {
            break;
        }
    }
    result
}

fn inverse_beta(a: f64, b: f64, p: f64) -> Result<f64> {
    check_beta(a, b)?;
    if !(0.0..=1.0).contains(&p) {
        return exec_err!("p must be 0 >= p >= 1");
    }
    if p == 0.0 || p == 1.0 {
        return Ok(p);
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if incomplete_beta(a, b, middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(f64::midpoint(low, high))
}

fn wilson(hits: f64, trials: f64, z: f64, side: f64) -> Result<f64> {
    if hits < 0.0 {
        return exec_err!("number of successes must not be negative");
    }
    if trials <= 0.0 {
        return exec_err!("number of trials must be positive");
    }
    if hits > trials {
        return exec_err!("number of successes must not be larger than number of trials");
    }
    if z < 0.0 {
        return exec_err!("z-score must not be negative");
    }
    let p = hits / trials;
    let square = z * z / trials;
    let middle = p + square / 2.0;
    let width = z * (p * (1.0 - p) / trials + square / (4.0 * trials)).sqrt();
    Ok((middle + side * width) / (1.0 + square))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverses_lead_back() {
        for p in [0.001, 0.1, 0.3, 0.5, 0.77, 0.999] {
            let x = inverse_normal(10.0, 9.0, p).unwrap();
            assert!((normal(10.0, 9.0, x).unwrap() - p).abs() < 1e-14, "{p}");
            let x = inverse_beta(3.0, 3.6, p).unwrap();
            assert!((beta(3.0, 3.6, x).unwrap() - p).abs() < 1e-12, "{p}");
        }
        let x = inverse_normal(0.0, 1.0, 0.3).unwrap();
        assert!((x + 0.524_400_512_708_040_9).abs() < 1e-15);
    }
}
