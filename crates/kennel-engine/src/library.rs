//! Canned queries: `.sql` files with front matter, compiled in, and a user's own beside them.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use include_dir::{Dir, include_dir};

use crate::LibraryError;

/// `sql/` of the project.
static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../sql");

/// The folder of views below it: no questions.
const VIEWS: &str = "views";

/// Opens and closes the front matter.
const FENCE: &str = "+++";

/// How bad a finding is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

impl Severity {
    /// In lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ParamType {
    /// Text.
    #[serde(rename = "text")]
    Text,
    /// A 64-bit integer.
    #[serde(rename = "integer")]
    Integer,
    /// A 64-bit floating point number.
    #[serde(rename = "number")]
    Number,
    /// `true` or `false`.
    #[serde(rename = "boolean")]
    Boolean,
    /// An instant, UTC.
    #[serde(rename = "timestamp")]
    Timestamp,
    /// Texts, separated by commas.
    #[serde(rename = "text[]")]
    TextList,
}

impl ParamType {
    /// As the front matter writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Timestamp => "timestamp",
            Self::TextList => "text[]",
        }
    }
}

/// A parameter of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Its name, without `$`.
    pub name: String,
    /// Its type.
    pub param_type: ParamType,
    /// Its default, in the form a user would write; `None` is null.
    pub default: Option<String>,
    /// Whether it must be given.
    pub required: bool,
    /// What it does.
    pub help: String,
}

/// What `--account` and `--customer` restrict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountFilter {
    /// The tables that the query reads.
    #[default]
    Input,
    /// The rows it returns, since it follows access across accounts.
    Result,
}

/// A query of the library.
#[derive(Debug, Clone, PartialEq)]
pub struct CannedQuery {
    /// Its path without extension: `k9/iam-admins`.
    pub id: String,
    /// One line.
    pub title: String,
    /// Present: its rows are findings.
    pub severity: Option<Severity>,
    /// For choosing several at once.
    pub tags: Vec<String>,
    /// Its parameters, by name.
    pub params: Vec<Param>,
    /// The tables it reads.
    pub reads: Vec<String>,
    /// The columns that identify a row.
    pub key: Vec<String>,
    /// Columns that change from night to night without news (last uses, ages): a diff leaves them out.
    pub noise: Vec<String>,
    /// Whether its rows are news by themselves, since it compares states: one that is not there the next night is not gone.
    pub news: bool,
    /// Where the question comes from.
    pub source: Option<String>,
    /// What `--account` restricts.
    pub account_filter: AccountFilter,
    /// What exactly it counts, in prose.
    pub documentation: String,
    /// The SQL, without front matter and documentation.
    pub sql: String,
    /// The whole file.
    pub text: String,
    /// Line and column of the file at which the SQL begins, from 1.
    pub sql_start: (u64, u64),
}

impl CannedQuery {
    /// Whether its rows are findings.
    pub fn is_audit(&self) -> bool {
        self.severity.is_some()
    }

    /// Reads a query file.
    ///
    /// # Errors
    /// [`LibraryError::Malformed`] names the line.
    pub fn parse(id: &str, text: &str) -> Result<Self, LibraryError> {
        let malformed = |line: usize, message: String| LibraryError::Malformed {
            id: id.into(),
            line,
            message,
        };
        let lines = text.lines().collect::<Vec<_>>();
        let comment = |line: &str| {
            line.trim_end()
                .strip_prefix("--")
                .map(|text| text.strip_prefix(' ').unwrap_or(text).to_owned())
        };
        let is_fence = |line: &str| comment(line).is_some_and(|text| text.trim() == FENCE);
        let start = lines
            .iter()
            .position(|line| !line.trim().is_empty())
            .filter(|index| is_fence(lines[*index]))
            .ok_or_else(|| malformed(1, format!("the file must begin with `-- {FENCE}`")))?;
        let end = lines[start + 1..]
            .iter()
            .position(|line| is_fence(line))
            .map(|offset| start + 1 + offset)
            .ok_or_else(|| {
                malformed(
                    start + 1,
                    format!("no second `-- {FENCE}` ends the front matter"),
                )
            })?;
        let mut front = String::new();
        for (index, line) in lines[start + 1..end].iter().enumerate() {
            let text = comment(line).ok_or_else(|| {
                malformed(
                    start + 2 + index,
                    "front matter lines begin with `--`".into(),
                )
            })?;
            front.push_str(&text);
            front.push('\n');
        }
        let front: FrontMatter = toml::from_str(&front).map_err(|error| {
            let offset = error.span().map_or(0, |span| {
                front[..span.start.min(front.len())].matches('\n').count()
            });
            malformed(start + 2 + offset, error.message().to_owned())
        })?;
        if let Some(both) = front.key.iter().find(|column| front.noise.contains(column)) {
            let message = format!("`{both}` cannot be both key and noise");
            return Err(malformed(start + 1, message));
        }
        let body = &lines[end + 1..];
        let sql_start = body
            .iter()
            .position(|line| !line.trim().is_empty() && comment(line).is_none())
            .unwrap_or(body.len());
        let documentation = body[..sql_start]
            .iter()
            .filter_map(|line| comment(line))
            .collect::<Vec<_>>()
            .join("\n");
        let first = body.get(sql_start).copied().unwrap_or_default();
        let indent = first.chars().take_while(|c| c.is_whitespace()).count();
        let sql = body[sql_start..]
            .join("\n")
            .trim()
            .trim_end_matches(';')
            .trim_end()
            .to_owned();
        if sql.is_empty() {
            return Err(malformed(
                lines.len(),
                "no SQL after the front matter".into(),
            ));
        }
        let params = front
            .params
            .into_iter()
            .map(|(name, param)| {
                param
                    .into_param(name)
                    .map_err(|message| malformed(start + 1, message))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            id: id.into(),
            title: front.title,
            severity: front.audit.map(|audit| audit.severity),
            tags: front.tags,
            params,
            reads: front.reads,
            key: front.key,
            noise: front.noise,
            news: front.news,
            source: front.source,
            account_filter: front.accounts,
            documentation: documentation.trim().to_owned(),
            sql,
            text: text.to_owned(),
            sql_start: ((end + 2 + sql_start) as u64, indent as u64 + 1),
        })
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FrontMatter {
    title: String,
    #[serde(default)]
    reads: Vec<String>,
    #[serde(default)]
    key: Vec<String>,
    #[serde(default)]
    noise: Vec<String>,
    #[serde(default)]
    news: bool,
    audit: Option<Audit>,
    #[serde(default)]
    tags: Vec<String>,
    source: Option<String>,
    #[serde(default)]
    accounts: AccountFilter,
    #[serde(default)]
    params: BTreeMap<String, FrontParam>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Audit {
    severity: Severity,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FrontParam {
    #[serde(rename = "type")]
    param_type: ParamType,
    default: Option<toml::Value>,
    #[serde(default)]
    required: bool,
    help: String,
}

impl FrontParam {
    fn into_param(self, name: String) -> Result<Param, String> {
        let text = |value: &toml::Value| match value {
            toml::Value::String(text) => Some(text.clone()),
            toml::Value::Integer(number) => Some(number.to_string()),
            toml::Value::Float(number) => Some(number.to_string()),
            toml::Value::Boolean(flag) => Some(flag.to_string()),
            toml::Value::Datetime(instant) => Some(instant.to_string()),
            _ => None,
        };
        let default = match &self.default {
            None => None,
            Some(toml::Value::Array(items)) if self.param_type == ParamType::TextList => {
                let items = items.iter().map(text).collect::<Option<Vec<_>>>();
                Some(
                    items
                        .ok_or_else(|| format!("the default of `{name}` must be a list of texts"))?
                        .join(","),
                )
            }
            Some(value) => Some(
                text(value).ok_or_else(|| format!("the default of `{name}` must be one value"))?,
            ),
        };
        if self.required && default.is_some() {
            return Err(format!("`{name}` is required and has a default"));
        }
        Ok(Param {
            name,
            param_type: self.param_type,
            default,
            required: self.required,
            help: self.help,
        })
    }
}

/// All queries, by id.
#[derive(Debug, Clone, Default)]
pub struct Library {
    queries: BTreeMap<String, CannedQuery>,
}

impl Library {
    /// The queries that are part of kennel.
    ///
    /// # Errors
    /// [`LibraryError::Malformed`]: a test loads them all, so this cannot happen in a built kennel.
    pub fn embedded() -> Result<Self, LibraryError> {
        let mut library = Self::default();
        library.add_embedded(&EMBEDDED)?;
        Ok(library)
    }

    fn add_embedded(&mut self, folder: &Dir<'_>) -> Result<(), LibraryError> {
        for file in folder.files() {
            let path = file.path();
            if path.extension().is_some_and(|extension| extension == "sql") {
                let id = id_of(path);
                let text = file
                    .contents_utf8()
                    .ok_or_else(|| LibraryError::Malformed {
                        id: id.clone(),
                        line: 1,
                        message: "not UTF-8".into(),
                    })?;
                self.queries
                    .insert(id.clone(), CannedQuery::parse(&id, text)?);
            }
        }
        folder
            .dirs()
            .filter(|folder| folder.path() != Path::new(VIEWS))
            .try_for_each(|folder| self.add_embedded(folder))
    }

    /// Adds a user's folder; a query of the same id replaces the one that was there.
    ///
    /// # Errors
    /// [`LibraryError::Read`], [`LibraryError::Malformed`].
    pub fn with_folder(mut self, root: &Path) -> Result<Self, LibraryError> {
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let read = |source| LibraryError::Read {
                path: folder.clone(),
                source,
            };
            for entry in fs::read_dir(&folder).map_err(read)? {
                let entry = entry.map_err(read)?;
                let path = entry.path();
                if entry.file_type().map_err(read)?.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "sql") {
                    let text = fs::read_to_string(&path).map_err(|source| LibraryError::Read {
                        path: path.clone(),
                        source,
                    })?;
                    let id = id_of(path.strip_prefix(root).unwrap_or(&path));
                    self.queries
                        .insert(id.clone(), CannedQuery::parse(&id, &text)?);
                }
            }
        }
        Ok(self)
    }

    /// All queries, by id.
    pub fn iter(&self) -> impl Iterator<Item = &CannedQuery> {
        self.queries.values()
    }

    /// The query of this id, or of this short name where it is unique.
    ///
    /// # Errors
    /// [`LibraryError::Unknown`] with the nearest ids, [`LibraryError::Ambiguous`].
    pub fn find(&self, name: &str) -> Result<&CannedQuery, LibraryError> {
        if let Some(query) = self.queries.get(name) {
            return Ok(query);
        }
        let suffix = format!("/{name}");
        let found = self
            .iter()
            .filter(|query| query.id.ends_with(&suffix))
            .collect::<Vec<_>>();
        match found.as_slice() {
            [query] => Ok(query),
            [] => {
                let mut near = self
                    .iter()
                    .map(|query| {
                        let short = query.id.rsplit('/').next().unwrap_or(&query.id);
                        // As far as half of what was compared: a long folder makes no name nearer.
                        let near = |known: &str| {
                            let distance = strsim::damerau_levenshtein(name, known);
                            (distance * 2 <= name.len().max(known.len())).then_some(distance)
                        };
                        let distance = [near(&query.id), near(short)].into_iter().flatten().min();
                        (distance, &query.id)
                    })
                    .filter_map(|(distance, id)| Some((distance?, id)))
                    .collect::<Vec<_>>();
                near.sort_unstable();
                let nearest = near.into_iter().take(3).map(|(_, id)| id.clone()).collect();
                Err(LibraryError::Unknown {
                    id: name.into(),
                    nearest,
                })
            }
            several => Err(LibraryError::Ambiguous {
                id: name.into(),
                candidates: several.iter().map(|query| query.id.clone()).collect(),
            }),
        }
    }
}

fn id_of(path: &Path) -> String {
    let path: PathBuf = path.with_extension("");
    path.iter()
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &str = r#"-- +++
-- title = "Admins"
-- reads = ["k9.principals_latest"]
-- key = ["principal_arn"]
-- audit = { severity = "high" }
-- [params.limit]
-- type = "integer"
-- default = 5
-- help = "how many"
-- +++
-- Counts rows.
--
-- Twice.
SELECT 1
-- a comment in the SQL
FROM k9.principals_latest;
"#;

    #[test]
    fn a_query_file_has_its_parts() {
        let query = CannedQuery::parse("k9/x", QUERY).unwrap();
        assert_eq!(query.documentation, "Counts rows.\n\nTwice.");
        assert!(
            query.sql.starts_with("SELECT 1\n-- a comment")
                && query.sql.ends_with("principals_latest")
        );
        assert_eq!(query.params[0].default.as_deref(), Some("5"));
        assert!(query.is_audit());
    }

    #[test]
    fn a_wrong_file_names_its_line() {
        let error = |text: &str| CannedQuery::parse("q", text).unwrap_err().to_string();
        assert_eq!(
            error("SELECT 1"),
            "query `q`, line 1: the file must begin with `-- +++`"
        );
        assert_eq!(
            error("-- +++\n-- title = \"x\"\n"),
            "query `q`, line 1: no second `-- +++` ends the front matter"
        );
        let unknown = error(&QUERY.replace("-- key", "-- keys"));
        assert!(
            unknown.starts_with("query `q`, line 4: unknown field `keys`"),
            "{unknown}"
        );
        assert!(error("-- +++\n-- title = \"x\"\n-- +++\n-- only words\n").contains("no SQL"));
    }

    #[test]
    fn every_embedded_query_loads_and_short_names_find_it() {
        let library = Library::embedded().unwrap();
        for query in library.iter() {
            assert!(
                !query.documentation.is_empty(),
                "{} says nothing about what it counts",
                query.id
            );
            assert_eq!(library.find(&query.id).unwrap().id, query.id);
        }
        let Err(LibraryError::Unknown { nearest, .. }) = library.find("iam-admin") else {
            panic!("found")
        };
        assert_eq!(nearest.first().map(String::as_str), Some("k9/iam-admins"));
    }
}
