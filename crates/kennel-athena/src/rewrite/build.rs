//! Pieces of syntax tree, made shortly.

use datafusion::sql::sqlparser::{
    ast::{
        CaseWhen, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
        FunctionArgumentList, FunctionArguments, Ident, LambdaFunction, LambdaFunctionParameter,
        LambdaSyntax, ObjectName, ObjectNamePart, OneOrManyWithParens, Spanned, Value,
        helpers::attached_token::AttachedToken,
    },
    tokenizer::Span,
};

pub(super) fn number(text: &str) -> Expr {
    Expr::value(Value::Number(text.into(), false))
}

/// A value that stands where `span` is.
pub(super) fn value_at(value: Value, span: Span) -> Expr {
    Expr::Value(value.with_span(span))
}

pub(super) fn text(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.into()))
}

pub(super) fn null() -> Expr {
    Expr::value(Value::Null)
}

/// `CAST(expr AS data_type)`.
pub fn plain_cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
    }
}

/// `name(args …)`.
pub fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args
        .into_iter()
        .map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)))
        .collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

/// `count(*)`.
pub(super) fn count_all() -> Expr {
    let mut count = call("count", vec![]);
    if let Expr::Function(function) = &mut count
        && let FunctionArguments::List(list) = &mut function.args
    {
        list.args
            .push(FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
    }
    count
}

pub(super) fn case(condition: Expr, result: Expr, else_result: Option<Expr>) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result }],
        else_result: else_result.map(Box::new),
    }
}

pub(super) fn lambda(parameter: Ident, body: Expr) -> Expr {
    Expr::Lambda(LambdaFunction {
        params: OneOrManyWithParens::One(LambdaFunctionParameter {
            name: parameter,
            data_type: None,
        }),
        body: Box::new(body),
        syntax: LambdaSyntax::Arrow,
    })
}

pub(super) fn lambdas(parameters: Vec<Ident>, body: Expr) -> Expr {
    let parameters = parameters.into_iter().map(|name| LambdaFunctionParameter {
        name,
        data_type: None,
    });
    Expr::Lambda(LambdaFunction {
        params: OneOrManyWithParens::Many(parameters.collect()),
        body: Box::new(body),
        syntax: LambdaSyntax::Arrow,
    })
}

/// The arguments of a call that has only plain ones.
pub(super) fn plain_args(function: &Function) -> Option<Vec<&Expr>> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    if list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
        return None;
    }
    list.args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect()
}

/// Is this an expression of a kind that becomes other ones, which have no place of their own?
pub(super) fn is_written_otherwise(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Array(_)
            | Expr::AtTimeZone { .. }
            | Expr::Cast { .. }
            | Expr::Function(_)
            | Expr::Interval(_)
            | Expr::Tuple(_)
            | Expr::TypedString(_)
            | Expr::UnaryOp { .. }
            | Expr::Value(_)
    )
}

/// Says where an expression stands that has no place: where that stood which it was made of.
pub(super) fn place(expr: &mut Expr, span: Span) {
    if expr.span() != Span::empty() {
        return;
    }
    match expr {
        Expr::Cast { expr, .. } | Expr::Nested(expr) => place(expr, span),
        Expr::Function(function) => {
            if let [ObjectNamePart::Identifier(name)] = function.name.0.as_mut_slice() {
                name.span = span;
            }
        }
        Expr::Value(value) => value.span = span,
        _ => {}
    }
}

/// An identifier that stands where `span` is.
pub(super) fn ident_at(name: &str, span: Span) -> Ident {
    Ident::with_span(span, name)
}

/// Calls another function, in the same place.
pub(super) fn rename(function: &mut Function, name: &str) {
    let span = function.name.span();
    function.name = ObjectName::from(vec![ident_at(name, span)]);
}
