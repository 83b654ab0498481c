//! Interval literals in all of Trino's forms, as DataFusion reads them.
//!
//! Source: Trino's grammar, `INTERVAL sign? string from (TO to)?`.

use datafusion::sql::sqlparser::ast::{DateTimeField, Expr, Spanned, UnaryOperator, Value};

use super::build::{call, number, text};
use crate::ParseError;

const DAY: i64 = 86_400_000;
/// The function that makes an interval of months.
pub(super) const MONTHS: &str = "__months";

/// Rewrites `INTERVAL '2 03:04' DAY TO MINUTE` as `INTERVAL '2 days 11040000 milliseconds'`, and `INTERVAL
/// '1-2' YEAR TO MONTH` as `__months(14)`.
///
/// # Errors
/// [`ParseError`] where the text does not fit the fields.
pub(super) fn rewrite(expr: &mut Expr) -> Result<(), ParseError> {
    let span = expr.span();
    let Expr::Interval(interval) = expr else {
        return Ok(());
    };
    let Some(from) = interval.leading_field.take() else {
        return Ok(());
    };
    let to = interval.last_field.take();
    interval.leading_precision = None;
    interval.fractional_seconds_precision = None;
    let Some((written, negative)) = literal(&interval.value) else {
        // Not a literal: DataFusion says what it thinks of that.
        interval.leading_field = Some(from);
        interval.last_field = to;
        return Ok(());
    };
    let read = read(&written, &from, to.as_ref());
    let Some((months, millis)) = read else {
        let message = format!("Invalid INTERVAL literal: '{written}'");
        return Err(ParseError::at(span, message));
    };
    let sign = if negative { -1 } else { 1 };
    let (months, millis) = (sign * months, sign * millis);
    if matches!(
        from,
        DateTimeField::Year
            | DateTimeField::Years
            | DateTimeField::Month
            | DateTimeField::Months
            | DateTimeField::Quarter
    ) {
        *expr = call(MONTHS, vec![number(&months.to_string())]);
        return Ok(());
    }
    let shown = format!("{} days {} milliseconds", millis / DAY, millis % DAY);
    *interval.value = text(&shown);
    Ok(())
}

/// `-INTERVAL '2 03:04' DAY TO MINUTE`, of which DataFusion would negate the days alone.
pub(super) fn negate(expr: &mut Expr) {
    let Expr::UnaryOp {
        op: UnaryOperator::Minus,
        expr: inner,
    } = expr
    else {
        return;
    };
    let mut inner = inner.as_mut();
    while let Expr::Nested(nested) = inner {
        inner = nested.as_mut();
    }
    let Expr::Interval(interval) = inner else {
        return;
    };
    let parts = literal(&interval.value).and_then(|(text, negative)| {
        let (days, rest) = text.split_once(" days ")?;
        let millis = rest.strip_suffix(" milliseconds")?;
        let sign = if negative { 1 } else { -1 };
        let [days, millis] = [days, millis].map(|number| number.parse::<i64>().ok());
        Some((sign * days?, sign * millis?))
    });
    if let Some((days, millis)) = parts {
        *interval.value = text(&format!("{days} days {millis} milliseconds"));
        *expr = Expr::Interval(interval.clone());
    }
}

/// The text of the literal, and whether a minus stands before it.
fn literal(value: &Expr) -> Option<(String, bool)> {
    match value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some((text.clone(), false)),
            Value::Number(text, _) => Some((text.clone(), false)),
            _ => None,
        },
        // Numbers have their type already.
        Expr::Cast { expr, .. } => literal(expr),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => literal(expr).map(|(text, negative)| (text, !negative)),
        _ => None,
    }
}

/// The place of a field in `day hour:minute:second`.
fn place(field: &DateTimeField) -> Option<usize> {
    Some(match field {
        DateTimeField::Day | DateTimeField::Days => 0,
        DateTimeField::Hour | DateTimeField::Hours => 1,
        DateTimeField::Minute | DateTimeField::Minutes => 2,
        DateTimeField::Second | DateTimeField::Seconds => 3,
        _ => return None,
    })
}

/// Months and milliseconds.
fn read(written: &str, from: &DateTimeField, to: Option<&DateTimeField>) -> Option<(i64, i64)> {
    let written = written.trim();
    let (written, sign) = match written.strip_prefix(['-', '+']) {
        Some(rest) => (rest, if written.starts_with('-') { -1 } else { 1 }),
        None => (written, 1),
    };
    let whole = |text: &str| match text.len() {
        1..=9 if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<i64>().ok(),
        _ => None,
    };
    let months = |factor: i64| Some((sign * factor * whole(written)?, 0));
    match (from, to) {
        (DateTimeField::Year | DateTimeField::Years, None) => return months(12),
        (DateTimeField::Month | DateTimeField::Months, None) => return months(1),
        (DateTimeField::Quarter, None) => return months(3),
        (DateTimeField::Week(_) | DateTimeField::Weeks, None) => {
            return Some((0, sign * 7 * DAY * whole(written)?));
        }
        (DateTimeField::Year, Some(DateTimeField::Month)) => {
            let (years, months) = written.split_once('-').unwrap_or((written, "0"));
            return Some((sign * (12 * whole(years)? + whole(months)?), 0));
        }
        _ => {}
    }
    const UNITS: [i64; 4] = [DAY, 3_600_000, 60_000, 1000];
    let (first, last) = (place(from)?, to.map_or(place(from), place)?);
    let mut parts: Vec<&str> = Vec::new();
    match written.split_once(' ') {
        Some((days, clock)) if first == 0 => {
            parts.push(days);
            parts.extend(clock.trim().split(':'));
        }
        Some(_) => return None,
        None => parts.extend(written.split(':')),
    }
    if first > last || parts.len() > last - first + 1 {
        return None;
    }
    let mut millis = 0;
    for (index, part) in parts.iter().enumerate() {
        let place = first + index;
        let value = if place == 3 {
            let (seconds, fraction) = part.split_once('.').unwrap_or((part, "0"));
            let fraction = format!("{fraction:0<3}");
            let thousandths = fraction.get(..3)?;
            whole(seconds)?.checked_mul(1000)? + whole(thousandths)?
        } else {
            whole(part)?.checked_mul(UNITS[place])?
        };
        millis += value;
    }
    Some((0, sign * millis))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn literals_are_read_by_their_fields() {
        use DateTimeField::{Day, Hour, Minute, Month, Second, Year};
        let cases = [
            ("2", Day, None, Some((0, 2 * DAY))),
            ("-2", Day, None, Some((0, -2 * DAY))),
            ("90061.234", Second, None, Some((0, 90_061_234))),
            (
                "2 03:04",
                Day,
                Some(Minute),
                Some((0, 2 * DAY + 11_040_000)),
            ),
            ("1 2:3:4.5", Day, Some(Second), Some((0, DAY + 7_384_500))),
            ("3:30", Hour, Some(Minute), Some((0, 12_600_000))),
            ("1-2", Year, Some(Month), Some((14, 0))),
            ("3", Year, None, Some((36, 0))),
            ("x", Day, None, None),
            ("", Day, None, None),
            ("1:2:3", Hour, Some(Minute), None),
            ("1 2", Hour, None, None),
            ("9999999999", Day, None, None),
        ];
        for (written, from, to, expected) in cases {
            assert_eq!(read(written, &from, to.as_ref()), expected, "{written}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(written in "[-+ :.0-9é]{0,12}") {
            let _ = read(&written, &DateTimeField::Day, Some(&DateTimeField::Second));
            let _ = read(&written, &DateTimeField::Year, Some(&DateTimeField::Month));
        }
    }
}
