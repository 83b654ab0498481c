//! Athena's hidden columns: `"$path"`, `"$file_size"`, `"$file_modified_time"`. They tell of the object that a row came
//! from, and are columns only of tables that a statement asks for them: elsewhere `*` would show them.
//!
//! A table with them has its own name and a mark, written into the syntax tree before planning.

use std::{
    collections::{BTreeSet, HashMap},
    ops::ControlFlow,
    sync::Arc,
};

use datafusion::{
    arrow::datatypes::{DataType, Field, FieldRef, TimeUnit},
    common::ScalarValue,
    error::Result as DataFusionResult,
    sql::sqlparser::ast::{
        ExcludeSelectItem, Expr, Ident, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart,
        Query, Select, SelectItem, SelectItemQualifiedWildcardKind, Statement, TableAlias,
        TableFactor, TableWithJoins, Visit, VisitMut, Visitor, VisitorMut,
        WildcardAdditionalOptions,
    },
};
use kennel_cache::Report;

use super::{Shared, external};

/// Stands between a table's name and which hidden columns it has.
const MARK: char = '@';
const WITH_PATH: &str = "path";
const WITH_ALL: &str = "file";

/// Which hidden columns a table shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hidden {
    /// None.
    No,
    /// `$path`.
    Path,
    /// All.
    All,
}

impl Hidden {
    pub(crate) const PATH: &str = "$path";
    pub(crate) const SIZE: &str = "$file_size";
    pub(crate) const MODIFIED: &str = "$file_modified_time";

    /// A table's name, and what it is marked with.
    pub(super) fn split(name: &str) -> (&str, Self) {
        match name.rsplit_once(MARK) {
            Some((name, WITH_PATH)) => (name, Self::Path),
            Some((name, WITH_ALL)) => (name, Self::All),
            _ => (name, Self::No),
        }
    }

    /// The columns as partition columns of files: `$path: Utf8, $file_size: Int64, $file_modified_time: Timestamp(µs, UTC)`.
    pub(super) fn fields(self) -> Vec<FieldRef> {
        let at = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let fields = [
            (Self::PATH, DataType::Utf8),
            (Self::SIZE, DataType::Int64),
            (Self::MODIFIED, at),
        ];
        let fields = fields.map(|(name, data_type)| Arc::new(Field::new(name, data_type, true)));
        let count = match self {
            Self::No => 0,
            Self::Path => 1,
            Self::All => 3,
        };
        fields.into_iter().take(count).collect()
    }
}

/// Takes the marks out of a message.
pub(crate) fn without_marks(message: &str) -> String {
    let mut plain = message.to_owned();
    for mark in [WITH_PATH, WITH_ALL] {
        plain = plain.replace(&format!("{MARK}{mark}"), "");
    }
    plain
}

/// Where reports came from, as far as hidden columns ask.
pub(crate) struct Origins {
    hidden: Hidden,
    roots: HashMap<String, String>,
    /// Size and time by source, key and the time from which a version is valid.
    objects: HashMap<(String, String, i64), (u64, i64)>,
}

impl Origins {
    pub(super) fn of(shared: &Shared, hidden: Hidden) -> DataFusionResult<Self> {
        let mut this = Self {
            hidden,
            roots: HashMap::new(),
            objects: HashMap::new(),
        };
        if hidden == Hidden::No {
            return Ok(this);
        }
        let mut sources = Vec::new();
        if let Some(cache) = shared.cache() {
            sources = cache.sources().map_err(external)?;
            if hidden == Hidden::All {
                for object in cache.object_versions().map_err(external)? {
                    let key = (
                        object.source.to_string(),
                        object.key,
                        object.valid_from.timestamp_micros(),
                    );
                    let modified = object.modified_at.timestamp_micros();
                    this.objects.insert(key, (object.size_bytes, modified));
                }
            }
        }
        for source in sources {
            let root = shared.root_of(&source.name);
            this.roots.insert(source.name.to_string(), root);
        }
        Ok(this)
    }

    /// The values of [`Hidden::fields`] for a report.
    pub(super) fn values(&self, report: &Report) -> Vec<ScalarValue> {
        if self.hidden == Hidden::No {
            return vec![];
        }
        let source = report.source.to_string();
        let root = self.roots.get(&source).map_or("", String::as_str);
        let mut values = vec![ScalarValue::from(format!("{root}{}", report.key))];
        if self.hidden == Hidden::All {
            let key = (
                source,
                report.key.clone(),
                report.valid_from.timestamp_micros(),
            );
            let found = self.objects.get(&key);
            values.push(ScalarValue::Int64(
                found.and_then(|(size, _)| i64::try_from(*size).ok()),
            ));
            let modified = found.map(|(_, modified)| *modified);
            values.push(ScalarValue::TimestampMicrosecond(
                modified,
                Some("UTC".into()),
            ));
        }
        values
    }
}

/// Marks the tables of a statement that asks for hidden columns. `has_hidden` says which tables have any.
pub(crate) fn mark(statement: &mut Statement, has_hidden: &dyn Fn(&[String]) -> bool) {
    let mut seen = Seen::default();
    let _whole = Visit::visit(statement, &mut seen);
    let hidden = match (seen.path, seen.file) {
        (false, false) => return,
        (true, false) => WITH_PATH,
        (_, true) => WITH_ALL,
    };
    let mut marker = Marker {
        mark: format!("{MARK}{hidden}"),
        count: if seen.file { 3 } else { 1 },
        named: seen.named,
        has_hidden,
    };
    let _whole = VisitMut::visit(statement, &mut marker);
}

/// What a statement mentions.
#[derive(Default)]
struct Seen {
    path: bool,
    file: bool,
    /// Names that `WITH` gives.
    named: BTreeSet<String>,
}

impl Visitor for Seen {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let named = query.with.iter().flat_map(|with| &with.cte_tables);
        self.named
            .extend(named.map(|table| table.alias.name.value.to_lowercase()));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let name = match expr {
            Expr::Identifier(name) => Some(name),
            Expr::CompoundIdentifier(parts) => parts.last(),
            _ => None,
        };
        match name.map(|name| name.value.as_str()) {
            Some(Hidden::PATH) => self.path = true,
            Some(Hidden::SIZE | Hidden::MODIFIED) => self.file = true,
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

struct Marker<'a> {
    mark: String,
    count: usize,
    named: BTreeSet<String>,
    has_hidden: &'a dyn Fn(&[String]) -> bool,
}

impl VisitorMut for Marker<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut relations = Vec::new();
        for item in &select.from {
            self.add_relations(item, &mut relations);
        }
        if !relations.iter().flatten().any(|(_, is_marked)| *is_marked) {
            return ControlFlow::Continue(());
        }
        let mut items = Vec::with_capacity(select.projection.len());
        for item in std::mem::take(&mut select.projection) {
            match (item, relations.as_slice()) {
                (SelectItem::Wildcard(_), [Some(_)]) => {
                    items.push(SelectItem::Wildcard(self.options()));
                }
                // Of several relations each is named, since each may have hidden columns or none.
                (SelectItem::Wildcard(options), relations) => {
                    let all: Option<Vec<_>> = relations.iter().cloned().collect();
                    match all {
                        Some(all) => items.extend(
                            all.into_iter()
                                .map(|(name, is_marked)| self.star(name, is_marked)),
                        ),
                        None => items.push(SelectItem::Wildcard(options)),
                    }
                }
                (
                    SelectItem::QualifiedWildcard(
                        SelectItemQualifiedWildcardKind::ObjectName(name),
                        options,
                    ),
                    relations,
                ) => {
                    let last = name
                        .0
                        .last()
                        .and_then(ObjectNamePart::as_ident)
                        .map(|ident| ident.value.to_lowercase());
                    let found = relations
                        .iter()
                        .flatten()
                        .find(|(known, _)| Some(&known.value.to_lowercase()) == last.as_ref());
                    items.push(match found {
                        Some((known, true)) => self.star(known.clone(), true),
                        _ => SelectItem::QualifiedWildcard(
                            SelectItemQualifiedWildcardKind::ObjectName(name),
                            options,
                        ),
                    });
                }
                (item, _) => items.push(item),
            }
        }
        select.projection = items;
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if !self.is_marked(factor) {
            return ControlFlow::Continue(());
        }
        let TableFactor::Table { name, alias, .. } = factor else {
            return ControlFlow::Continue(());
        };
        if let Some(ObjectNamePart::Identifier(ident)) = name.0.last_mut() {
            let plain = Ident {
                value: ident.value.to_lowercase(),
                quote_style: Some('"'),
                span: ident.span,
            };
            ident.value = format!("{}{}", plain.value, self.mark);
            ident.quote_style = plain.quote_style;
            alias.get_or_insert_with(|| TableAlias {
                explicit: true,
                name: plain,
                columns: vec![],
                at: None,
            });
        }
        ControlFlow::Continue(())
    }
}

impl Marker<'_> {
    /// The relations of an item of `FROM`, also those in brackets.
    fn add_relations(&self, item: &TableWithJoins, relations: &mut Vec<Option<(Ident, bool)>>) {
        let joined = item.joins.iter().map(|join| &join.relation);
        for factor in std::iter::once(&item.relation).chain(joined) {
            match factor {
                TableFactor::NestedJoin {
                    table_with_joins,
                    alias: None,
                } if !has_own_column(table_with_joins) => {
                    self.add_relations(table_with_joins, relations);
                }
                factor => relations.push(self.relation(factor)),
            }
        }
    }

    /// The name of a relation and whether it is marked; `None` for what has no name of its own.
    fn relation(&self, factor: &TableFactor) -> Option<(Ident, bool)> {
        match factor {
            TableFactor::Table { name, alias, .. } => {
                let own = name.0.last().and_then(ObjectNamePart::as_ident)?;
                let name = alias.as_ref().map_or(own, |alias| &alias.name);
                Some((name.clone(), self.is_marked(factor)))
            }
            TableFactor::Derived {
                alias: Some(alias), ..
            } => Some((alias.name.clone(), false)),
            _ => None,
        }
    }

    fn is_marked(&self, factor: &TableFactor) -> bool {
        let TableFactor::Table {
            name, args: None, ..
        } = factor
        else {
            return false;
        };
        let parts = name
            .0
            .iter()
            .filter_map(ObjectNamePart::as_ident)
            .map(|part| part.value.to_lowercase());
        let parts = parts.collect::<Vec<_>>();
        let is_named =
            parts.len() == 1 && parts.first().is_some_and(|name| self.named.contains(name));
        let is_marked = parts.last().is_some_and(|name| name.ends_with(&self.mark));
        !is_named && !is_marked && (self.has_hidden)(&parts)
    }

    fn options(&self) -> WildcardAdditionalOptions {
        let names = [Hidden::PATH, Hidden::SIZE, Hidden::MODIFIED]
            .into_iter()
            .take(self.count);
        let names = names.map(|name| ObjectName::from(vec![Ident::with_quote('"', name)]));
        WildcardAdditionalOptions {
            opt_exclude: Some(ExcludeSelectItem::Multiple(names.collect())),
            ..WildcardAdditionalOptions::default()
        }
    }

    fn star(&self, name: Ident, is_marked: bool) -> SelectItem {
        let options = if is_marked {
            self.options()
        } else {
            WildcardAdditionalOptions::default()
        };
        let name = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![name]));
        SelectItem::QualifiedWildcard(name, options)
    }
}

/// Is there a column of neither side, as `x` of `FULL JOIN … USING (x)` is?
fn has_own_column(item: &TableWithJoins) -> bool {
    item.joins.iter().any(|join| {
        matches!(
            join.join_operator,
            JoinOperator::Right(JoinConstraint::Using(_))
                | JoinOperator::RightOuter(JoinConstraint::Using(_))
                | JoinOperator::FullOuter(JoinConstraint::Using(_))
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(sql: &str) -> String {
        let mut statement = kennel_athena::parse(sql).unwrap();
        mark(&mut statement, &|parts| {
            parts.last().is_some_and(|name| name.starts_with('t'))
        });
        statement.to_string()
    }

    #[test]
    fn only_tables_of_statements_that_ask_are_marked() {
        let sql = "SELECT a FROM k9.t WHERE b = '$path'";
        assert!(!marked(sql).contains('@'));
        assert!(
            marked("SELECT a FROM k9.t WHERE \"$path\" LIKE 'x'")
                .contains("k9.\"t@path\" AS \"t\"")
        );
        let sized = marked("SELECT t.*, \"$file_size\" FROM T AS t JOIN v ON true");
        assert!(sized.contains("\"t@file\" AS t JOIN v"), "{sized}");
        assert!(
            sized.contains("t.* EXCLUDE (\"$path\", \"$file_size\", \"$file_modified_time\")"),
            "{sized}"
        );
    }

    #[test]
    fn a_star_does_not_show_hidden_columns_and_names_of_with_stay() {
        let text = marked("WITH t AS (SELECT *, \"$path\" FROM k9.t1) SELECT * FROM t");
        assert!(text.contains("k9.\"t1@path\" AS \"t1\""), "{text}");
        assert!(text.ends_with("SELECT * FROM t"), "{text}");
        assert!(text.contains("* EXCLUDE (\"$path\")"), "{text}");
        let two = marked("SELECT * FROM t1 JOIN v USING (a) WHERE \"$path\" = ''");
        assert!(two.contains("t1.* EXCLUDE (\"$path\"), v.*"), "{two}");
    }

    #[test]
    fn marks_are_taken_off_names_and_messages() {
        assert_eq!(Hidden::split("t@path"), ("t", Hidden::Path));
        assert_eq!(Hidden::split("t@latest@file"), ("t@latest", Hidden::All));
        assert_eq!(Hidden::split("t@latest"), ("t@latest", Hidden::No));
        assert_eq!(
            without_marks("table 'a.b@path' not found"),
            "table 'a.b' not found"
        );
    }
}
