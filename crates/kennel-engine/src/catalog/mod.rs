//! `awsdatacatalog`: the schemas and tables that a session sees, made from the manifest when asked for.

mod encoded;
mod file_table;
mod hidden;
mod information;
mod kennel;
mod objects;
mod places;
mod reports;
mod table_store;
mod trail;
pub(crate) mod user;

use std::{
    any::Any,
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::{
    arrow::{datatypes::Schema, ipc::convert::try_schema_from_ipc_buffer},
    catalog::{CatalogProvider, SchemaProvider, TableProvider, view::ViewTable},
    datasource::provider_as_source,
    error::{DataFusionError, Result as DataFusionResult},
    logical_expr::{LogicalPlanBuilder, ident},
    parquet::arrow::encode_arrow_schema,
};
use kennel_cache::{AccountId, Cache, CacheError, CustomerId, ReportType, SourceName, View};

use crate::{KeptResult, LAST_RESULT, Library, session::ConfiguredSource, time_travel, views};

pub(crate) use encoded::is_recurring;
pub(crate) use file_table::{FileTable, Selection, tables_url};
pub(crate) use hidden::{Hidden, Origins, mark, without_marks};
pub(crate) use reports::latest_name;
pub(crate) use table_store::TableStore;
pub(crate) use trail::TrailTable;
pub(crate) use user::locate;

/// The catalog's name, which may be omitted.
pub(crate) const CATALOG: &str = "awsdatacatalog";
/// The schema of unqualified names: its own tables, then those of [`SEARCHED`].
pub(crate) const DEFAULT_SCHEMA: &str = "default";
/// k9's reports. `iam` was its name in k9's older guide.
const K9_SCHEMAS: [&str; 2] = ["k9", "iam"];
const KENNEL_SCHEMA: &str = "kennel";
/// Stands at the end of the name of a table whose partitions are meant.
const PARTITIONS: &str = "$partitions";
/// Where a name without schema is looked up after [`DEFAULT_SCHEMA`].
const SEARCHED: [&str; 2] = ["k9", trail::SCHEMA];

/// Whether a table of this name is kennel's own.
pub(crate) fn is_built_in(schema: &str, name: &str) -> bool {
    let built_in = NamedSchema::built_in(schema);
    built_in.iter().any(|known| known == name)
}

/// The partition columns of a table, in their order.
pub(crate) fn partition_columns(
    shared: &Shared,
    schema: &str,
    name: &str,
) -> DataFusionResult<Vec<String>> {
    if let Some(kept) = user::find(shared, schema, name)? {
        return Ok(match user::Definition::parse(&kept.definition)? {
            user::Definition::Mirror(table) | user::Definition::Rows(table) => {
                let names = table
                    .partition_columns
                    .into_iter()
                    .map(|column| column.name);
                names.collect()
            }
            user::Definition::View(_) => vec![],
        });
    }
    let names: &[&str] = match schema {
        schema if K9_SCHEMAS.contains(&schema) && is_built_in(schema, name) => {
            &crate::k9::PARTITION_COLUMNS
        }
        trail::SCHEMA if name == trail::LOGS => &crate::trail::schema::PARTITION_COLUMNS,
        _ => &[],
    };
    Ok(names.iter().map(|name| (*name).to_owned()).collect())
}

/// Whether a schema is always there.
pub(crate) fn is_built_in_schema(schema: &str) -> bool {
    K9_SCHEMAS.contains(&schema)
        || [
            DEFAULT_SCHEMA,
            KENNEL_SCHEMA,
            trail::SCHEMA,
            "information_schema",
        ]
        .contains(&schema)
}

/// What all tables of a session are made from.
pub(crate) struct Shared {
    cache: Option<Mutex<Cache>>,
    pub(crate) view: View,
    pub(crate) customers: Vec<CustomerId>,
    pub(crate) accounts: Vec<AccountId>,
    /// Accounts that are left out, whatever is asked for.
    excluded: BTreeSet<(CustomerId, AccountId)>,
    pub(crate) sources: Vec<ConfiguredSource>,
    pub(crate) library: Arc<Library>,
    /// Now: what ranges of partition projection count from.
    pub(crate) now: DateTime<Utc>,
    /// What `_` stands for.
    kept: Mutex<Option<KeptResult>>,
    /// Plans the views of this catalog.
    pub(crate) planner: views::Planner,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("view", &self.view)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(
        cache: Option<Cache>,
        view: View,
        customers: Vec<CustomerId>,
        accounts: Vec<AccountId>,
        sources: Vec<ConfiguredSource>,
        library: Arc<Library>,
    ) -> Self {
        Self {
            cache: cache.map(Mutex::new),
            view,
            customers,
            accounts,
            excluded: BTreeSet::new(),
            sources,
            library,
            now: DateTime::UNIX_EPOCH,
            kept: Mutex::new(None),
            planner: views::Planner::default(),
        }
    }

    /// The result that is kept as `_`.
    pub(crate) fn kept(&self) -> MutexGuard<'_, Option<KeptResult>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same at this time.
    pub(crate) fn at(self, now: DateTime<Utc>) -> Self {
        Self { now, ..self }
    }

    /// The URL that the keys of a source are relative to, with `/` at its end.
    pub(crate) fn root_of(&self, source: &SourceName) -> String {
        let configured = self.sources.iter().find(|known| known.name == *source);
        let url = match configured {
            Some(known) => Some(known.url.clone()),
            None => self
                .cache()
                .and_then(|cache| cache.sources().ok())
                .and_then(|known| known.into_iter().find(|known| known.name == *source))
                .map(|known| known.url),
        };
        let url = url.unwrap_or_default();
        // Keys are those of the whole bucket, or relative to the folder of a `file://` source.
        match url.strip_prefix("s3://") {
            Some(rest) => format!("s3://{}/", rest.split('/').next().unwrap_or(rest)),
            None => format!("{}/", url.trim_end_matches('/')),
        }
    }

    /// The same without some accounts.
    pub(crate) fn without(self, excluded: BTreeSet<(CustomerId, AccountId)>) -> Self {
        Self { excluded, ..self }
    }

    /// The manifest; `None` before the first sync.
    pub(crate) fn cache(&self) -> Option<MutexGuard<'_, Cache>> {
        self.cache
            .as_ref()
            .map(|cache| cache.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether `--customer` and `--account` let a partition through.
    pub(crate) fn admits(&self, customer_id: &CustomerId, account_id: &AccountId) -> bool {
        (self.customers.is_empty() || self.customers.contains(customer_id))
            && (self.accounts.is_empty() || self.accounts.contains(account_id))
            && (self.excluded.is_empty()
                || !self
                    .excluded
                    .contains(&(customer_id.clone(), account_id.clone())))
    }
}

/// A cache error inside DataFusion; [`crate::EngineError`] takes it out again.
pub(crate) fn external(error: CacheError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A schema as the manifest keeps it: Arrow's IPC form in base64.
pub(crate) fn columns_text(schema: &Schema) -> String {
    encode_arrow_schema(schema)
}

/// Reads [`columns_text`] back.
pub(crate) fn columns_from_text(text: &str) -> Option<Schema> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    try_schema_from_ipc_buffer(&bytes).ok()
}

/// The catalog.
#[derive(Debug)]
pub(crate) struct Catalog {
    shared: Arc<Shared>,
}

impl Catalog {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl CatalogProvider for Catalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = [DEFAULT_SCHEMA, KENNEL_SCHEMA, trail::SCHEMA]
            .map(str::to_owned)
            .to_vec();
        names.extend(K9_SCHEMAS.map(str::to_owned));
        if let Some(cache) = self.shared.cache() {
            let tables = cache.user_tables().unwrap_or_default();
            names.extend(tables.into_iter().map(|table| table.schema));
            names.extend(cache.user_schemas().unwrap_or_default());
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let name = name.to_lowercase();
        if name == information::SCHEMA {
            let shared = Arc::clone(&self.shared);
            return Some(Arc::new(information::InformationSchema { shared }));
        }
        self.schema_names().contains(&name).then(|| {
            Arc::new(NamedSchema {
                name,
                shared: Arc::clone(&self.shared),
            }) as Arc<dyn SchemaProvider>
        })
    }
}

/// One schema: built-in tables by its name, and the users' tables in it.
#[derive(Debug)]
struct NamedSchema {
    name: String,
    shared: Arc<Shared>,
}

impl NamedSchema {
    fn built_in(schema: &str) -> Vec<String> {
        match schema {
            name if K9_SCHEMAS.contains(&name) => ReportType::ALL
                .into_iter()
                .flat_map(|report| [latest_name(report), report.table().to_owned()])
                .collect(),
            KENNEL_SCHEMA => kennel::NAMES
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
            trail::SCHEMA => trail::names().collect(),
            _ => vec![],
        }
    }

    fn find(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let name = name.to_lowercase();
        if let Some(base) = name.strip_suffix(PARTITIONS) {
            return self.partitions_of(base);
        }
        let (name, hidden) = Hidden::split(&name);
        let (name, view) = match time_travel::split(name) {
            Some((name, view)) => (name, view),
            None => (name, self.shared.view),
        };
        let shared = &self.shared;
        let is_travel = view != shared.view;
        for schema in self.searched() {
            if let Some(table) = user::open(shared, schema, name, view, hidden)? {
                return Ok(Some(table));
            }
            if schema == DEFAULT_SCHEMA && name == LAST_RESULT {
                let kept = shared.kept();
                return kept.as_ref().map(KeptResult::table).transpose();
            }
            let found = match schema {
                schema if K9_SCHEMAS.contains(&schema) => {
                    reports::open(shared, name, view, hidden)?
                }
                KENNEL_SCHEMA if is_travel && kennel::NAMES.contains(&name) => {
                    return Err(DataFusionError::Plan(format!(
                        "`{KENNEL_SCHEMA}.{name}` has no earlier states: it tells what the cache holds now"
                    )));
                }
                KENNEL_SCHEMA => kennel::open(shared, name)?,
                trail::SCHEMA => trail::open(shared, name, view, hidden)?,
                _ => None,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Athena's `"t$partitions"`: the partitions of a table as rows.
    fn partitions_of(&self, base: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let Some(table) = self.find(base)? else {
            return Ok(None);
        };
        let mut columns = Vec::new();
        for schema in self.searched() {
            columns = partition_columns(&self.shared, schema, base)?;
            if !columns.is_empty() {
                break;
            }
        }
        if columns.is_empty() {
            let message = format!("`{base}` is not a partitioned table");
            return Err(DataFusionError::Plan(message));
        }
        let plan = LogicalPlanBuilder::scan(base, provider_as_source(table), None)?
            .project(columns.iter().map(ident))?
            .distinct()?
            .build()?;
        Ok(Some(Arc::new(ViewTable::new(plan, None))))
    }

    /// The schemas in which a name of this one is looked up.
    fn searched(&self) -> Vec<&str> {
        match self.name.as_str() {
            DEFAULT_SCHEMA => [DEFAULT_SCHEMA].into_iter().chain(SEARCHED).collect(),
            name => vec![name],
        }
    }

    /// The query of the view of this name, and the name of its schema, if there is one.
    fn view_of(&self, name: &str) -> DataFusionResult<Option<(String, String)>> {
        let name = name.to_lowercase();
        let (name, _) = Hidden::split(&name);
        let (plain, state) = match time_travel::split(name) {
            Some((plain, state)) => (plain, Some(state)),
            None => (name, None),
        };
        for schema in self.searched() {
            let Some(kept) = user::find(&self.shared, schema, plain)? else {
                continue;
            };
            let user::Definition::View(query) = user::Definition::parse(&kept.definition)? else {
                return Ok(None);
            };
            if state.is_some_and(|state| state != self.shared.view) {
                return Err(DataFusionError::Plan(format!(
                    "`{schema}.{plain}` is a view: its tables have earlier states, which it must name itself"
                )));
            }
            return Ok(Some((format!("{schema}.{plain}"), query)));
        }
        Ok(None)
    }
}

#[async_trait]
impl SchemaProvider for NamedSchema {
    fn table_names(&self) -> Vec<String> {
        let tables = self
            .shared
            .cache()
            .and_then(|cache| cache.user_tables().ok())
            .unwrap_or_default();
        let mut names = Self::built_in(&self.name);
        if self.name == DEFAULT_SCHEMA && self.shared.kept().is_some() {
            names.push(LAST_RESULT.into());
        }
        names.extend(
            tables
                .into_iter()
                .filter(|table| table.schema == self.name)
                .map(|table| table.name),
        );
        names.sort_unstable();
        names.dedup();
        names
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        match self.view_of(name)? {
            Some((view, query)) => views::open(&self.shared, &view, &query).await.map(Some),
            None => self.find(name),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.view_of(name).is_ok_and(|view| view.is_some())
            || self.find(name).is_ok_and(|table| table.is_some())
    }
}

/// The [`FileTable`] behind a provider, if it is one.
pub(crate) fn as_file_table(provider: &Arc<dyn TableProvider>) -> Option<&FileTable> {
    let any: &dyn Any = provider.as_ref();
    any.downcast_ref()
}

/// The [`TrailTable`] behind a provider, if it is one.
pub(crate) fn as_trail_table(provider: &Arc<dyn TableProvider>) -> Option<&TrailTable> {
    let any: &dyn Any = provider.as_ref();
    any.downcast_ref()
}

/// Whether a table, by the parts of its name, has hidden columns: one over objects of a source.
pub(crate) fn has_hidden(shared: &Arc<Shared>, parts: &[String]) -> bool {
    let (schema, name) = match parts {
        [name] => (DEFAULT_SCHEMA, name),
        [schema, name] | [_, schema, name] => (schema.as_str(), name),
        _ => return false,
    };
    let name = time_travel::split(name).map_or(name.as_str(), |(name, _)| name);
    let schema = NamedSchema {
        name: schema.to_owned(),
        shared: Arc::clone(shared),
    };
    for searched in schema.searched() {
        if let Ok(Some(kept)) = user::find(shared, searched, name) {
            let kept = user::Definition::parse(&kept.definition);
            return matches!(kept, Ok(user::Definition::Mirror(_)));
        }
        let is_of_objects = K9_SCHEMAS.contains(&searched) || searched == trail::SCHEMA;
        if is_of_objects && is_built_in(searched, name) {
            return true;
        }
    }
    false
}

/// Every table name a user may write, for suggestions.
pub(crate) fn table_names(shared: &Arc<Shared>) -> Vec<String> {
    let catalog = Catalog::new(Arc::clone(shared));
    let mut names = Vec::new();
    for schema in catalog.schema_names() {
        if let Some(provider) = catalog.schema(&schema) {
            for table in provider.table_names() {
                names.push(format!("{schema}.{table}"));
            }
        }
    }
    names
}
