//! `EXPLAIN FORMAT …`, whose words DataFusion does not read from a statement of sqlparser's.

use datafusion::{
    common::format::ExplainFormat,
    logical_expr::LogicalPlan,
    sql::sqlparser::ast::{AnalyzeFormat, AnalyzeFormatKind, Statement},
};

/// Takes the format out of a statement.
pub(crate) fn take_format(statement: &mut Statement) -> Option<ExplainFormat> {
    let Statement::Explain { format, .. } = statement else {
        return None;
    };
    let (AnalyzeFormatKind::Keyword(named) | AnalyzeFormatKind::Assignment(named)) =
        format.take()?;
    match named {
        AnalyzeFormat::JSON => Some(ExplainFormat::PostgresJSON),
        AnalyzeFormat::GRAPHVIZ => Some(ExplainFormat::Graphviz),
        AnalyzeFormat::TREE => Some(ExplainFormat::Tree),
        AnalyzeFormat::TEXT | AnalyzeFormat::TRADITIONAL => None,
    }
}

/// The plan in the format that was asked for; what `ANALYZE` measures is text always.
pub(crate) fn in_format(mut plan: LogicalPlan, format: Option<ExplainFormat>) -> LogicalPlan {
    if let (LogicalPlan::Explain(explain), Some(format)) = (&mut plan, format) {
        explain.explain_format = format;
    }
    plan
}
