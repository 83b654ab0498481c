//! Numbers by Java's specifiers. Decimal digits are rounded half up, as Java does.

use super::spec::Spec;

/// `%d`, `%o`, `%x`.
pub(super) fn integer(spec: &Spec, number: i64) -> String {
    let prefix = |text: &'static str| if spec.has('#') { text } else { "" };
    match spec.conversion.to_ascii_lowercase() {
        'x' => zeros(spec, format!("{}{number:x}", prefix("0x"))),
        'o' => zeros(spec, format!("{}{number:o}", prefix("0"))),
        _ => signed(spec, number < 0, &number.unsigned_abs().to_string(), ""),
    }
}

fn zeros(spec: &Spec, text: String) -> String {
    let missing = spec.width.unwrap_or(0).saturating_sub(text.len());
    if spec.has('0') {
        "0".repeat(missing) + &text
    } else {
        text
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
    let (before, after) = match negative {
        true if spec.has('(') => ("(", ")"),
        true => ("-", ""),
        false if spec.has('+') => ("+", ""),
        false if spec.has(' ') => (" ", ""),
        false => ("", ""),
    };
    let missing = spec
        .width
        .unwrap_or(0)
        .saturating_sub(before.len() + digits.len() + after.len());
    let filling = if spec.has('0') {
        "0".repeat(missing)
    } else {
        String::new()
    };
    format!("{before}{filling}{digits}{after}")
}

/// `%f`, `%e`, `%g` of a double.
pub(super) fn double(spec: &Spec, number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        let sign = match number > 0.0 {
            true if spec.has('+') => "+",
            true => "",
            false => "-",
        };
        return format!("{sign}Infinity");
    }
    // The shortest digits that stand for the number, which are those that Java rounds.
    decimal(spec, &format!("{number}"))
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
            let point = if rest.is_empty() { "" } else { "." };
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
    let rest = if fraction.is_empty() {
        String::new()
    } else {
        format!(".{fraction}")
    };
    signed(spec, negative, whole, &rest)
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
}
