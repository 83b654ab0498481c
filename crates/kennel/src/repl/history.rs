//! What was typed before, across sessions: a private file in the platform's folder for state.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nu_ansi_term::Style;
use reedline::{
    FileBackedHistory, Hinter, History, HistoryItem, HistoryItemId, HistorySessionId, Result,
    SearchQuery,
};

use crate::text::is_unsafe;

/// Lines that are kept.
const MOST_LINES: usize = 10_000;
/// From so many characters on a line is hinted at.
const LEAST_TYPED: usize = 2;

/// Where the history lies: never below the cache.
pub(super) fn path() -> Option<PathBuf> {
    let dirs = directories::BaseDirs::new()?;
    let state = dirs.state_dir().unwrap_or_else(|| dirs.cache_dir());
    Some(state.join("kennel").join("sql-history"))
}

/// Opens the history, made private: statements name people and accounts.
///
/// # Errors
/// A folder or file that cannot be made, read or locked.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn History>> {
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
    }
    drop(file);
    let history = FileBackedHistory::with_file(MOST_LINES, path.to_owned())
        .map_err(|e| io::Error::other(e.to_string()))?;
    Ok(Box::new(Harmless(history)))
}

/// A history whose lines cannot steer the terminal, whoever wrote them.
struct Harmless(FileBackedHistory);

fn harmless(mut item: HistoryItem) -> HistoryItem {
    let is_bad = |c: char| is_unsafe(c) && !matches!(c, '\n' | '\t');
    if item.command_line.contains(is_bad) {
        item.command_line = item.command_line.replace(is_bad, "\u{fffd}");
    }
    item
}

impl History for Harmless {
    fn save(&mut self, item: HistoryItem) -> Result<HistoryItem> {
        self.0.save(harmless(item))
    }

    fn load(&self, id: HistoryItemId) -> Result<HistoryItem> {
        self.0.load(id).map(harmless)
    }

    fn count(&self, query: SearchQuery) -> Result<i64> {
        self.0.count(query)
    }

    fn search(&self, query: SearchQuery) -> Result<Vec<HistoryItem>> {
        Ok(self.0.search(query)?.into_iter().map(harmless).collect())
    }

    fn update(
        &mut self,
        id: HistoryItemId,
        updater: &dyn Fn(HistoryItem) -> HistoryItem,
    ) -> Result<()> {
        self.0.update(id, updater)
    }

    fn clear(&mut self) -> Result<()> {
        self.0.clear()
    }

    fn delete(&mut self, id: HistoryItemId) -> Result<()> {
        self.0.delete(id)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }

    fn session(&self) -> Option<HistorySessionId> {
        self.0.session()
    }
}

/// Shows, dimmed, how the last line went on that began so.
#[derive(Default)]
pub(super) struct Hints {
    rest: String,
}

impl Hinter for Hints {
    fn handle(
        &mut self,
        line: &str,
        _pos: usize,
        history: &dyn History,
        use_ansi_coloring: bool,
        _cwd: &str,
    ) -> String {
        self.rest.clear();
        // Without colours nothing would tell a hint from what was typed.
        if use_ansi_coloring && line.chars().count() >= LEAST_TYPED {
            let query = SearchQuery::last_with_prefix(line.to_owned(), history.session());
            let found = history.search(query).unwrap_or_default();
            let rest = found
                .first()
                .and_then(|item| item.command_line.get(line.len()..));
            self.rest = rest.unwrap_or_default().to_owned();
        }
        match self.rest.as_str() {
            "" => String::new(),
            rest => Style::new().dimmed().paint(rest).to_string(),
        }
    }

    fn complete_hint(&self) -> String {
        self.rest.clone()
    }

    fn next_hint_token(&self) -> String {
        let begins = self.rest.len() - self.rest.trim_start().len();
        let end = self.rest[begins..].find(char::is_whitespace);
        self.rest[..end.map_or(self.rest.len(), |end| begins + end)].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_private_harmless_and_outlives_the_session() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/sql-history");
        let mut history = open(&path).unwrap();
        for line in ["SELECT 1;", "SELECT\n  2;", "SELECT '\u{1b}[2J';"] {
            history.save(HistoryItem::from_command_line(line)).unwrap();
        }
        drop(history);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            drop(open(&path).unwrap());
            assert_eq!(mode(&path), 0o600);
        }
        let history = open(&path).unwrap();
        let mut hints = Hints::default();
        hints.handle("SELECT\n", 7, history.as_ref(), true, "");
        assert_eq!(hints.complete_hint(), "  2;");
        hints.handle("SELECT '", 8, history.as_ref(), true, "");
        assert_eq!(hints.complete_hint(), "\u{fffd}[2J';");
        assert_eq!(hints.handle("SELECT", 6, history.as_ref(), false, ""), "");
    }
}
