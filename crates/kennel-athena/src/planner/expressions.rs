//! Paths, subscripts and the operators that DataFusion would bind to its own functions.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field, Fields},
    common::{Column, DFSchema, ScalarValue, TableReference, plan_datafusion_err, plan_err},
    error::Result,
    logical_expr::{
        Cast, Expr, ExprSchemable, GetFieldAccess, ScalarUDF,
        expr::{ScalarFunction, WindowFunction, WindowFunctionParams},
        lit,
        planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr, RawWindowExpr},
    },
    sql::sqlparser::ast::BinaryOperator,
};

use super::operators;
use crate::functions;

/// Plans expressions with Athena's meanings.
#[derive(Debug)]
pub(crate) struct AthenaExpressions;

fn call(function: Arc<ScalarUDF>, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(function, args))
}

fn get_field(expr: Expr, name: &str) -> Expr {
    call(
        datafusion::functions::core::get_field(),
        vec![expr, lit(name)],
    )
}

/// The field of that name, whatever its letter case; an exact match wins.
fn find_field<'a>(fields: &'a Fields, name: &str) -> Result<&'a Field> {
    let named = |exactly: bool| {
        fields.iter().filter(move |field| match exactly {
            true => field.name() == name,
            false => field.name().eq_ignore_ascii_case(name),
        })
    };
    let exactly = named(true).count() > 0;
    match named(exactly).next() {
        Some(_) if named(exactly).count() > 1 => {
            plan_err!("Ambiguous row field reference: {name}")
        }
        Some(field) => Ok(field),
        None => {
            let known: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
            plan_err!("No field named '{name}'. Fields are: {}", known.join(", "))
        }
    }
}

/// The function for an operator over arrays, maps or rows.
fn nested_operator(
    op: &BinaryOperator,
    left: &DataType,
    right: &DataType,
) -> Option<Arc<ScalarUDF>> {
    let is_list = |given: &DataType| {
        matches!(
            given,
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
        )
    };
    let has_parts = |given: &DataType| {
        is_list(given) || matches!(given, DataType::Struct(_) | DataType::Map(..))
    };
    match op {
        BinaryOperator::StringConcat if is_list(left) || is_list(right) => {
            Some(functions::array_concatenation())
        }
        BinaryOperator::Eq
        | BinaryOperator::NotEq
        | BinaryOperator::Lt
        | BinaryOperator::LtEq
        | BinaryOperator::Gt
        | BinaryOperator::GtEq
            if has_parts(left) || has_parts(right) =>
        {
            functions::nested_comparison(&op.to_string())
        }
        _ => None,
    }
}

impl ExprPlanner for AthenaExpressions {
    fn plan_binary_op(
        &self,
        binary: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if let (Ok(left), Ok(right)) = (binary.left.get_type(schema), binary.right.get_type(schema))
            && let Some(function) = nested_operator(&binary.op, &left, &right)
        {
            let operands = vec![binary.left, binary.right];
            return Ok(PlannerResult::Planned(call(function, operands)));
        }
        operators::plan(binary, schema)
    }

    /// Ranks are bigints in Trino; frames and arguments that DataFusion does not take are for functions of ours.
    fn plan_window(&self, mut window: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        const RANKS: [&str; 4] = ["row_number", "rank", "dense_rank", "ntile"];
        let is_replaced = functions::windows::replace(&mut window)?;
        let is_rank = RANKS.contains(&window.func_def.name());
        if !is_replaced && !is_rank {
            return Ok(PlannerResult::Original(window));
        }
        let function = WindowFunction {
            fun: window.func_def,
            params: WindowFunctionParams {
                args: window.args,
                partition_by: window.partition_by,
                order_by: window.order_by,
                window_frame: window.window_frame,
                filter: window.filter,
                null_treatment: window.null_treatment,
                distinct: window.distinct,
            },
        };
        let function = Expr::WindowFunction(Box::new(function));
        Ok(PlannerResult::Planned(match is_rank {
            true => Expr::Cast(Cast::new(Box::new(function), DataType::Int64)),
            false => function,
        }))
    }

    /// `position(part IN text)`.
    fn plan_position(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call(functions::strpos(), args)))
    }

    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let data_type = access.expr.get_type(schema)?;
        let key = match &access.field_access {
            GetFieldAccess::NamedStructField { name } => Expr::Literal(name.clone(), None),
            GetFieldAccess::ListIndex { key } => key.as_ref().clone(),
            GetFieldAccess::ListRange { .. } => return Ok(PlannerResult::Original(access)),
        };
        let planned = match &data_type {
            DataType::Struct(fields) => row_field(access.expr, fields, &key)?,
            DataType::Map(..) => call(functions::map_subscript(), vec![access.expr, key]),
            DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::ListView(_)
            | DataType::LargeListView(_) => {
                call(functions::array_subscript(), vec![access.expr, key])
            }
            other => {
                return plan_err!(
                    "a subscript needs an array, a map or a row, not {}",
                    functions::type_name(other)
                );
            }
        };
        Ok(PlannerResult::Planned(planned))
    }

    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let mut expr = Expr::Column(Column::from((qualifier, field)));
        let mut data_type = field.data_type();
        for name in nested_names {
            let found = match data_type {
                DataType::Struct(fields) => find_field(fields, name),
                other => plan_err!("`.{name}` needs a row, not {}", functions::type_name(other)),
            };
            match found {
                Ok(field) => {
                    expr = get_field(expr, field.name());
                    data_type = field.data_type();
                }
                // An error from here would be swallowed: a function that has no type carries it.
                Err(error) => {
                    let message = error.strip_backtrace();
                    let message = message
                        .strip_prefix("Error during planning: ")
                        .unwrap_or(&message);
                    return Ok(PlannerResult::Planned(call(
                        functions::refused(message),
                        vec![],
                    )));
                }
            }
        }
        Ok(PlannerResult::Planned(expr))
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call(functions::substr(), args)))
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        let [Expr::Literal(ScalarValue::Utf8(Some(unit)), _), value] = args.as_slice() else {
            return Ok(PlannerResult::Original(args));
        };
        let unit = unit.trim_matches(['\'', '"']).to_lowercase();
        let function = functions::date_part(&unit)
            .ok_or_else(|| plan_datafusion_err!("EXTRACT knows no field `{unit}`"))?;
        Ok(PlannerResult::Planned(call(function, vec![value.clone()])))
    }
}

/// A field by its name, or by its number counted from 1.
fn row_field(expr: Expr, fields: &Fields, key: &Expr) -> Result<Expr> {
    let field = match key {
        Expr::Literal(ScalarValue::Utf8(Some(name)), _) => find_field(fields, name)?,
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => {
            let index = usize::try_from(*number)
                .ok()
                .and_then(|number| number.checked_sub(1));
            match index.and_then(|index| fields.get(index)) {
                Some(field) => field,
                None => return plan_err!("a row of {} fields has no field {number}", fields.len()),
            }
        }
        _ => return plan_err!("the subscript of a row must be a constant"),
    };
    Ok(get_field(expr, field.name()))
}
