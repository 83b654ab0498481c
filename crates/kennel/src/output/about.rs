//! What is known of a result besides its rows. Tables for people show a title at most; a page or a workbook is read
//! without the terminal beside it, so it says what its rows rest on and what they lack.

use kennel_engine::{Caveat, CaveatKind, ReportUsed};

/// A result's own words.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    /// Short and unique among the results of a call: the id of a query, `result-2`.
    pub(crate) name: String,
    /// One line.
    pub(crate) title: Option<String>,
    /// How bad a row is, where rows are findings.
    pub(crate) severity: Option<&'static str>,
    /// What exactly is counted, in prose.
    pub(crate) documentation: Option<String>,
    /// The state of the cache that was asked for, as it was asked for.
    pub(crate) as_of: Option<String>,
    /// Parameters and their values.
    pub(crate) params: Vec<(String, String)>,
    /// The statement.
    pub(crate) sql: Option<String>,
    /// What the answer lacks, worst first.
    pub(crate) caveats: Vec<Caveat>,
    /// The reports it rests on.
    pub(crate) reports: Vec<ReportUsed>,
}

impl About {
    /// A result that has only a name.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// The heading: `k9/iam-admins: Principals that can administer IAM`.
    pub(crate) fn heading(&self) -> String {
        match &self.title {
            Some(title) if self.name.is_empty() => title.clone(),
            Some(title) => format!("{}: {title}", self.name),
            None => self.name.clone(),
        }
    }

    /// The caveats that make an answer less than whole.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = &Caveat> {
        self.caveats
            .iter()
            .filter(|caveat| caveat.kind != CaveatKind::Note)
    }

    /// In two words, whether the answer is whole; `None` where nothing speaks against it.
    pub(crate) fn lack(&self) -> Option<&'static str> {
        lack(self.caveats.iter().map(|caveat| caveat.kind).max()?)
    }
}

/// What a kind of caveat says about the answer.
pub(crate) fn lack(kind: CaveatKind) -> Option<&'static str> {
    match kind {
        CaveatKind::Absent => Some("no data"),
        CaveatKind::Partial => Some("incomplete"),
        CaveatKind::Note => None,
    }
}
