//! `information_schema` as Athena has it: its columns, and the names of its types.
//!
//! DataFusion's own has other columns and names types as Arrow does. A table is made when it is asked for.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::{
    arrow::{
        array::{ArrayRef, Int64Array, RecordBatch, StringArray},
        datatypes::{Field, Schema},
    },
    catalog::{CatalogProvider, SchemaProvider, TableProvider},
    datasource::MemTable,
    error::Result,
};

use super::{CATALOG, Catalog, Shared, user};

/// Its name.
pub(super) const SCHEMA: &str = "information_schema";

const TABLES: [&str; 4] = ["columns", "schemata", "tables", "views"];

/// The schema.
#[derive(Debug)]
pub(super) struct InformationSchema {
    pub(super) shared: Arc<Shared>,
}

/// A table or view, where it stands.
struct Named {
    schema: String,
    name: String,
    /// The query of a view.
    view: Option<String>,
}

impl InformationSchema {
    fn schemas(&self) -> Vec<String> {
        Catalog::new(Arc::clone(&self.shared)).schema_names()
    }

    fn provider(&self, schema: &str) -> Option<Arc<dyn SchemaProvider>> {
        Catalog::new(Arc::clone(&self.shared)).schema(schema)
    }

    /// All tables and views, by schema and name.
    fn named(&self) -> Result<Vec<Named>> {
        let mut all = Vec::new();
        for schema in self.schemas() {
            let names = self.provider(&schema).map(|found| found.table_names());
            for name in names.unwrap_or_default() {
                let kept = user::find(&self.shared, &schema, &name)?;
                let view = kept.and_then(|kept| match user::Definition::parse(&kept.definition) {
                    Ok(user::Definition::View(query)) => Some(query),
                    _ => None,
                });
                let schema = schema.clone();
                all.push(Named { schema, name, view });
            }
        }
        Ok(all)
    }

    fn schemata(&self) -> Result<Arc<dyn TableProvider>> {
        let names = self.schemas();
        table(vec![
            ("catalog_name", texts(names.iter().map(|_| Some(CATALOG)))),
            (
                "schema_name",
                texts(names.iter().map(|name| Some(name.as_str()))),
            ),
        ])
    }

    fn tables(&self) -> Result<Arc<dyn TableProvider>> {
        let all = self.named()?;
        let kinds = all.iter().map(|table| match table.view {
            Some(_) => Some("VIEW"),
            None => Some("BASE TABLE"),
        });
        let mut columns = places(&all);
        columns.push(("table_type", texts(kinds)));
        table(columns)
    }

    fn views(&self) -> Result<Arc<dyn TableProvider>> {
        let mut all = self.named()?;
        all.retain(|table| table.view.is_some());
        let mut columns = places(&all);
        let queries = all.iter().map(|table| table.view.as_deref());
        columns.push(("view_definition", texts(queries)));
        table(columns)
    }

    async fn columns(&self) -> Result<Arc<dyn TableProvider>> {
        let mut owners = Vec::new();
        let (mut names, mut places_in, mut types) = (Vec::new(), Vec::new(), Vec::new());
        for named in self.named()? {
            let Some(schema) = self.provider(&named.schema) else {
                continue;
            };
            // A view whose table was dropped has no columns; asking it says why.
            let Ok(Some(found)) = schema.table(&named.name).await else {
                continue;
            };
            for (place, field) in (1..).zip(found.schema().fields()) {
                owners.push((named.schema.clone(), named.name.clone()));
                names.push(field.name().to_lowercase());
                places_in.push(place);
                types.push(kennel_athena::type_name(field.data_type()));
            }
        }
        let none = || texts(names.iter().map(|_| None));
        table(vec![
            ("table_catalog", texts(owners.iter().map(|_| Some(CATALOG)))),
            (
                "table_schema",
                texts(owners.iter().map(|owner| Some(owner.0.as_str()))),
            ),
            (
                "table_name",
                texts(owners.iter().map(|owner| Some(owner.1.as_str()))),
            ),
            (
                "column_name",
                texts(names.iter().map(|name| Some(name.as_str()))),
            ),
            ("ordinal_position", Arc::new(Int64Array::from(places_in))),
            ("column_default", none()),
            ("is_nullable", texts(names.iter().map(|_| Some("YES")))),
            (
                "data_type",
                texts(types.iter().map(|name| Some(name.as_str()))),
            ),
            ("comment", none()),
            ("extra_info", none()),
        ])
    }
}

/// Catalog, schema and name.
fn places(all: &[Named]) -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("table_catalog", texts(all.iter().map(|_| Some(CATALOG)))),
        (
            "table_schema",
            texts(all.iter().map(|table| Some(table.schema.as_str()))),
        ),
        (
            "table_name",
            texts(all.iter().map(|table| Some(table.name.as_str()))),
        ),
    ]
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn table(columns: Vec<(&str, ArrayRef)>) -> Result<Arc<dyn TableProvider>> {
    let fields = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

#[async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        TABLES.map(str::to_owned).to_vec()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(Some(match name.to_lowercase().as_str() {
            "columns" => self.columns().await?,
            "schemata" => self.schemata()?,
            "tables" => self.tables()?,
            "views" => self.views()?,
            _ => return Ok(None),
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        TABLES.contains(&name.to_lowercase().as_str())
    }
}
