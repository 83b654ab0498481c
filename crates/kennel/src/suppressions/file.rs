//! The file of suppressions: its keys, and what is wrong with them.

use std::{
    collections::{BTreeMap, HashSet},
    fmt, fs,
    ops::Range,
    path::Path,
};

use chrono::{DateTime, NaiveDate, Utc};
use kennel_engine::Library;
use kennel_policy::pattern::Pattern;
use toml::Spanned;

use super::{Suppressions, has_wildcard};
use crate::{
    error::{CliError, place_of, toml_error},
    text::nearest,
};

/// What helps whoever writes such a file.
const EXAMPLE: &str = "docs/suppressions.md has an example of every key";

/// The file as it is written.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default)]
    suppress: Vec<Spanned<Entry>>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Option<Spanned<String>>,
    id: Spanned<String>,
    #[serde(rename = "match")]
    columns: Spanned<BTreeMap<String, Spanned<toml::Value>>>,
    owner: Spanned<String>,
    reason: Spanned<String>,
    expires: Option<Spanned<toml::Value>>,
}

/// Which findings are accepted, by whom, why, and until when.
#[derive(Debug, Clone)]
pub(crate) struct Suppression {
    /// What it is called; unique in its file.
    pub(crate) name: String,
    /// The id of a question, or a pattern of ids.
    pub(crate) id: String,
    /// Who answers for it.
    pub(crate) owner: String,
    /// Why it is right.
    pub(crate) reason: String,
    /// Until when; `None` is forever.
    pub(crate) expires: Option<Expiry>,
    /// What each of these columns must hold, and where the file says so.
    pub(super) columns: Vec<(String, Wanted, Range<usize>)>,
}

/// What a column must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// One of these texts.
    Text(HashSet<String>),
    /// A text like this.
    Like(Pattern),
}

impl Wanted {
    /// Null is neither a text nor like one.
    pub(super) fn fits(&self, value: Option<&str>) -> bool {
        match (self, value) {
            (_, None) => false,
            (Self::Text(texts), Some(value)) => texts.contains(value),
            (Self::Like(pattern), Some(value)) => pattern.matches(value),
        }
    }
}

/// When a suppression ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// When this day (UTC) is over.
    Day(NaiveDate),
    /// At this instant.
    At(DateTime<Utc>),
}

impl Expiry {
    /// Whether it was over at a time.
    pub(crate) fn is_past(self, at: DateTime<Utc>) -> bool {
        match self {
            Self::Day(day) => day < at.date_naive(),
            Self::At(instant) => instant <= at,
        }
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => write!(f, "{day}"),
            Self::At(instant) => f.write_str(&crate::text::instant(*instant)),
        }
    }
}

impl Suppressions {
    /// Reads a file; its ids must be those of the library.
    ///
    /// # Errors
    /// A file that cannot be read or understood: the entry and the place are named.
    pub(crate) fn load(path: &Path, library: &Library) -> Result<Self, CliError> {
        let shown = path.display();
        let text = fs::read_to_string(path).map_err(|e| {
            CliError::new(format!("cannot read the suppressions `{shown}`")).cause(&e)
        })?;
        Self::parse(&shown.to_string(), text, library)
    }

    /// Reads the text of a file of this name.
    pub(super) fn parse(file: &str, text: String, library: &Library) -> Result<Self, CliError> {
        let content = toml::from_str::<Content>(&text).map_err(|error| {
            let message = format!("cannot understand the suppressions `{file}`");
            toml_error(message, &text, &error).hint(EXAMPLE)
        })?;
        let mut suppressions = Self {
            file: file.to_owned(),
            text,
            entries: Vec::new(),
        };
        let mut names = HashSet::new();
        for (index, entry) in content.suppress.into_iter().enumerate() {
            let span = entry.span();
            let named = entry.get_ref().name.as_ref().map(Spanned::span);
            let entry = Reader {
                suppressions: &suppressions,
                number: index + 1,
                library,
            }
            .read(entry.into_inner())?;
            if !names.insert(entry.name.clone()) {
                let message = format!("two suppressions are called `{}`", entry.name);
                return Err(suppressions.wrong(message, named.unwrap_or(span), None));
            }
            suppressions.entries.push(entry);
        }
        Ok(suppressions)
    }

    /// An error at a place of the file.
    pub(super) fn wrong(
        &self,
        message: String,
        span: Range<usize>,
        remark: Option<String>,
    ) -> CliError {
        let place = place_of(&self.text, span);
        CliError::new(message)
            .excerpt(&self.text, place, remark.as_deref())
            .in_file(&self.file)
    }
}

/// Reads one entry.
struct Reader<'a> {
    suppressions: &'a Suppressions,
    /// Which entry of the file it is, from 1.
    number: usize,
    library: &'a Library,
}

impl Reader<'_> {
    fn read(&self, entry: Entry) -> Result<Suppression, CliError> {
        let name = match &entry.name {
            Some(name) => self.text("name", name)?,
            None => format!("suppression-{}", self.number),
        };
        let owner = self.text("owner", &entry.owner)?;
        let reason = self.text("reason", &entry.reason)?;
        let id = self.id(&entry.id)?;
        if entry.columns.get_ref().is_empty() {
            let what = "matches every row: name at least one column";
            return Err(self.wrong("match", what, entry.columns.span()));
        }
        let columns = entry.columns.into_inner().into_iter().map(|(name, value)| {
            let span = value.span();
            let wanted = self.wanted(&name, value)?;
            Ok((name.to_lowercase(), wanted, span))
        });
        let columns = columns.collect::<Result<Vec<_>, CliError>>()?;
        let expires = entry.expires.map(|value| self.expiry(value)).transpose()?;
        Ok(Suppression {
            name,
            id,
            owner,
            reason,
            expires,
            columns,
        })
    }

    fn text(&self, key: &str, value: &Spanned<String>) -> Result<String, CliError> {
        match value.get_ref().trim() {
            "" => Err(self.wrong(key, "is empty", value.span())),
            text => Ok(text.to_owned()),
        }
    }

    /// The whole id where a short name is given.
    fn id(&self, id: &Spanned<String>) -> Result<String, CliError> {
        let text = self.text("id", id)?;
        let ids = || self.library.iter().map(|query| query.id.as_str());
        if has_wildcard(&text) {
            let pattern = Pattern::without_escapes(&text);
            return match ids().any(|id| pattern.matches(id)) {
                true => Ok(text),
                false => Err(self.wrong("id", "matches no question", id.span())),
            };
        }
        match self.library.find(&text) {
            Ok(query) => Ok(query.id.clone()),
            Err(error) => {
                let known = nearest(&text, ids());
                let remark = known.map(|id| format!("did you mean `{id}`?"));
                let message = format!("suppression {}: {error}", self.number);
                Err(self
                    .suppressions
                    .wrong(message, id.span(), remark)
                    .hint("`kennel list` shows all questions"))
            }
        }
    }

    fn wanted(&self, column: &str, value: Spanned<toml::Value>) -> Result<Wanted, CliError> {
        let span = value.span();
        let wrong = || {
            let what = format!(
                "of column `{column}` is a text, a list of texts, a whole number, true, false, or {{ glob = \"text*\" }}"
            );
            self.wrong("match", &what, span.clone())
        };
        let plain = |value: toml::Value| match value {
            toml::Value::String(text) => Some(text),
            toml::Value::Integer(number) => Some(number.to_string()),
            toml::Value::Boolean(truth) => Some(truth.to_string()),
            _ => None,
        };
        match value.into_inner() {
            toml::Value::Array(items) if !items.is_empty() => {
                let texts = items.into_iter().map(plain).collect::<Option<HashSet<_>>>();
                texts.map(Wanted::Text).ok_or_else(wrong)
            }
            toml::Value::Table(mut table) => match (table.remove("glob"), table.is_empty()) {
                (Some(toml::Value::String(glob)), true) => {
                    Ok(Wanted::Like(Pattern::without_escapes(&glob)))
                }
                _ => Err(wrong()),
            },
            value => match plain(value) {
                Some(text) => Ok(Wanted::Text(HashSet::from([text]))),
                None => Err(wrong()),
            },
        }
    }

    fn expiry(&self, value: Spanned<toml::Value>) -> Result<Expiry, CliError> {
        let span = value.span();
        let text = match value.into_inner() {
            toml::Value::Datetime(datetime) => datetime.to_string(),
            toml::Value::String(text) => text,
            _ => String::new(),
        };
        if let Ok(day) = NaiveDate::parse_from_str(&text, "%Y-%m-%d") {
            return Ok(Expiry::Day(day));
        }
        if let Ok(instant) = DateTime::parse_from_rfc3339(&text) {
            return Ok(Expiry::At(instant.to_utc()));
        }
        let what = "is a day (2026-06-30: it holds until that day is over, UTC) or an instant with its offset";
        Err(self.wrong("expires", what, span))
    }

    fn wrong(&self, key: &str, what: &str, span: Range<usize>) -> CliError {
        let message = format!("suppression {}: `{key}` {what}", self.number);
        self.suppressions.wrong(message, span, None)
    }
}
