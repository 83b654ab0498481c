//! Conditions of statements, over what is known of a call: true, false, or not to be decided.

use core::net::IpAddr;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{document::Condition, pattern::Pattern};

/// Yes, no, or unknown and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// Holds.
    Yes,
    /// Does not hold.
    No,
    /// Nobody can tell from the record.
    Unknown(String),
}

impl Truth {
    pub(crate) fn of(flag: bool) -> Self {
        if flag { Self::Yes } else { Self::No }
    }

    /// Both: a no decides.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unknown(why), _) | (_, Self::Unknown(why)) => Self::Unknown(why),
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }

    /// Either: a yes decides.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::Unknown(why), _) | (_, Self::Unknown(why)) => Self::Unknown(why),
            (Self::No, Self::No) => Self::No,
        }
    }

    pub(crate) fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            unknown @ Self::Unknown(_) => unknown,
        }
    }
}

/// What is known of a call's condition keys. A key that was never set is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Context {
    keys: BTreeMap<String, Vec<String>>,
}

impl Context {
    /// Sets a key to what it was.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.keys
            .insert(key.to_ascii_lowercase(), vec![value.into()]);
    }

    /// Says that the call had no such key.
    pub fn set_absent(&mut self, key: &str) {
        self.keys.insert(key.to_ascii_lowercase(), Vec::new());
    }

    /// The values; `None` when nothing is known, empty when the call had none.
    pub fn get(&self, key: &str) -> Option<&[String]> {
        self.keys.get(&key.to_ascii_lowercase()).map(Vec::as_slice)
    }
}

/// Whether all conditions hold.
pub(crate) fn all_hold(
    conditions: &[Condition],
    context: &Context,
    knows_variables: bool,
) -> Truth {
    conditions
        .iter()
        .map(|condition| holds(condition, context, knows_variables))
        .fold(Truth::Yes, Truth::and)
}

/// Replaces variables: `${aws:username}`, with a default after a comma. Escapes like `${*}` stay.
///
/// `Err` names what is not known; `Ok(None)` when the call has no such key, so that nothing matches.
pub(crate) fn with_variables(text: &str, context: &Context) -> Result<Option<String>, String> {
    if !text.contains("${") {
        return Ok(Some(text.to_owned()));
    }
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        replaced.push_str(&rest[..start]);
        let Some(length) = rest[start..].find('}') else {
            break;
        };
        let inner = &rest[start + 2..start + length];
        if matches!(inner, "*" | "?" | "$") {
            replaced.push_str(&rest[start..=start + length]);
        } else {
            let (key, default) = match inner.split_once(',') {
                Some((key, default)) => (key.trim(), Some(default.trim().trim_matches('\''))),
                None => (inner.trim(), None),
            };
            match context.get(key) {
                None => return Err(key.to_owned()),
                Some([value]) => replaced.push_str(&crate::pattern::escape(value)),
                Some(_) => match default {
                    Some(default) => replaced.push_str(&crate::pattern::escape(default)),
                    None => return Ok(None),
                },
            }
        }
        rest = &rest[start + length + 1..];
    }
    replaced.push_str(rest);
    Ok(Some(replaced))
}

/// How many of a key's values have to match.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quantity {
    Single,
    Any,
    All,
}

fn holds(condition: &Condition, context: &Context, knows_variables: bool) -> Truth {
    let unknown = |what: &str| Truth::Unknown(format!("the record does not tell {what}"));
    let operator = condition.operator.to_ascii_lowercase();
    let (quantity, operator) = match operator.split_once(':') {
        Some(("foranyvalue", rest)) => (Quantity::Any, rest),
        Some(("forallvalues", rest)) => (Quantity::All, rest),
        Some(_) => {
            return Truth::Unknown(format!(
                "the operator `{}` is not known",
                condition.operator
            ));
        }
        None => (Quantity::Single, operator.as_str()),
    };
    let (operator, if_exists) = match operator.strip_suffix("ifexists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    let found = context.get(&condition.key);
    if operator == "null" {
        let Some(found) = found else {
            return unknown(&condition.key);
        };
        let is_absent = found.is_empty().to_string();
        return Truth::of(
            condition
                .values
                .iter()
                .any(|value| value.eq_ignore_ascii_case(&is_absent)),
        );
    }
    let Some(test) = Test::named(operator) else {
        return Truth::Unknown(format!(
            "the operator `{}` is not known",
            condition.operator
        ));
    };
    let Some(found) = found else {
        return unknown(&condition.key);
    };
    if found.is_empty() {
        return Truth::of(
            if_exists
                || quantity == Quantity::All
                || (quantity == Quantity::Single && test.negated),
        );
    }
    let mut wanted = Vec::with_capacity(condition.values.len());
    for value in &condition.values {
        if !knows_variables {
            wanted.push(value.clone());
            continue;
        }
        match with_variables(value, context) {
            Ok(Some(value)) => wanted.push(value),
            Ok(None) => {}
            Err(key) => return unknown(&key),
        }
    }
    let one = |value: &String| {
        let matched = wanted
            .iter()
            .map(|wanted| test.matches(value, wanted, knows_variables))
            .fold(Truth::No, Truth::or);
        if test.negated { matched.not() } else { matched }
    };
    match quantity {
        Quantity::Any => found.iter().map(one).fold(Truth::No, Truth::or),
        Quantity::Single | Quantity::All => found.iter().map(one).fold(Truth::Yes, Truth::and),
    }
}

#[derive(Clone, Copy)]
struct Test {
    kind: Kind,
    negated: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    TextAnyCase,
    Like,
    Arn,
    Ip,
    Bool,
    Number(Compare),
    Date(Compare),
}

#[derive(Clone, Copy)]
enum Compare {
    Equals,
    Less,
    LessOrEquals,
    Greater,
    GreaterOrEquals,
}

impl Test {
    /// Source: IAM user guide, "IAM JSON policy elements: Condition operators".
    fn named(operator: &str) -> Option<Self> {
        let compare = |rest: &str| {
            Some(match rest {
                "equals" | "notequals" => Compare::Equals,
                "lessthan" => Compare::Less,
                "lessthanequals" => Compare::LessOrEquals,
                "greaterthan" => Compare::Greater,
                "greaterthanequals" => Compare::GreaterOrEquals,
                _ => return None,
            })
        };
        let kind = match operator {
            "stringequals" | "stringnotequals" | "binaryequals" => Kind::Text,
            "stringequalsignorecase" | "stringnotequalsignorecase" => Kind::TextAnyCase,
            "stringlike" | "stringnotlike" => Kind::Like,
            "arnequals" | "arnlike" | "arnnotequals" | "arnnotlike" => Kind::Arn,
            "ipaddress" | "notipaddress" => Kind::Ip,
            "bool" => Kind::Bool,
            _ => {
                if let Some(rest) = operator.strip_prefix("numeric") {
                    Kind::Number(compare(rest)?)
                } else {
                    Kind::Date(compare(operator.strip_prefix("date")?)?)
                }
            }
        };
        Some(Self {
            kind,
            negated: operator.contains("not"),
        })
    }

    fn matches(self, value: &str, wanted: &str, knows_variables: bool) -> Truth {
        let pattern = |text: &str| {
            if knows_variables {
                Pattern::new(text)
            } else {
                Pattern::without_escapes(text)
            }
        };
        // An escape of a comparison without wildcards stands for its character.
        let plain = || {
            wanted
                .replace("${*}", "*")
                .replace("${?}", "?")
                .replace("${$}", "$")
        };
        match self.kind {
            Kind::Text if knows_variables => Truth::of(value == plain()),
            Kind::Text => Truth::of(value == wanted),
            Kind::TextAnyCase => Truth::of(value.eq_ignore_ascii_case(&plain())),
            Kind::Bool => Truth::of(value.eq_ignore_ascii_case(wanted)),
            Kind::Like => Truth::of(pattern(wanted).matches(value)),
            Kind::Arn => Truth::of(arn_matches(wanted, value, pattern)),
            Kind::Ip => ip_matches(wanted, value),
            Kind::Number(compare) => match (value.parse::<f64>(), wanted.parse::<f64>()) {
                (Ok(value), Ok(wanted)) => Truth::of(compare.holds(value.partial_cmp(&wanted))),
                _ => Truth::No,
            },
            Kind::Date(compare) => match (instant(value), instant(wanted)) {
                (Some(value), Some(wanted)) => Truth::of(compare.holds(Some(value.cmp(&wanted)))),
                _ => Truth::No,
            },
        }
    }
}

impl Compare {
    fn holds(self, order: Option<std::cmp::Ordering>) -> bool {
        let Some(order) = order else { return false };
        match self {
            Self::Equals => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEquals => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEquals => order.is_ge(),
        }
    }
}

/// ARNs match part by part, so that a `*` does not reach over a colon before the resource.
fn arn_matches(wanted: &str, value: &str, pattern: impl Fn(&str) -> Pattern) -> bool {
    let wanted: Vec<&str> = wanted.splitn(6, ':').collect();
    let value: Vec<&str> = value.splitn(6, ':').collect();
    if wanted == ["*"] {
        return true;
    }
    wanted.len() == 6
        && value.len() == 6
        && wanted
            .iter()
            .zip(&value)
            .all(|(wanted, value)| pattern(wanted).matches(value))
}

fn ip_matches(wanted: &str, value: &str) -> Truth {
    let Ok(address) = value.parse::<IpAddr>() else {
        return Truth::Unknown(format!("the source address is recorded as `{value}`"));
    };
    let (network, length) = match wanted.split_once('/') {
        Some((network, length)) => (network, length.parse::<u32>().ok()),
        None => (wanted, Some(u32::MAX)),
    };
    let (Ok(network), Some(length)) = (network.parse::<IpAddr>(), length) else {
        return Truth::No;
    };
    let same = |a: u128, b: u128, bits: u32| {
        let length = length.min(bits);
        length == 0 || (a ^ b) >> (bits - length) == 0
    };
    Truth::of(match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(u32::from(a).into(), u32::from(b).into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.into(), b.into(), 128),
        _ => false,
    })
}

/// ISO 8601 with or without time, or seconds since 1970.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(seconds) = text.parse::<i64>() {
        return DateTime::from_timestamp(seconds, 0);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.with_timezone(&Utc));
    }
    let date = text.parse::<chrono::NaiveDate>().ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        let mut context = Context::default();
        context.set("aws:SourceIp", "203.0.113.7");
        context.set("aws:username", "alice");
        context.set("aws:PrincipalArn", "arn:aws:iam::111122223333:role/app/x");
        context.set("aws:CurrentTime", "2026-03-01T10:00:00Z");
        context.set("s3:max-keys", "10");
        context.set("aws:SecureTransport", "true");
        context.set_absent("aws:MultiFactorAuthPresent");
        context
            .keys
            .insert("aws:tagkeys".into(), vec!["a".into(), "b".into()]);
        context
    }

    fn told(operator: &str, key: &str, values: &[&str]) -> Option<bool> {
        let condition = Condition {
            operator: operator.into(),
            key: key.into(),
            values: values.iter().map(|&value| value.into()).collect(),
        };
        match all_hold(&[condition], &context(), true) {
            Truth::Yes => Some(true),
            Truth::No => Some(false),
            Truth::Unknown(_) => None,
        }
    }

    #[test]
    fn operators_do_what_the_guide_says() {
        let yes = Some(true);
        let no = Some(false);
        for (operator, key, values, expected) in [
            ("StringEquals", "aws:UserName", &["bob", "alice"][..], yes),
            ("StringNotEquals", "aws:username", &["bob", "alice"], no),
            ("StringNotEquals", "aws:username", &["bob", "carol"], yes),
            ("StringEqualsIgnoreCase", "aws:username", &["ALICE"], yes),
            ("StringLike", "aws:username", &["al*"], yes),
            ("StringEquals", "aws:username", &["al*"], no),
            ("StringLike", "aws:username", &["${aws:username}"], yes),
            ("StringNotLike", "aws:username", &["b*"], yes),
            ("IpAddress", "aws:SourceIp", &["203.0.113.0/24"], yes),
            (
                "IpAddress",
                "aws:SourceIp",
                &["203.0.114.0/24", "10.0.0.0/8"],
                no,
            ),
            ("NotIpAddress", "aws:SourceIp", &["203.0.113.7"], no),
            ("IpAddress", "aws:SourceIp", &["0.0.0.0/0"], yes),
            ("IpAddress", "aws:SourceIp", &["::/0"], no),
            (
                "ArnLike",
                "aws:PrincipalArn",
                &["arn:aws:iam::*:role/app/*"],
                yes,
            ),
            (
                "ArnEquals",
                "aws:PrincipalArn",
                &["arn:aws:iam::*:user/*"],
                no,
            ),
            (
                "DateGreaterThan",
                "aws:CurrentTime",
                &["2026-01-01T00:00:00Z"],
                yes,
            ),
            ("DateLessThan", "aws:CurrentTime", &["2026-01-01"], no),
            ("NumericLessThanEquals", "s3:max-keys", &["10"], yes),
            ("NumericGreaterThan", "s3:max-keys", &["10"], no),
            ("Bool", "aws:SecureTransport", &["TRUE"], yes),
            ("Bool", "aws:MultiFactorAuthPresent", &["true"], no),
            ("BoolIfExists", "aws:MultiFactorAuthPresent", &["true"], yes),
            (
                "StringNotEquals",
                "aws:MultiFactorAuthPresent",
                &["true"],
                yes,
            ),
            ("Null", "aws:MultiFactorAuthPresent", &["true"], yes),
            ("Null", "aws:username", &["true"], no),
            (
                "ForAllValues:StringEquals",
                "aws:TagKeys",
                &["a", "b", "c"],
                yes,
            ),
            ("ForAllValues:StringEquals", "aws:TagKeys", &["a"], no),
            ("ForAnyValue:StringEquals", "aws:TagKeys", &["b"], yes),
            (
                "ForAnyValue:StringEquals",
                "aws:MultiFactorAuthPresent",
                &["b"],
                no,
            ),
            (
                "ForAllValues:StringEquals",
                "aws:MultiFactorAuthPresent",
                &["b"],
                yes,
            ),
            ("StringEquals", "aws:PrincipalTag/team", &["x"], None),
            (
                "StringLike",
                "aws:username",
                &["${aws:PrincipalTag/team}"],
                None,
            ),
            ("StringSomething", "aws:username", &["x"], None),
            ("ForSome:StringEquals", "aws:username", &["x"], None),
        ] {
            assert_eq!(
                told(operator, key, values),
                expected,
                "{operator} {key} {values:?}"
            );
        }
    }

    #[test]
    fn a_service_in_place_of_an_address_is_not_decided() {
        let mut context = Context::default();
        context.set("aws:SourceIp", "cloudformation.amazonaws.com");
        let condition = Condition {
            operator: "NotIpAddress".into(),
            key: "aws:SourceIp".into(),
            values: vec!["10.0.0.0/8".into()],
        };
        assert!(matches!(
            all_hold(&[condition], &context, true),
            Truth::Unknown(_)
        ));
    }

    #[test]
    fn variables_take_their_default_and_never_become_wildcards() {
        let mut context = context();
        context.set("aws:odd", "a*b");
        let of = |text: &str| with_variables(text, &context);
        assert_eq!(of("x/${aws:username}/*").unwrap().unwrap(), "x/alice/*");
        assert_eq!(of("${aws:odd}").unwrap().unwrap(), "a${*}b");
        assert_eq!(
            of("${aws:MultiFactorAuthPresent, 'no'}").unwrap().unwrap(),
            "no"
        );
        assert_eq!(of("${aws:MultiFactorAuthPresent}").unwrap(), None);
        assert_eq!(of("${aws:other}").unwrap_err(), "aws:other");
        assert_eq!(of("${*}${").unwrap().unwrap(), "${*}${");
    }
}
