//! Names of tables and views.

use std::fmt;

/// The catalog that Athena's tables are in when nobody says otherwise.
pub(crate) const CATALOG: &str = "awsdatacatalog";

/// The name of a table or view: lower-case, without quotes, and without the catalog
/// `awsdatacatalog`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    catalog: Option<String>,
    schema: Option<String>,
    table: String,
}

impl TableName {
    /// A name with at most a schema before it.
    pub fn new(schema: Option<&str>, table: &str) -> Self {
        Self {
            catalog: None,
            schema: schema.map(str::to_lowercase),
            table: table.to_lowercase(),
        }
    }

    /// Takes one to three parts, already folded.
    pub(super) fn from_parts(mut parts: Vec<String>) -> Option<Self> {
        let table = parts.pop()?;
        let schema = parts.pop();
        let catalog = parts.pop().filter(|catalog| catalog != CATALOG);
        parts.is_empty().then_some(Self {
            catalog,
            schema,
            table,
        })
    }

    /// The catalog, if it is another than `awsdatacatalog`.
    pub fn catalog(&self) -> Option<&str> {
        self.catalog.as_deref()
    }

    /// The schema ("database" in Hive's words), if it was given.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// The table itself.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The same name in another schema, unless it has one.
    pub(super) fn or_in_schema(mut self, schema: Option<String>) -> Self {
        self.schema = self.schema.or(schema);
        self
    }

    /// The parts that were given, outermost first.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        [self.catalog(), self.schema()]
            .into_iter()
            .flatten()
            .chain([self.table()])
    }
}

/// As in a query: parts that need it stand in double quotes.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            if is_plain(part) {
                f.write_str(part)?;
            } else {
                write!(f, "\"{}\"", part.replace('"', "\"\""))?;
            }
        }
        Ok(())
    }
}

/// Whether a name needs no quotes anywhere.
pub(super) fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|ch| ch.is_ascii_lowercase() || ch == '_')
        && chars.all(|ch| ch.is_ascii_lowercase() || ch.is_ascii_digit() || ch == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(parts: &[&str]) -> Option<TableName> {
        TableName::from_parts(parts.iter().map(|part| (*part).to_owned()).collect())
    }

    #[test]
    fn the_usual_catalog_is_left_out_and_another_one_kept() {
        assert_eq!(
            named(&["awsdatacatalog", "k9", "t"]),
            Some(TableName::new(Some("K9"), "T"))
        );
        assert_eq!(
            named(&["lake", "k9", "t"]).unwrap().to_string(),
            "lake.k9.t"
        );
        assert_eq!(named(&["a", "b", "c", "d"]), None);
        assert_eq!(named(&[]), None);
    }

    #[test]
    fn names_are_quoted_where_they_must_be() {
        let name = TableName::new(Some("my-db"), "a\"b");
        assert_eq!(name.to_string(), "\"my-db\".\"a\"\"b\"");
        assert_eq!(TableName::new(None, "2024").to_string(), "\"2024\"");
    }
}
