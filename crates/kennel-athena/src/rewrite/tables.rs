//! Table functions of Athena: `TABLE(sequence(…))` is an `UNNEST`.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Spanned, TableAlias,
    TableAliasColumnDef, TableFactor,
};

use super::build::{call, number};
use crate::ParseError;

pub(super) fn function(factor: &mut TableFactor) -> Result<(), ParseError> {
    match factor {
        TableFactor::TableFunction { expr, alias } => {
            let sequence = match expr {
                Expr::Function(function) => sequence(function),
                _ => None,
            };
            let Some(sequence) = sequence else {
                let message = "the only table function here is `sequence`";
                return Err(ParseError::at(expr.span(), message));
            };
            *factor = unnested(sequence, alias.take());
            Ok(())
        }
        _ => Ok(()),
    }
}

/// `sequence(start, stop, step)`, by place or by name.
fn sequence(function: &Function) -> Option<Expr> {
    if !function.name.to_string().eq_ignore_ascii_case("sequence") {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let mut args: [Option<Expr>; 3] = [const { None }; 3];
    for (place, arg) in list.args.iter().enumerate() {
        let (place, value) = match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => (place, value),
            FunctionArg::Named {
                name,
                arg: FunctionArgExpr::Expr(value),
                ..
            } => {
                let names = ["start", "stop", "step"];
                let mut names = names.iter();
                let place = names.position(|known| name.value.eq_ignore_ascii_case(known))?;
                (place, value)
            }
            _ => return None,
        };
        *args.get_mut(place)? = Some(value.clone());
    }
    let [start, stop, step] = args;
    let start = start.unwrap_or_else(|| number("0"));
    let given = [Some(start), Some(stop?), step];
    Some(call("sequence", given.into_iter().flatten().collect()))
}

fn unnested(array: Expr, alias: Option<TableAlias>) -> TableFactor {
    let mut alias = alias.unwrap_or_else(|| TableAlias {
        explicit: true,
        name: Ident::new("__sequence"),
        columns: vec![],
        at: None,
    });
    if alias.columns.is_empty() {
        alias.columns.push(TableAliasColumnDef {
            name: Ident::new("sequential_number"),
            data_type: None,
        });
    }
    TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs: vec![array],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    }
}
