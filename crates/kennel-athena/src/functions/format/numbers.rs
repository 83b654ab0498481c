//! Numbers by Java's specifiers. Decimal digits are rounded half up, as Java does.

use super::spec::Spec;

/// `%d`, `%o`, `%x`.
pub(super) fn integer(spec: &Spec, number: i64) -> String {
    match spec.conversion.to_ascii_lowercase() {
        'x' => unsigned(spec, "0x", &format!("{number:x}")),
        'o' => unsigned(spec, "0", &format!("{number:o}")),
        _ => signed(spec, number < 0, &number.unsigned_abs().to_string(), ""),
    }
}

/// Digits behind their prefix, with zeros between both.
fn unsigned(spec: &Spec, prefix: &str, digits: &str) -> String {
    let prefix = if spec.has('#') { prefix } else { "" };
    let zeros = zeros(spec, prefix.len() + digits.len());
    format!("{prefix}{zeros}{digits}")
}

/// What fills up so many characters, where zeros do.
fn zeros(spec: &Spec, length: usize) -> String {
    match spec.width {
        Some(width) if spec.has('0') => "0".repeat(width.saturating_sub(length)),
        _ => String::new(),
    }
}

/// What stands before and behind a number for its sign.
fn signs(spec: &Spec, negative: bool) -> (&'static str, &'static str) {
    match negative {
        true if spec.has('(') => ("(", ")"),
        true => ("-", ""),
        false if spec.has('+') => ("+", ""),
        false if spec.has(' ') => (" ", ""),
        false => ("", ""),
    }
}

/// Sign, groups of three and zeros around digits.
fn signed(spec: &Spec, negative: bool, whole: &str, rest: &str) -> String {
    let mut digits = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if spec.has(',') && index > 0 && (whole.len() - index).is_multiple_of(3) {
            digits.push(',');
        }
        digits.push(digit);
    }
    digits.push_str(rest);
    let (before, after) = signs(spec, negative);
    let zeros = zeros(spec, before.len() + digits.len() + after.len());
    format!("{before}{zeros}{digits}{after}")
}

/// `%f`, `%e`, `%g`, `%a` of a double.
pub(super) fn double(spec: &Spec, number: f64) -> String {
    let (before, after) = signs(spec, number.is_sign_negative());
    if number.is_nan() {
        "NaN".into()
    } else if number.is_infinite() {
        format!("{before}Infinity{after}")
    } else if spec.conversion.eq_ignore_ascii_case(&'a') {
        let text = hexadecimal(number.abs(), spec.precision);
        let zeros = zeros(spec, before.len() + text.len() + 2);
        format!("{before}0x{zeros}{text}")
    } else {
        // The shortest digits that stand for the number, which are those that Java rounds.
        decimal(spec, &format!("{number}"))
    }
}

/// Hexadecimal digits and a power of two, as Java's `%a` has them behind `0x`; ties are rounded to even.
fn hexadecimal(number: f64, precision: Option<usize>) -> String {
    const FRACTION_BITS: u32 = 52;
    // `%.0a` has one digit, too.
    let places = precision.map(|places| places.max(1));
    let bits = number.to_bits();
    let mut exponent = i64::from((bits >> FRACTION_BITS) as u32) - 1023;
    let mut fraction = bits & ((1 << FRACTION_BITS) - 1);
    let mut whole = u64::from(bits >> FRACTION_BITS > 0);
    let digits_in_all = FRACTION_BITS as usize / 4;
    let is_rounded = places.is_some_and(|places| places < digits_in_all);
    if whole == 0 {
        exponent = if fraction == 0 { 0 } else { -1022 };
        if is_rounded && fraction > 0 {
            let shift = fraction.leading_zeros() - (u64::BITS - 1 - FRACTION_BITS);
            exponent -= i64::from(shift);
            fraction = (fraction << shift) & ((1 << FRACTION_BITS) - 1);
            whole = 1;
        }
    }
    if let Some(places) = places.filter(|_| is_rounded) {
        let dropped = FRACTION_BITS - 4 * u32::try_from(places).unwrap_or(0);
        let all = (whole << FRACTION_BITS) | fraction;
        let (mut kept, rest) = (all >> dropped, all & ((1 << dropped) - 1));
        let half = 1 << (dropped - 1);
        if rest > half || rest == half && kept & 1 == 1 {
            kept += 1;
        }
        let mut all = kept << dropped;
        if all >> FRACTION_BITS > 1 {
            all >>= 1;
            exponent += 1;
        }
        whole = all >> FRACTION_BITS;
        fraction = all & ((1 << FRACTION_BITS) - 1);
    }
    let digits = format!("{fraction:013x}");
    let digits = digits.trim_end_matches('0');
    let least = places.unwrap_or(1);
    format!("{whole}.{digits:0<least$}p{exponent}")
}

/// `%f`, `%e`, `%g` of digits.
pub(super) fn decimal(spec: &Spec, digits: &str) -> String {
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, digits),
    };
    let precision = spec.precision.unwrap_or(6);
    match spec.conversion.to_ascii_lowercase() {
        'e' => {
            let (mantissa, exponent) = scientific(digits, precision);
            let (whole, rest) = mantissa.split_once('.').unwrap_or((&mantissa, ""));
            let point = point(spec, rest);
            let sign = if exponent < 0 { '-' } else { '+' };
            let rest = format!("{point}{rest}e{sign}{:02}", exponent.abs());
            signed(spec, negative, whole, &rest)
        }
        'g' => {
            let precision = precision.max(1);
            let (_, exponent) = scientific(digits, precision - 1);
            let wanted = i64::try_from(precision).unwrap_or(i64::MAX);
            let is_zero = digits.chars().all(|digit| digit == '0' || digit == '.');
            if is_zero || (-4..wanted).contains(&exponent) {
                let places = if is_zero {
                    wanted - 1
                } else {
                    wanted - 1 - exponent
                };
                let places = usize::try_from(places).unwrap_or(0);
                fixed(spec, negative, digits, places)
            } else {
                let spec = Spec {
                    conversion: 'e',
                    precision: Some(precision - 1),
                    ..spec.clone()
                };
                let sign = if negative { "-" } else { "" };
                decimal(&spec, &format!("{sign}{digits}"))
            }
        }
        _ => fixed(spec, negative, digits, precision),
    }
}

fn fixed(spec: &Spec, negative: bool, digits: &str, places: usize) -> String {
    let rounded = rounded(digits, places);
    let (whole, fraction) = rounded.split_once('.').unwrap_or((&rounded, ""));
    let point = point(spec, fraction);
    signed(spec, negative, whole, &format!("{point}{fraction}"))
}

/// The point before a fraction; without one, `#` asks for it.
fn point(spec: &Spec, fraction: &str) -> &'static str {
    if fraction.is_empty() && !spec.has('#') {
        ""
    } else {
        "."
    }
}

/// A decimal as Java shows it: with an exponent where more than five zeros would stand behind the point.
pub(super) fn plain_or_scientific(digits: String) -> String {
    let (sign, unsigned) = match digits.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", digits.as_str()),
    };
    let scale = unsigned.split_once('.').map_or(0, |(_, rest)| rest.len());
    let all: String = unsigned.chars().filter(char::is_ascii_digit).collect();
    let significant = match all.trim_start_matches('0') {
        "" => "0",
        significant => significant,
    };
    if scale < significant.len() + 6 {
        return digits;
    }
    let exponent = scale + 1 - significant.len();
    let (first, rest) = significant.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}E-{exponent}")
}

/// Digits with so many places behind the point, rounded half up.
fn rounded(digits: &str, places: usize) -> String {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut kept: Vec<u8> = whole.bytes().chain(fraction.bytes().take(places)).collect();
    let rounds_up = fraction
        .as_bytes()
        .get(places)
        .is_some_and(|digit| *digit >= b'5');
    kept.resize(whole.len() + places, b'0');
    if rounds_up {
        let mut carried = true;
        for digit in kept.iter_mut().rev() {
            if *digit == b'9' {
                *digit = b'0';
            } else {
                *digit += 1;
                carried = false;
                break;
            }
        }
        if carried {
            kept.insert(0, b'1');
        }
    }
    let point = kept.len() - places;
    let text: String = kept.iter().map(|digit| char::from(*digit)).collect();
    let (whole, fraction) = text.split_at(point);
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    }
}

/// One digit, so many places, and the power of ten.
fn scientific(digits: &str, places: usize) -> (String, i64) {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let Some(first) = all.find(|digit| digit != '0') else {
        return (rounded("0", places), 0);
    };
    let exponent = whole.len() as i64 - 1 - first as i64;
    let (head, tail) = all[first..].split_at(1);
    let mantissa = rounded(&format!("{head}.{tail}"), places);
    if mantissa.starts_with("10") {
        return (rounded("1", places), exponent + 1);
    }
    (mantissa, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_rounded_half_up() {
        let cases = [
            ("1.005", 2, "1.01"),
            ("0.125", 2, "0.13"),
            ("9.99", 1, "10.0"),
            ("1234567.89", 2, "1234567.89"),
            ("5", 2, "5.00"),
            ("0.5", 0, "1"),
            ("0.4", 0, "0"),
        ];
        for (digits, places, expected) in cases {
            assert_eq!(rounded(digits, places), expected);
        }
        assert_eq!(scientific("12345.678", 2), ("1.23".into(), 4));
        assert_eq!(scientific("0.00099996", 3), ("1.000".into(), -3));
        assert_eq!(scientific("0", 2), ("0.00".into(), 0));
    }

    #[test]
    fn decimals_are_javas() {
        for (digits, expected) in [
            ("0.000001", "0.000001"),
            ("0.0000001", "1E-7"),
            ("-0.00000123", "-0.00000123"),
            ("-0.000000123", "-1.23E-7"),
            ("0.0000000", "0E-7"),
            ("12.50", "12.50"),
        ] {
            assert_eq!(plain_or_scientific(digits.into()), expected);
        }
    }

    #[test]
    fn hexadecimal_digits_are_javas() {
        let cases = [
            (1.0, None, "1.0p0"),
            (0.0, None, "0.0p0"),
            (0.1, None, "1.999999999999ap-4"),
            (3.5, Some(0), "1.cp1"),
            (1.0, Some(3), "1.000p0"),
            (0.1, Some(2), "1.9ap-4"),
            (1.999, Some(1), "1.0p1"),
            (1.03125, Some(1), "1.0p0"),
            (1.09375, Some(1), "1.2p0"),
            (f64::MIN_POSITIVE / 2.0, None, "0.8p-1022"),
            (f64::MIN_POSITIVE / 2.0, Some(2), "1.00p-1023"),
            (f64::MAX, Some(1), "1.0p1024"),
            (1.0, Some(14), "1.00000000000000p0"),
        ];
        for (number, precision, expected) in cases {
            assert_eq!(hexadecimal(number, precision), expected, "{number}");
        }
    }
}
