//! What a query says of the results of functions of lambdas: that of the lambda's body, whose parameters are
//! parts of the other arguments.

use datafusion::sql::sqlparser::ast::{Expr, LambdaFunction, OneOrManyWithParens};

use super::{
    columns::{self, Column},
    lengths::{UNKNOWN, array, element, entries, part},
};

/// What is said of the result of a call, as [`lengths`](super::lengths) says it.
pub(super) fn of_call(name: &str, args: &[&Expr], columns: &[Column]) -> Option<String> {
    let said = |expr: &Expr| part(expr, columns);
    let element_of = |expr: &Expr| element(&said(expr)).unwrap_or(UNKNOWN).to_owned();
    match (name, args) {
        ("__try", [Expr::Lambda(lambda), ..]) => Some(body(lambda, &[], columns)),
        ("transform", [list, Expr::Lambda(lambda)]) => {
            Some(array(body(lambda, &[&element_of(list)], columns)))
        }
        ("zip_with", [one, other, Expr::Lambda(lambda)]) => {
            let parameters = [element_of(one), element_of(other)];
            let parameters = parameters.each_ref().map(String::as_str);
            Some(array(body(lambda, &parameters, columns)))
        }
        ("transform_keys" | "transform_values", [map, Expr::Lambda(lambda)]) => {
            let map = said(map);
            let (key, value) = entries(&map).unwrap_or((UNKNOWN, UNKNOWN));
            let body = body(lambda, &[key, value], columns);
            Some(match name {
                "transform_keys" => format!("map({body}, {value})"),
                _ => format!("map({key}, {body})"),
            })
        }
        ("map_zip_with", [one, other, Expr::Lambda(lambda)]) => {
            let (one, other) = (said(one), said(other));
            let (key, first) = entries(&one).unwrap_or((UNKNOWN, UNKNOWN));
            let second = entries(&other).map_or(UNKNOWN, |(_, second)| second);
            let body = body(lambda, &[key, first, second], columns);
            Some(format!("map({key}, {body})"))
        }
        _ => None,
    }
}

/// What is said of a lambda's result where this is said of its parameters.
fn body(lambda: &LambdaFunction, said: &[&str], columns: &[Column]) -> String {
    let parameters = match &lambda.params {
        OneOrManyWithParens::One(parameter) => std::slice::from_ref(parameter),
        OneOrManyWithParens::Many(parameters) => parameters.as_slice(),
    };
    let parameters = parameters.iter().zip(said);
    let known: Vec<_> = parameters
        .map(|(parameter, said)| columns::parameter(&parameter.name.value, said))
        .chain(columns.iter().cloned())
        .collect();
    part(&lambda.body, &known)
}
