//! Expressions: casts, literals, paths, and the functions that are another form of syntax.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, CastKind, CharacterLength, DataType, ExactNumberInfo, Expr, Ident, Spanned,
    Subscript, TimezoneInfo, TypedString,
};

use super::{
    Rewriter,
    build::{call, null, number, plain_cast, text},
    functions, intervals, lengths, like, literals, precision, rows, scalars, zones,
};
use crate::{ParseError, functions::text_to_time};

impl Rewriter {
    pub(super) fn rewrite_expr(&self, expr: &mut Expr) -> Result<(), ParseError> {
        match expr {
            Expr::Identifier(ident) => self.rename_parameter(ident),
            Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } => {
                self.rewrite_path(expr);
            }
            Expr::Cast { .. } => rewrite_cast(expr),
            Expr::Value(_) | Expr::UnaryOp { .. } => return literals::number(expr),
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
            Expr::InList { .. } => rows::in_list(expr),
            Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) => rows::distinct(expr),
            Expr::InSubquery { expr, subquery, .. } => rows::in_subquery(expr, subquery),
            Expr::Substring { .. } | Expr::Trim { .. } => lengths::fill(expr),
            Expr::Function(_) => {
                scalars::rewrite(expr);
                functions::rewrite(expr)?;
                lengths::fill(expr);
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
fn rewrite_cast(expr: &mut Expr) {
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
    *expr = zones::at(cast_call(name, inner, data_type), zone);
}

pub(super) fn cast_call(name: &str, inner: Expr, data_type: &DataType) -> Expr {
    let is_text = matches!(
        data_type,
        DataType::Varchar(_) | DataType::CharacterVarying(_) | DataType::Char(_)
    );
    let written = is_text.then(|| precision::written(&inner)).flatten();
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
            let zone = if read.zone.is_some() {
                TimezoneInfo::WithTimeZone
            } else {
                TimezoneInfo::None
            };
            let data_type = DataType::Timestamp(Some(u64::from(read.digits)), zone);
            let cast = cast_call("__cast", text(&written), &data_type);
            *expr = zones::at(cast, read.zone);
        }
        DataType::Time(None, TimezoneInfo::None) => {
            let Some((_, digits)) = text_to_time::read_time(&written) else {
                let message = format!(
                    "`{written}` is not a time; times with time zone are not supported, timestamps are"
                );
                return Err(ParseError::at(span, message));
            };
            let data_type = DataType::Time(Some(u64::from(digits)), TimezoneInfo::None);
            *expr = cast_call("__cast", text(&written), &data_type);
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
