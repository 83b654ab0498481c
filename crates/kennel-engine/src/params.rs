//! Parameters: text from people, typed by the query, bound as literals into the parsed statement.
//!
//! A parameter never becomes part of SQL text: `$name` is replaced in the syntax tree by a typed
//! literal (a typed null when absent), so that functions and `coalesce` know its type while planning.

use std::{collections::BTreeMap, ops::ControlFlow};

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, DataType as SqlType, Expr, Statement, TimezoneInfo, Value,
    visit_expressions_mut,
};
use kennel_athena::{call, plain_cast};

use crate::{CannedQuery, EngineError, ParamType, error::nearest};

/// Parameters as given: name and text. Their types are the query's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParamValues(pub BTreeMap<String, String>);

/// A typed value, or a typed null.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bound {
    param_type: ParamType,
    values: Option<Vec<String>>,
}

impl Bound {
    pub(crate) fn instant(at: Option<DateTime<Utc>>) -> Self {
        Self {
            param_type: ParamType::Timestamp,
            values: at.map(|at| vec![sql_instant(at)]),
        }
    }

    pub(crate) fn text(text: &str) -> Self {
        Self {
            param_type: ParamType::Text,
            values: Some(vec![text.into()]),
        }
    }

    pub(crate) fn optional_text(text: Option<&str>) -> Self {
        Self {
            param_type: ParamType::Text,
            values: text.map(|text| vec![text.into()]),
        }
    }

    /// Its type, and the texts of its value; `None` is null.
    pub(crate) fn parts(&self) -> (ParamType, Option<&[String]>) {
        (self.param_type, self.values.as_deref())
    }

    fn try_new(name: &str, param_type: ParamType, text: &str) -> Result<Self, EngineError> {
        let wrong = |expected: &str| EngineError::Param {
            message: format!("parameter `{name}`: `{text}` is not {expected}"),
            suggestion: None,
        };
        let value = match param_type {
            ParamType::Text => text.to_owned(),
            ParamType::Integer => text
                .trim()
                .parse::<i64>()
                .map_err(|_| wrong("a whole number"))?
                .to_string(),
            ParamType::Number => {
                let number = text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
                number.ok_or_else(|| wrong("a number"))?.to_string()
            }
            ParamType::Boolean => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => "true".into(),
                "false" | "no" | "0" => "false".into(),
                _ => return Err(wrong("true or false")),
            },
            ParamType::Timestamp => sql_instant(
                parse_instant(text)
                    .ok_or_else(|| wrong("a time such as 2026-03-01 or 2026-03-01T04:10Z"))?,
            ),
            ParamType::TextList => {
                let items = text
                    .split(',')
                    .map(|item| item.trim().to_owned())
                    .filter(|item| !item.is_empty());
                return Ok(Self {
                    param_type,
                    values: Some(items.collect()),
                });
            }
        };
        Ok(Self {
            param_type,
            values: Some(vec![value]),
        })
    }

    fn into_expr(self) -> Expr {
        let sql_type = match self.param_type {
            ParamType::Text => SqlType::Varchar(None),
            ParamType::Integer => SqlType::BigInt(None),
            ParamType::Number => {
                SqlType::Double(datafusion::sql::sqlparser::ast::ExactNumberInfo::None)
            }
            ParamType::Boolean => SqlType::Boolean,
            // Microseconds, as the tables have: DataFusion's plain TIMESTAMP is in nanoseconds.
            ParamType::Timestamp => SqlType::Timestamp(Some(6), TimezoneInfo::None),
            ParamType::TextList => SqlType::Array(ArrayElemTypeDef::AngleBracket(Box::new(
                SqlType::Varchar(None),
            ))),
        };
        let Some(values) = self.values else {
            return plain_cast(Expr::value(Value::Null), sql_type);
        };
        if self.param_type == ParamType::TextList {
            let items = values
                .into_iter()
                .map(|text| Expr::value(Value::SingleQuotedString(text)))
                .collect();
            return plain_cast(call("make_array", items), sql_type);
        }
        let text = values.into_iter().next().unwrap_or_default();
        plain_cast(Expr::value(Value::SingleQuotedString(text)), sql_type)
    }
}

fn sql_instant(at: DateTime<Utc>) -> String {
    at.naive_utc().format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

/// Reads a time as people write it; what has no offset is UTC.
///
/// `2026-03-01`, `2026-03-01T04:10`, `2026-03-01 04:10:05.5`, with `Z` or an offset.
pub(crate) fn parse_instant(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    for form in [
        "%Y-%m-%d %H:%M:%S%.f%#z",
        "%Y-%m-%dT%H:%M%#z",
        "%Y-%m-%d %H:%M%#z",
    ] {
        if let Ok(at) = DateTime::parse_from_str(text, form) {
            return Some(at.to_utc());
        }
    }
    let text = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    for form in [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ] {
        if let Ok(at) = NaiveDateTime::parse_from_str(text, form) {
            return Some(at.and_utc());
        }
    }
    Some(
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()?
            .and_hms_opt(0, 0, 0)?
            .and_utc(),
    )
}

/// An instant as messages show it.
pub(crate) fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Types the parameters of a canned query: given, default, or null.
///
/// # Errors
/// [`EngineError::Param`] for one that is unknown, missing, or not of its type.
pub(crate) fn bind(
    query: &CannedQuery,
    given: &ParamValues,
    as_of: Option<DateTime<Utc>>,
) -> Result<BTreeMap<String, Bound>, EngineError> {
    let names = query
        .params
        .iter()
        .map(|param| param.name.clone())
        .collect::<Vec<_>>();
    if let Some(name) = given.0.keys().find(|name| !names.contains(name)) {
        return Err(EngineError::Param {
            message: format!("query `{}` has no parameter `{name}`", query.id),
            suggestion: nearest(name, &names)
                .or_else(|| Some(names.join(", ")).filter(|names| !names.is_empty())),
        });
    }
    let mut bound = BTreeMap::from([("as_of".to_owned(), Bound::instant(as_of))]);
    for param in &query.params {
        let text = given.0.get(&param.name).or(param.default.as_ref());
        let value = match text {
            Some(text) => Bound::try_new(&param.name, param.param_type, text)?,
            None if param.required => {
                return Err(EngineError::Param {
                    message: format!(
                        "query `{}` needs parameter `{}`: {}",
                        query.id, param.name, param.help
                    ),
                    suggestion: None,
                });
            }
            None => Bound {
                param_type: param.param_type,
                values: None,
            },
        };
        bound.insert(param.name.clone(), value);
    }
    Ok(bound)
}

/// Parameters of a user's own statement: texts, and the time as of which is asked.
pub(crate) fn bind_texts(
    values: &ParamValues,
    as_of: Option<DateTime<Utc>>,
) -> BTreeMap<String, Bound> {
    let mut bound = BTreeMap::from([("as_of".to_owned(), Bound::instant(as_of))]);
    let texts = values.0.iter();
    bound.extend(texts.map(|(name, text)| (name.to_lowercase(), Bound::text(text))));
    bound
}

/// Puts bound values in the place of `$name` (and `:name`).
///
/// # Errors
/// [`EngineError::Param`] names a parameter of the statement that has no value.
pub(crate) fn substitute(
    statement: &mut Statement,
    bound: &BTreeMap<String, Bound>,
) -> Result<(), EngineError> {
    let flow = visit_expressions_mut(statement, |expr| {
        let Expr::Value(value) = expr else {
            return ControlFlow::Continue(());
        };
        let Value::Placeholder(placeholder) = &value.value else {
            return ControlFlow::Continue(());
        };
        let name = placeholder.trim_start_matches(['$', ':']).to_lowercase();
        match bound.get(&name) {
            Some(value) => {
                *expr = Expr::Nested(Box::new(value.clone().into_expr()));
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(placeholder.clone()),
        }
    });
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(placeholder) => Err(EngineError::Param {
            message: format!("no value for parameter `{placeholder}`"),
            suggestion: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let expected = DateTime::parse_from_rfc3339("2026-03-01T04:10:00Z")
            .unwrap()
            .to_utc();
        for text in [
            "2026-03-01T04:10",
            "2026-03-01 04:10",
            "2026-03-01T04:10:00",
            "2026-03-01T04:10Z",
            "2026-03-01T05:10:00+01:00",
        ] {
            assert_eq!(parse_instant(text), Some(expected), "{text}");
        }
        assert!(parse_instant("2026-03-01").is_some());
        for text in ["", "s12", "03/01/2026", "2026-13-01", "now"] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named() {
        let error = |param_type, text| {
            Bound::try_new("days", param_type, text)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error(ParamType::Integer, "ninety"),
            "parameter `days`: `ninety` is not a whole number"
        );
        assert_eq!(
            error(ParamType::Number, "NaN"),
            "parameter `days`: `NaN` is not a number"
        );
        assert_eq!(
            error(ParamType::Boolean, "maybe"),
            "parameter `days`: `maybe` is not true or false"
        );
    }
}
