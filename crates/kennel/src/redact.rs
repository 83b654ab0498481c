//! `--redact`: accounts, ARNs, names, addresses and keys replaced by stable tokens, so that a result can be shown to
//! people who may not know them. What is promised, and what is not, is in docs/redaction.md.
//!
//! [`Redactor::answer`] redacts the rows by what their columns are made from, [`Redactor::about`] what stands around them,
//! [`Redactor::text`] messages. The tokens are made with a key of the home.

mod columns;
mod json;
mod memory;
mod pattern;
mod token;

use std::{borrow::Cow, collections::BTreeSet, fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::new_empty_array,
        datatypes::{Schema, SchemaRef},
        error::ArrowError,
        record_batch::RecordBatch,
    },
    physical_plan::stream::RecordBatchStreamAdapter,
};
use futures::StreamExt;
use kennel_cache::{AccountId, CustomerId, Home, View};
use kennel_engine::{Answer, Caveat, Library, Origins, ReportUsed, RowMap};

use crate::{context::Context, error::CliError, output::About};

pub(crate) use columns::Class;
use columns::{class_of, redact_array};
pub(crate) use memory::Memory;
use token::Tokens;

/// Stands where something was that must not even have a token.
const REMOVED: &str = "[removed]";

/// Whether results are redacted.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct RedactArgs {
    /// Replace accounts, ARNs, names, addresses and keys by stable tokens (docs/redaction.md)
    #[arg(long)]
    pub(crate) redact: bool,
}

impl RedactArgs {
    /// The redactor, if one is wanted. Whatever is printed from now on is redacted, too.
    ///
    /// # Errors
    /// As [`Redactor::open`].
    pub(crate) fn open(self, cx: &Context) -> Result<Option<Arc<Redactor>>, CliError> {
        if !self.redact {
            return Ok(None);
        }
        let redactor = Arc::new(Redactor::open(cx)?);
        cx.printer.set_redactor(Arc::clone(&redactor));
        Ok(Some(redactor))
    }
}

/// Replaces what tells whose data it is.
pub(crate) struct Redactor {
    tokens: Tokens,
    /// Names without a form of their own that stand in messages: customers, buckets. Longer ones first.
    known: Vec<String>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor([redacted])")
    }
}

impl Redactor {
    /// With the key of the home, which is made when there is none.
    ///
    /// # Errors
    /// When the key can neither be read nor made, or the manifest not be read.
    pub(crate) fn open(cx: &Context) -> Result<Self, CliError> {
        let key = Home::new(cx.home()).redaction_key()?;
        let mut known = BTreeSet::new();
        let urls = cx.settings.sources.iter().map(|source| source.url.clone());
        let mut urls = urls.collect::<Vec<_>>();
        if let Some(cache) = cx.cache()? {
            let accounts = cache.accounts(View::All)?;
            known.extend(accounts.iter().map(|account| account.0.to_string()));
            urls.extend(cache.sources()?.into_iter().map(|source| source.url));
        }
        for url in &urls {
            let Some((scheme, place)) = url.split_once("://") else {
                continue;
            };
            known.insert(place.trim_end_matches('/').to_owned());
            let bucket = place.split('/').next().filter(|_| scheme == "s3");
            known.extend(bucket.map(str::to_owned));
        }
        Ok(Self::new(&key, known))
    }

    fn new(key: &[u8; 32], known: BTreeSet<String>) -> Self {
        let mut known = known
            .into_iter()
            .filter(|name| name.len() > 2)
            .collect::<Vec<_>>();
        known.sort_by_key(|name| std::cmp::Reverse(name.len()));
        Self {
            tokens: Tokens::new(key),
            known,
        }
    }

    /// A message: what is recognised by its form, and the names of customers and buckets.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut text = Cow::Borrowed(text);
        for name in &self.known {
            if text.contains(name.as_str()) {
                text = Cow::Owned(replaced_words(&text, name, &self.tokens.of_value(name)));
            }
        }
        pattern::redact(&text, &self.tokens)
    }

    /// A name.
    pub(crate) fn name(&self, name: &str) -> String {
        self.tokens.of_value(name)
    }

    /// A failure, which may quote values of the data.
    pub(crate) fn failure(&self, text: &str) -> String {
        let mut redacted = String::with_capacity(text.len());
        for (index, piece) in text.split('\'').enumerate() {
            if index > 0 {
                redacted.push('\'');
            }
            match index % 2 {
                1 => redacted.push_str(&self.tokens.of_value(piece)),
                _ => redacted.push_str(&self.text(piece)),
            }
        }
        redacted
    }

    /// The rows of an answer, its columns' names, and what it rests on and lacks.
    ///
    /// # Errors
    /// A type in which texts cannot be found.
    pub(crate) fn answer(self: &Arc<Self>, answer: Answer) -> Result<Answer, CliError> {
        let origins = answer.reading.origins();
        let (schema, classes) = self
            .schema(&answer.schema, &origins)
            .map_err(|e| CliError::new("this result cannot be redacted").cause(&e))?;
        let redactor = Arc::clone(self);
        let target = Arc::clone(&schema);
        let batches = answer
            .stream
            .map(move |batch| Ok(redactor.batch(&batch?, &classes, &target)?));
        Ok(Answer {
            schema: Arc::clone(&schema),
            stream: Box::pin(RecordBatchStreamAdapter::new(schema, batches)),
            caveats: answer
                .caveats
                .iter()
                .map(|caveat| self.caveat(caveat))
                .collect(),
            reports: answer
                .reports
                .iter()
                .map(|report| self.report(report))
                .collect(),
            reading: answer.reading,
        })
    }

    /// An answer whose rows are redacted already.
    pub(crate) fn around(&self, answer: Answer) -> Answer {
        Answer {
            caveats: answer
                .caveats
                .iter()
                .map(|caveat| self.caveat(caveat))
                .collect(),
            reports: answer
                .reports
                .iter()
                .map(|report| self.report(report))
                .collect(),
            ..answer
        }
    }

    /// What [`kennel_engine::DiffOptions`] takes; what it makes of values is kept.
    pub(crate) fn rows(self: &Arc<Self>, memory: &Arc<Memory>) -> RowMap {
        let redactor = Arc::clone(self);
        let memory = Arc::clone(memory);
        Arc::new(move |batch: &RecordBatch, columns: &[(String, Origins)]| {
            let arrays = batch.columns().iter().zip(columns);
            let arrays = arrays.map(|(array, (name, origins))| {
                let redacted = redact_array(array, class_of(name, origins), &redactor.tokens)?;
                memory.keep(name, array, &redacted);
                Ok(redacted)
            });
            let arrays = arrays.collect::<Result<Vec<_>, ArrowError>>()?;
            let fields = batch
                .schema()
                .fields()
                .iter()
                .map(columns::nullable)
                .collect::<Vec<_>>();
            RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        })
    }

    /// What stands around rows: parameters, statement, prose. A statement of a user's is left out: names stand in it
    /// anywhere.
    pub(crate) fn about(&self, about: About) -> About {
        let is_ours = Library::embedded().is_ok_and(|library| {
            let mut queries = library.iter();
            queries.any(|query| Some(query.sql.trim()) == about.sql.as_deref())
        });
        let text = |text: Option<String>| match is_ours {
            true => text,
            false => text.map(|text| self.text(&text)),
        };
        About {
            name: self.text(&about.name),
            title: text(about.title),
            documentation: text(about.documentation),
            sql: about.sql.filter(|_| is_ours),
            params: about
                .params
                .into_iter()
                .map(|(name, value)| {
                    let value = self.param(&value);
                    (name, value)
                })
                .collect(),
            caveats: about
                .caveats
                .iter()
                .map(|caveat| self.caveat(caveat))
                .collect(),
            reports: about
                .reports
                .iter()
                .map(|report| self.report(report))
                .collect(),
            ..about
        }
    }

    /// Numbers and defaults name nobody.
    pub(crate) fn param(&self, value: &str) -> String {
        let is_number = value.len() < 9 && value.parse::<f64>().is_ok();
        match is_number || value.ends_with(" (the default)") {
            true => value.to_owned(),
            false => self.tokens.of_value(value),
        }
    }

    fn caveat(&self, caveat: &Caveat) -> Caveat {
        Caveat {
            kind: caveat.kind,
            message: self.text(&caveat.message),
            hint: caveat.hint.as_ref().map(|hint| self.text(hint)),
        }
    }

    pub(crate) fn report(&self, report: &ReportUsed) -> ReportUsed {
        ReportUsed {
            customer_id: CustomerId::new(self.tokens.of_value(report.customer_id.as_str())),
            account_id: AccountId::new(self.tokens.of_value(report.account_id.as_str())),
            ..report.clone()
        }
    }

    /// The redacted schema, and what each column holds.
    pub(crate) fn schema(
        &self,
        schema: &SchemaRef,
        origins: &[Origins],
    ) -> Result<(SchemaRef, Vec<Class>), ArrowError> {
        let none = Origins::new();
        let (mut fields, mut classes) = (Vec::new(), Vec::new());
        for (index, field) in schema.fields().iter().enumerate() {
            let class = class_of(field.name(), origins.get(index).unwrap_or(&none));
            let empty = redact_array(&new_empty_array(field.data_type()), class, &self.tokens)?;
            let named = pattern::redact(field.name(), &self.tokens);
            let field = field.as_ref().clone().with_name(named);
            fields.push(
                field
                    .with_data_type(empty.data_type().clone())
                    .with_nullable(true),
            );
            classes.push(class);
        }
        Ok((Arc::new(Schema::new(fields)), classes))
    }

    pub(crate) fn batch(
        &self,
        batch: &RecordBatch,
        classes: &[Class],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, ArrowError> {
        let arrays = batch.columns().iter().zip(classes);
        let arrays = arrays.map(|(array, class)| redact_array(array, *class, &self.tokens));
        RecordBatch::try_new(Arc::clone(schema), arrays.collect::<Result<Vec<_>, _>>()?)
    }
}

/// Replaces a name where it is a word of its own.
fn replaced_words(text: &str, name: &str, token: &str) -> String {
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        let is_word = !is_part(before.chars().next_back()) && !is_part(after.chars().next());
        replaced.push_str(before);
        replaced.push_str(if is_word { token } else { name });
        rest = after;
    }
    replaced.push_str(rest);
    replaced
}

#[cfg(test)]
mod tests;
