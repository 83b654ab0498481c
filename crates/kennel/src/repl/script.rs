//! Statements and dot commands of one text: a file, a pipe, or what was typed before Enter.
//!
//! A dot command is a line that begins with `.` or `\` where a statement could begin. What stands between
//! dot commands is SQL, and the engine takes that apart.

use kennel_engine::Engine;

use super::scan::{Kind, tokens};

/// One part of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item<'a> {
    /// Where it begins, in bytes.
    pub(crate) start: usize,
    /// Line on which it begins, from 1.
    pub(crate) line: usize,
    /// Whether it is a dot command: a line, from its dot or backslash on. Otherwise statements.
    pub(crate) is_dot: bool,
    /// Its text.
    pub(crate) text: &'a str,
}

/// Takes a script apart. Parts without content are left out.
pub(crate) fn items(text: &str) -> Vec<Item<'_>> {
    let mut cuts = Vec::new();
    let mut from = 0;
    while let Some(dot) = next_dot(text, from) {
        let end = text[dot..].find('\n').map_or(text.len(), |at| dot + at + 1);
        cuts.push((from, dot, false));
        cuts.push((dot, end, true));
        from = end;
    }
    cuts.push((from, text.len(), false));
    let whole = |(start, end, is_dot): (usize, usize, bool)| {
        let part = &text[start..end];
        let start = start + part.len() - part.trim_start().len();
        let part = part.trim();
        let has_content = is_dot || tokens(part).iter().any(|t| t.is_significant());
        has_content.then(|| Item {
            start,
            line: text[..start].matches('\n').count() + 1,
            is_dot,
            text: part,
        })
    };
    cuts.into_iter().filter_map(whole).collect()
}

/// Whether there is a dot command in it.
pub(crate) fn has_dots(text: &str) -> bool {
    next_dot(text, 0).is_some()
}

/// Where the next dot command begins, given that a statement can begin at `from`.
fn next_dot(text: &str, from: usize) -> Option<usize> {
    let rest = &text[from..];
    let mut at_start = true;
    for token in tokens(rest) {
        let found = from + token.start;
        match token.kind {
            Kind::Blank | Kind::Comment => {}
            Kind::Semicolon => at_start = true,
            Kind::Symbol if at_start && is_dot(&text[found..]) && opens_line(text, found) => {
                return Some(found);
            }
            _ => at_start = false,
        }
    }
    None
}

/// `.tables`, `\d`, `\!`, `\?`; not `.5`.
fn is_dot(text: &str) -> bool {
    let mut characters = text.chars();
    let (first, second) = (characters.next(), characters.next());
    match first {
        Some('.') => second.is_none_or(|c| c.is_ascii_alphabetic() || c.is_whitespace()),
        Some('\\') => true,
        _ => false,
    }
}

fn opens_line(text: &str, at: usize) -> bool {
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    text[line_start..at]
        .chars()
        .all(|c| c.is_whitespace() || c == '\u{feff}')
}

/// Whether what was typed can be executed: its last part is a dot command, a word that leaves, nothing at
/// all, or SQL that a semicolon ends.
pub(crate) fn is_complete(text: &str) -> bool {
    match items(text).last() {
        None => !has_open_comment(text),
        Some(item) if item.is_dot => true,
        Some(item) => is_farewell(text) || Engine::is_complete(item.text),
    }
}

/// `quit` or `exit`, with or without a semicolon: what people try first.
pub(crate) fn is_farewell(text: &str) -> bool {
    let word = text.trim().trim_end_matches(';').trim_end();
    ["quit", "exit"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}

fn has_open_comment(text: &str) -> bool {
    let open = tokens(text)
        .last()
        .copied()
        .filter(|token| !token.is_closed);
    open.is_some_and(|token| token.text(text).starts_with("/*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<(usize, bool, &str)> {
        let items = items(text).into_iter();
        items
            .map(|item| (item.line, item.is_dot, item.text))
            .collect()
    }

    #[test]
    fn dot_commands_stand_where_a_statement_could_begin() {
        let script = "-- a script\n.mode csv\nSELECT 1;\n  .tables k9\nSELECT\n.5, '\n.quit\n' AS x;\n\\d x\n";
        assert_eq!(
            parts(script),
            [
                (2, true, ".mode csv"),
                (3, false, "SELECT 1;"),
                (4, true, ".tables k9"),
                (5, false, "SELECT\n.5, '\n.quit\n' AS x;"),
                (9, true, "\\d x"),
            ]
        );
        assert!(!has_dots("SELECT 1; SELECT .5"));
        assert!(
            !has_dots("SELECT 1\n.tables"),
            "the statement is not at its end"
        );
        assert_eq!(parts(" ;; -- nothing\n"), [(1, false, ";; -- nothing")]);
        assert_eq!(parts("\u{feff}.help\r\nSELECT 1").len(), 2);
    }

    #[test]
    fn an_odd_quote_in_a_dot_command_does_not_swallow_what_follows() {
        let script = ".shell echo it's me\nSELECT 1;";
        assert_eq!(
            parts(script),
            [(1, true, ".shell echo it's me"), (2, false, "SELECT 1;")]
        );
    }

    #[test]
    fn enter_runs_what_is_complete() {
        for text in [
            "",
            "  ",
            "-- x",
            ".tables",
            "\\q",
            "quit",
            "EXIT;",
            "SELECT 1;",
            "SELECT 1; -- x",
            "SELECT 1;\n.help",
        ] {
            assert!(is_complete(text), "{text:?}");
        }
        for text in [
            "SELECT 1",
            "SELECT ';",
            "/* x",
            "SELECT 1;\nSELECT",
            "quit SELECT",
            "SELECT\n.help",
        ] {
            assert!(!is_complete(text), "{text:?}");
        }
    }
}
