//! The suppressions of one call of a command, between its answers and its output.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use kennel_engine::{Answer, Caveat, CaveatKind, Engine, Library};

use super::{SharedSieve, Sieve, SuppressArgs, Suppressions, Tally, strained};
use crate::{context::Context, error::CliError, redact::Memory};

/// The suppressions of a call, if there are any.
pub(crate) struct Sieves {
    at: DateTime<Utc>,
    suppressions: Option<(Suppressions, Tally)>,
    shows_suppressed: bool,
}

impl Sieves {
    /// Reads the file. With `shows_suppressed`, what it hides is shown and the rest is not.
    ///
    /// # Errors
    /// As [`Suppressions::load`]; when there is nothing to show.
    pub(crate) fn open(
        args: &SuppressArgs,
        shows_suppressed: bool,
        engine: &Engine,
        cx: &Context,
    ) -> Result<Self, CliError> {
        let suppressions = args.load(engine.library(), cx)?;
        if suppressions.is_none() && shows_suppressed {
            return Err(CliError::new("there are no suppressions").hint(
                "they are read from suppressions.toml beside the config file, or from `--suppressions FILE`",
            ));
        }
        let at = match suppressions {
            Some(_) => Suppressions::judged_at(engine, cx)?,
            None => cx.now(),
        };
        Ok(Self {
            at,
            suppressions: suppressions.map(|suppressions| {
                let tally = suppressions.tally(at);
                (suppressions, tally)
            }),
            shows_suppressed,
        })
    }

    /// The columns that suppressions are on.
    pub(crate) fn columns(&self) -> BTreeSet<String> {
        let suppressions = self.suppressions.iter();
        suppressions.flat_map(|(all, _)| all.columns()).collect()
    }

    /// Puts the question's sieve between its rows and the output.
    ///
    /// # Errors
    /// As [`Suppressions::sieve`].
    pub(crate) fn before(
        &self,
        question: &str,
        answer: Answer,
    ) -> Result<(Answer, Option<SharedSieve>), CliError> {
        let Some((suppressions, _)) = &self.suppressions else {
            return Ok((answer, None));
        };
        let sieve = suppressions.sieve(question, &answer.schema, self.at)?;
        Ok(self.strain(suppressions, sieve, answer))
    }

    /// The same for the changes of a question, which have tokens where there is a memory of them.
    pub(crate) fn before_changes(
        &self,
        question: &str,
        answer: Answer,
        memory: Option<&Arc<Memory>>,
        cx: &Context,
    ) -> (Answer, Option<SharedSieve>) {
        let Some((suppressions, _)) = &self.suppressions else {
            return (answer, None);
        };
        let (sieve, told) = suppressions.sieve_of_changes(question, &answer.schema, self.at);
        for note in told {
            cx.printer.info(&format!("note: {note}"));
        }
        let sieve = match memory {
            Some(memory) => sieve.of_tokens(memory),
            None => sieve,
        };
        self.strain(suppressions, sieve, answer)
    }

    fn strain(
        &self,
        suppressions: &Suppressions,
        sieve: Sieve,
        answer: Answer,
    ) -> (Answer, Option<SharedSieve>) {
        if sieve.is_empty() && !self.shows_suppressed {
            return (answer, Some(Arc::new(Mutex::new(sieve))));
        }
        let mut caveats = answer.caveats;
        if !self.shows_suppressed {
            let message = suppressions.announcement(&sieve);
            caveats.push(Caveat::new(CaveatKind::Note, message));
        }
        let sieve = Arc::new(Mutex::new(sieve));
        let stream = strained(answer.stream, &sieve, self.shows_suppressed);
        let answer = Answer {
            schema: stream.schema(),
            stream,
            caveats,
            ..answer
        };
        (answer, Some(sieve))
    }

    /// Counts what a sieve did, when its rows are written. `is_whole` as for [`Tally::add`].
    pub(crate) fn after(&mut self, sieve: Option<SharedSieve>, is_whole: bool) {
        if let (Some(sieve), Some((_, tally))) = (sieve, &mut self.suppressions) {
            let sieve = sieve.lock().unwrap_or_else(PoisonError::into_inner);
            tally.add(&sieve, is_whole);
        }
    }

    /// Says what was suppressed, what is back, and what is for nothing.
    pub(crate) fn tell(&self, library: &Library, cx: &Context) {
        if let Some((_, tally)) = &self.suppressions {
            tally.tell(library, &cx.printer);
        }
    }
}
