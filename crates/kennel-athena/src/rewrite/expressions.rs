//! Expressions: casts, literals, paths, and the functions that are another form of syntax.

use datafusion::sql::sqlparser::{
    ast::{
        AccessExpr, CastKind, CharacterLength, DataType, ExactNumberInfo, Expr, Ident, ObjectName,
        Spanned, Subscript, TimezoneInfo, TypedString,
    },
    tokenizer::Span,
};

use super::{
    Rewriter,
    build::{call, null, number, plain_cast, text},
    chars,
    columns::Column,
    forms, frames, functions, intervals, like, literals, precision, rows, scalars, zones,
};
use crate::{
    ParseError,
    functions::{
        text_to_time::{self, Written},
        zone::Zone,
    },
    types::{FINE_TYPE, fine::MOST_DIGITS},
};

impl Rewriter {
    pub(super) fn rewrite_expr(&self, expr: &mut Expr) -> Result<(), ParseError> {
        match expr {
            Expr::Identifier(ident) => self.rename_parameter(ident),
            Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } => {
                self.rewrite_path(expr);
            }
            Expr::Cast { .. } => rewrite_cast(expr, self.columns()),
            Expr::Value(_) | Expr::UnaryOp { .. } => {
                intervals::negate(expr);
                return literals::number(expr);
            }
            Expr::TypedString(_) => return rewrite_literal(expr),
            Expr::Interval(_) => return intervals::rewrite(expr),
            Expr::Like { .. } => return like::rewrite(expr),
            Expr::AtTimeZone { .. } => zones::at_time_zone(expr),
            Expr::Extract { expr, .. } => {
                let moment = std::mem::replace(expr.as_mut(), null());
                **expr = zones::local(moment);
            }
            // DataFusion plans the literal's elements without the lambda's parameters.
            Expr::Array(array) => *expr = call("__array", std::mem::take(&mut array.elem)),
            Expr::Tuple(items) => *expr = call("struct", std::mem::take(items)),
            Expr::InList { .. } => {
                chars::rewrite(expr, self.columns());
                rows::in_list(expr);
            }
            Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) => {
                chars::rewrite(expr, self.columns());
                rows::distinct(expr);
            }
            Expr::BinaryOp { .. } | Expr::Between { .. } | Expr::Case { .. } => {
                chars::rewrite(expr, self.columns());
            }
            Expr::Substring { .. } | Expr::Trim { .. } | Expr::Ceil { .. } | Expr::Floor { .. } => {
                return forms::check(expr);
            }
            Expr::InSubquery { expr, subquery, .. } => return rows::in_subquery(expr, subquery),
            Expr::Subquery(query) => return rows::scalar(query),
            Expr::Function(function) => {
                let has_window = function.over.is_some();
                scalars::rewrite(expr, self.columns());
                functions::rewrite(expr)?;
                if has_window {
                    frames::rewrite(expr);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The name that a lambda's parameter has now.
    fn rename_parameter(&self, ident: &mut Ident) {
        if let Some(unique) = self.parameter(&ident.value.to_lowercase()) {
            *ident = Ident::with_quote_and_span('"', ident.span, unique);
        }
    }

    /// Writes fields as subscripts where DataFusion does not take them after a point: after a
    /// subscript or a call, of a lambda's parameter, and of a column of an outer select.
    fn rewrite_path(&self, expr: &mut Expr) {
        let (mut idents, chain) = match expr {
            Expr::CompoundIdentifier(parts) => (std::mem::take(parts), vec![]),
            Expr::CompoundFieldAccess { root, access_chain } => {
                let mut chain = std::mem::take(access_chain);
                let Expr::Identifier(first) = root.as_ref() else {
                    chain.iter_mut().for_each(subscript);
                    *access_chain = chain;
                    return;
                };
                let mut idents = vec![first.clone()];
                let points = chain
                    .iter()
                    .take_while(|access| matches!(access, AccessExpr::Dot(Expr::Identifier(_))))
                    .count();
                idents.extend(chain.drain(..points).filter_map(|access| match access {
                    AccessExpr::Dot(Expr::Identifier(ident)) => Some(ident),
                    _ => None,
                }));
                (idents, chain)
            }
            _ => return,
        };
        let first = idents
            .first()
            .map(|ident| ident.value.to_lowercase())
            .unwrap_or_default();
        let is_parameter = self.parameter(&first).is_some();
        if let (true, Some(ident)) = (is_parameter, idents.first_mut()) {
            self.rename_parameter(ident);
        }
        let kept = if is_parameter || self.is_column(&first) {
            1
        } else if self.is_outer(&first) {
            2.min(idents.len())
        } else {
            idents.len()
        };
        let fields = idents.split_off(kept);
        let mut chain: Vec<_> = fields
            .into_iter()
            .map(|ident| AccessExpr::Dot(Expr::Identifier(ident)))
            .chain(chain)
            .collect();
        chain.iter_mut().for_each(subscript);
        let is_path = idents.len() > 1;
        if chain.is_empty() {
            *expr = match idents.pop() {
                Some(ident) if !is_path => Expr::Identifier(ident),
                Some(ident) => {
                    idents.push(ident);
                    Expr::CompoundIdentifier(idents)
                }
                None => return,
            };
            return;
        }
        let root = if is_path {
            Expr::CompoundIdentifier(idents)
        } else {
            idents.pop().map_or_else(null, Expr::Identifier)
        };
        *expr = Expr::CompoundFieldAccess {
            root: Box::new(root),
            access_chain: chain,
        };
    }
}

/// `.field` as `['field']`.
fn subscript(access: &mut AccessExpr) {
    if let AccessExpr::Dot(Expr::Identifier(ident)) = access {
        *access = AccessExpr::Subscript(Subscript::Index {
            index: text(&ident.value.to_lowercase()),
        });
    } else if let AccessExpr::Subscript(Subscript::Index { index }) = access {
        literals::plain(index);
    }
}

/// `CAST(x AS t)` as `__cast(x, CAST(NULL AS t))`, whose meaning is Trino's and which becomes a plain
/// cast again where both mean the same.
fn rewrite_cast(expr: &mut Expr, columns: &[Column]) {
    let Expr::Cast {
        kind,
        expr: inner,
        data_type,
        ..
    } = expr
    else {
        return;
    };
    let name = match kind {
        CastKind::TryCast | CastKind::SafeCast => "__try_cast",
        CastKind::Cast | CastKind::DoubleColon => "__cast",
    };
    let inner = std::mem::replace(inner.as_mut(), null());
    let zone = zones::of_cast(&inner, data_type);
    *expr = zones::at(cast_of(name, inner, data_type, columns), zone);
}

/// A cast of a value of which no column is a part.
pub(super) fn cast_call(name: &str, inner: Expr, data_type: &DataType) -> Expr {
    cast_of(name, inner, data_type, &[])
}

fn cast_of(name: &str, inner: Expr, data_type: &DataType, columns: &[Column]) -> Expr {
    let is_text = matches!(
        data_type,
        DataType::Varchar(_) | DataType::CharacterVarying(_) | DataType::Char(_)
    );
    let shows_digits = is_text || *data_type == DataType::JSON;
    let written = shows_digits
        .then(|| precision::written(&inner, columns))
        .flatten();
    let inner = if is_text {
        zones::shown(inner)
    } else {
        zones::local(inner)
    };
    let length = match data_type {
        DataType::Varchar(Some(length)) | DataType::CharacterVarying(Some(length)) => {
            integer_length(length)
        }
        // A negative length stands for `char(n)`, which fills up with blanks.
        DataType::Char(Some(length)) | DataType::Character(Some(length)) => {
            integer_length(length).map(|length| format!("-{length}"))
        }
        DataType::Char(None) | DataType::Character(None) => Some("-1".into()),
        other => precision::between_units(other).map(|digits| digits.to_string()),
    };
    let mut args = vec![inner, plain_cast(null(), data_type.clone())];
    match (length, written) {
        (None, None) => {}
        (Some(length), None) => args.push(number(&length)),
        (length, Some(digits)) => {
            args.push(length.map_or_else(null, |length| number(&length)));
            args.push(number(&digits.to_string()));
        }
    }
    call(name, args)
}

fn integer_length(length: &CharacterLength) -> Option<String> {
    match length {
        CharacterLength::IntegerLength { length, .. } => Some(length.to_string()),
        CharacterLength::Max => None,
    }
}

fn check_digits(digits: u8, span: Span) -> Result<(), ParseError> {
    if digits <= MOST_DIGITS {
        return Ok(());
    }
    let message = format!("a second has at most {MOST_DIGITS} digits, not {digits}");
    Err(ParseError::at(span, message))
}

/// The type of a literal; nanoseconds of other centuries are no type of Arrow's.
fn timestamp_type(read: &Written) -> DataType {
    let is_beyond = (7..=9).contains(&read.digits)
        && read
            .utc()
            .is_none_or(|utc| utc.and_utc().timestamp_nanos_opt().is_none());
    if is_beyond {
        let mut modifiers = vec![read.digits.to_string()];
        modifiers.extend(read.zone.map(Zone::arrow));
        let name = ObjectName::from(vec![Ident::new(FINE_TYPE)]);
        return DataType::Custom(name, modifiers);
    }
    let zone = match read.zone {
        Some(_) => TimezoneInfo::WithTimeZone,
        None => TimezoneInfo::None,
    };
    DataType::Timestamp(Some(u64::from(read.digits)), zone)
}

/// Typed literals whose text DataFusion would read otherwise.
fn rewrite_literal(expr: &mut Expr) -> Result<(), ParseError> {
    let span = expr.span();
    let Expr::TypedString(TypedString {
        data_type, value, ..
    }) = expr
    else {
        return Ok(());
    };
    let Some(written) = value.clone().into_string() else {
        return Ok(());
    };
    match data_type {
        DataType::JSON => *expr = call("json_parse", vec![text(&written)]),
        DataType::Timestamp(None, _) => {
            let Some(read) = text_to_time::read(&written) else {
                let message = format!("`{written}` is not a timestamp");
                return Err(ParseError::at(span, message));
            };
            check_digits(read.digits, span)?;
            let data_type = timestamp_type(&read);
            let cast = cast_call("__cast", text(&written), &data_type);
            *expr = zones::at(cast, read.zone);
        }
        DataType::Time(None, TimezoneInfo::None) => {
            let Some(clock) = text_to_time::read_time(&written) else {
                let message = format!("`{written}` is not a time");
                return Err(ParseError::at(span, message));
            };
            check_digits(clock.digits, span)?;
            let zone = match clock.offset {
                Some(_) => TimezoneInfo::WithTimeZone,
                None => TimezoneInfo::None,
            };
            let data_type = DataType::Time(Some(u64::from(clock.digits)), zone);
            *expr = cast_call("__cast", text(&written), &data_type);
        }
        DataType::Char(None) => {
            let length = u64::try_from(written.chars().count()).unwrap_or(u64::MAX);
            let length = CharacterLength::IntegerLength { length, unit: None };
            *expr = cast_call("__cast", text(&written), &DataType::Char(Some(length)));
        }
        DataType::Date | DataType::Uuid | DataType::Custom(..) | DataType::Boolean => {
            let data_type = data_type.clone();
            *expr = cast_call("__cast", text(&written), &data_type);
        }
        DataType::Decimal(ExactNumberInfo::None) => {
            let Some(precision) = literals::precision_of_all(&written) else {
                let message = format!("`{written}` is not a decimal of 1 to 38 digits");
                return Err(ParseError::at(span, message));
            };
            *expr = cast_call("__cast", text(&written), &DataType::Decimal(precision));
        }
        _ => {}
    }
    Ok(())
}
