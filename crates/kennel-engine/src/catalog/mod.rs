//! `awsdatacatalog`: the schemas and tables that a session sees, made from the manifest when asked for.

mod file_table;
mod kennel;
mod objects;
mod reports;
mod table_store;
mod trail;
mod user_table;

use std::{
    any::Any,
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use datafusion::{
    arrow::{datatypes::Schema, ipc::convert::try_schema_from_ipc_buffer},
    catalog::{CatalogProvider, SchemaProvider, TableProvider},
    error::{DataFusionError, Result as DataFusionResult},
    parquet::arrow::encode_arrow_schema,
};
use kennel_cache::{AccountId, Cache, CacheError, CustomerId, ReportType, View};

use crate::{KeptResult, LAST_RESULT, Library, session::ConfiguredSource, time_travel};

pub(crate) use file_table::{FileTable, Selection, tables_url};
pub(crate) use reports::latest_name;
pub(crate) use table_store::TableStore;
pub(crate) use trail::TrailTable;
pub(crate) use user_table::locate;

/// The catalog's name, which may be omitted.
pub(crate) const CATALOG: &str = "awsdatacatalog";
/// The schema of unqualified names: its own tables, then those of [`SEARCHED`].
pub(crate) const DEFAULT_SCHEMA: &str = "default";
/// k9's reports. `iam` was its name in k9's older guide.
const K9_SCHEMAS: [&str; 2] = ["k9", "iam"];
const KENNEL_SCHEMA: &str = "kennel";

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
    /// What `_` stands for.
    kept: Mutex<Option<KeptResult>>,
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
            kept: Mutex::new(None),
        }
    }

    /// The result that is kept as `_`.
    pub(crate) fn kept(&self) -> MutexGuard<'_, Option<KeptResult>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
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
        let tables = self
            .shared
            .cache()
            .and_then(|cache| cache.user_tables().ok())
            .unwrap_or_default();
        names.extend(tables.into_iter().map(|table| table.schema));
        names.sort_unstable();
        names.dedup();
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let name = name.to_lowercase();
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
    fn built_in_names(&self) -> Vec<String> {
        match self.name.as_str() {
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
        let (name, view) = match time_travel::split(&name) {
            Some((name, view)) => (name, view),
            None => (name.as_str(), self.shared.view),
        };
        let is_travel = view != self.shared.view;
        if let Some(table) = user_table::open(&self.shared, &self.name, name, view)? {
            return Ok(Some(table));
        }
        if self.name == DEFAULT_SCHEMA && name == LAST_RESULT {
            let kept = self.shared.kept();
            return kept.as_ref().map(KeptResult::table).transpose();
        }
        match self.name.as_str() {
            schema if K9_SCHEMAS.contains(&schema) => reports::open(&self.shared, name, view),
            KENNEL_SCHEMA if is_travel && kennel::NAMES.contains(&name) => {
                Err(DataFusionError::Plan(format!(
                    "`{KENNEL_SCHEMA}.{name}` has no earlier states: it tells what the cache holds now"
                )))
            }
            KENNEL_SCHEMA => kennel::open(&self.shared, name),
            trail::SCHEMA => trail::open(&self.shared, name, view),
            DEFAULT_SCHEMA => match reports::open(&self.shared, name, view)? {
                Some(table) => Ok(Some(table)),
                None => trail::open(&self.shared, name, view),
            },
            _ => Ok(None),
        }
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
        let mut names = self.built_in_names();
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
        self.find(name)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.find(name).is_ok_and(|table| table.is_some())
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
