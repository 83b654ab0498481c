//! What the questions about principals have in common: they observe, say what they rest on, and answer with rows.

use kennel_engine::Engine;

use super::{
    observe::{self, Detail, Observation, WindowArgs},
    rows::{self, Column},
};
use crate::{
    commands::questions::{OutputArgs, Verdict},
    context::Context,
    error::CliError,
    exit::Exit,
};

/// A question about principals, from the first look at the cache to the exit code.
pub(super) struct Inquiry<'c> {
    /// Over the whole cache.
    pub(super) engine: Engine,
    /// What the answer lacks, so far.
    pub(super) verdict: Verdict,
    /// Terminal and cache.
    pub(super) cx: &'c Context,
}

impl<'c> Inquiry<'c> {
    pub(super) fn open(cx: &'c Context) -> Result<Self, CliError> {
        Ok(Self {
            engine: observe::engine(cx)?,
            verdict: Verdict::default(),
            cx,
        })
    }

    /// Reads the calls of a principal, and says what was looked at.
    pub(super) async fn observe(
        &mut self,
        principal: &str,
        window: &WindowArgs,
        detail: Detail,
    ) -> Result<Observation, CliError> {
        let (seen, notes) = self.observe_quietly(principal, window, detail).await?;
        for line in notes {
            self.cx.printer.info(&line);
        }
        Ok(seen)
    }

    /// Reads the calls of a principal; what was looked at is for the caller to say.
    pub(super) async fn observe_quietly(
        &mut self,
        principal: &str,
        window: &WindowArgs,
        detail: Detail,
    ) -> Result<(Observation, Vec<String>), CliError> {
        let (engine, verdict) = (&self.engine, &mut self.verdict);
        let seen = observe::observe(engine, principal, window, detail, verdict, self.cx);
        let seen = Box::pin(seen);
        let services = Box::pin(observe::data_services(engine, self.cx));
        let (seen, services) = futures::try_join!(seen, services)?;
        let notes = observe::notes(&seen, principal, services, self.cx)?;
        Ok((seen, notes))
    }

    /// Writes the rows; the exit code tells what they lack or found.
    pub(super) fn answer(
        self,
        columns: Vec<Column>,
        output: &OutputArgs,
        name: &str,
    ) -> Result<Exit, CliError> {
        rows::write(
            columns,
            output.format,
            output.output.as_deref(),
            name,
            self.cx,
        )?;
        Ok(self.verdict.exit())
    }
}
