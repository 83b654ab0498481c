//! What can be completed: tables, columns, functions, queries, and values of columns. All of it is loaded in
//! the background, values only when a quote is opened for them, so that nobody waits for a prompt.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use kennel_engine::{Engine, KnownValues, TableShape};
use tokio::runtime::Handle;

use crate::text::visible;

/// Values of one column that are kept, at most.
const MOST_VALUES: usize = 5_000;
/// Longer ones are no help in a menu.
const LONGEST_VALUE: usize = 160;
/// A column that takes longer has no completion.
const PATIENCE: Duration = Duration::from_secs(10);

/// Columns whose values the manifest has: accounts, customers, regions.
const ACCOUNTS: [&str; 5] = [
    "account_id",
    "account",
    "recipientaccountid",
    "principal_account_id",
    "accountid",
];
const CUSTOMERS: [&str; 1] = ["customer_id"];
const REGIONS: [&str; 2] = ["region", "awsregion"];

/// A query as it is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueryName {
    pub(super) id: String,
    pub(super) title: String,
    /// Name and help of its parameters.
    pub(super) params: Vec<(String, String)>,
}

/// Everything that has a name.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    pub(super) tables: Vec<TableShape>,
    pub(super) functions: Vec<String>,
    pub(super) queries: Vec<QueryName>,
    /// Parameters that have a value.
    pub(super) params: Vec<String>,
    /// Snapshot ids, newest first, and when they were taken.
    pub(super) snapshots: Vec<(String, String)>,
    pub(super) known: KnownValues,
    /// Where file names begin.
    pub(super) folder: PathBuf,
    pub(super) values: HashMap<ColumnId, Option<Vec<String>>>,
}

/// A column whose values are wanted: schema, table, column.
pub(super) type ColumnId = (String, String, String);

impl Vocabulary {
    /// The values of a column of one of these tables; `Err` names one that is not loaded yet.
    pub(super) fn values(
        &self,
        tables: &[&TableShape],
        column: &str,
    ) -> Result<&[String], Option<ColumnId>> {
        let column = column.to_lowercase();
        let of_manifest = [
            (ACCOUNTS.as_slice(), &self.known.accounts),
            (CUSTOMERS.as_slice(), &self.known.customers),
            (REGIONS.as_slice(), &self.known.regions),
        ];
        for (columns, values) in of_manifest {
            if columns.contains(&column.as_str()) && !values.is_empty() {
                return Ok(values);
            }
        }
        let found = tables.iter().find(|table| {
            table.columns.fields().iter().any(|field| {
                field.name().eq_ignore_ascii_case(&column) && is_text(field.data_type())
            })
        });
        let table = found.ok_or(None)?;
        let id = (table.schema.clone(), table.name.clone(), column);
        match self.values.get(&id) {
            Some(Some(values)) => Ok(values),
            Some(None) => Err(None),
            None => Err(Some(id)),
        }
    }

    /// Takes values in, for tests too.
    pub(super) fn learn(&mut self, id: ColumnId, values: Vec<String>) {
        self.values.insert(id, Some(values));
    }
}

fn is_text(data_type: &datafusion::arrow::datatypes::DataType) -> bool {
    use datafusion::arrow::datatypes::DataType;
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..)
    )
}

/// The vocabulary and what fills it.
pub(super) struct Names {
    words: Mutex<Vocabulary>,
    engine: Mutex<Option<Arc<Engine>>>,
    runtime: Option<Handle>,
    /// Counts the engines: what was loaded from an older one is dropped.
    generation: AtomicU64,
    pending: AtomicU64,
    has_news: AtomicBool,
}

impl Names {
    /// Begins to load names.
    pub(super) fn load(engine: &Arc<Engine>) -> Arc<Self> {
        let names = Arc::new(Self {
            words: Mutex::default(),
            engine: Mutex::new(None),
            runtime: Some(Handle::current()),
            generation: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            has_news: AtomicBool::new(false),
        });
        names.reload(engine);
        names
    }

    /// Without an engine.
    #[cfg(test)]
    pub(super) fn for_tests() -> Arc<Self> {
        let words = Vocabulary {
            functions: vec!["count".into()],
            ..Vocabulary::default()
        };
        Arc::new(Self {
            words: Mutex::new(words),
            engine: Mutex::new(None),
            runtime: None,
            generation: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            has_news: AtomicBool::new(false),
        })
    }

    pub(super) fn words(&self) -> MutexGuard<'_, Vocabulary> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a function has this name.
    pub(super) fn is_function(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        self.words().functions.binary_search(&word).is_ok()
    }

    /// Another engine answers from now on, or the tables have changed. Values are loaded anew when wanted.
    pub(super) fn reload(self: &Arc<Self>, engine: &Arc<Engine>) {
        *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(engine));
        let generation = self.generation.fetch_add(1, Ordering::SeqCst) + 1;
        {
            let mut words = self.words();
            words.values.clear();
            words.queries = engine
                .library()
                .iter()
                .map(|query| QueryName {
                    id: query.id.clone(),
                    title: query.title.clone(),
                    params: query
                        .params
                        .iter()
                        .map(|p| (p.name.clone(), p.help.clone()))
                        .collect(),
                })
                .collect();
        }
        let (names, engine) = (Arc::clone(self), Arc::clone(engine));
        self.spawn(async move {
            let functions = engine.functions();
            let known = engine.known_values().unwrap_or_default();
            let snapshots = engine.snapshot_names().unwrap_or_default();
            let tables = engine.tables().await;
            let mut words = names.words();
            if names.generation.load(Ordering::SeqCst) == generation {
                words.functions = functions;
                words.known = known;
                words.snapshots = snapshots;
                words.tables = tables;
            }
        });
    }

    /// Begins to load the values of a column.
    pub(super) fn want(self: &Arc<Self>, id: ColumnId) {
        let engine = self
            .engine
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let table = {
            let mut words = self.words();
            let table = words
                .tables
                .iter()
                .find(|table| table.schema == id.0 && table.name == id.1)
                .cloned();
            // Until they are there, and if they never come, there are none.
            words.values.insert(id.clone(), None);
            table
        };
        let (Some(engine), Some(table)) = (engine, table) else {
            return;
        };
        let generation = self.generation.load(Ordering::SeqCst);
        let names = Arc::clone(self);
        self.spawn(async move {
            let loading = engine.distinct_texts(&table, &id.2, MOST_VALUES);
            let Ok(Ok(mut values)) = tokio::time::timeout(PATIENCE, loading).await else {
                return;
            };
            // What would have to be shown other than it is cannot be typed either.
            values.retain(|value| {
                value.len() <= LONGEST_VALUE && !value.is_empty() && *visible(value) == *value
            });
            let mut words = names.words();
            if names.generation.load(Ordering::SeqCst) == generation {
                words.learn(id, values);
            }
        });
    }

    fn spawn(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let Some(runtime) = &self.runtime else {
            return;
        };
        self.pending.fetch_add(1, Ordering::SeqCst);
        let names = Arc::clone(self);
        runtime.spawn(async move {
            work.await;
            names.has_news.store(true, Ordering::SeqCst);
            names.pending.fetch_sub(1, Ordering::SeqCst);
        });
    }

    /// Whether something is being loaded, or has come since it was last asked for.
    pub(super) fn is_loading(&self) -> bool {
        self.pending.load(Ordering::SeqCst) > 0 || self.has_news.load(Ordering::SeqCst)
    }

    /// Whether something has come since this was last asked.
    pub(super) fn take_news(&self) -> bool {
        self.has_news.swap(false, Ordering::SeqCst)
    }
}
