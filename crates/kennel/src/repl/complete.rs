//! What could follow the cursor. [`complete`] is pure: a line, a place in it, a vocabulary; [`Completions`]
//! hands it to the editor.

mod dots;
mod words;

use std::sync::Arc;

use kennel_engine::TableShape;
use reedline::{Completer, Span, Suggestion};

use self::{
    dots::dot_command,
    words::{Word, bare, field_word, fields_at, offer, table_word},
};
use super::{
    keywords::{KEYWORDS, is_keyword},
    names::{ColumnId, Names, Vocabulary},
    scan::{Kind, Token, is_word_part, tokens},
    script,
};

/// Suggestions that a menu gets, at most.
const MOST: usize = 200;
/// Words after which a table is named.
const BEFORE_TABLES: [&str; 7] = [
    "FROM",
    "JOIN",
    "TABLE",
    "DESCRIBE",
    "DESC",
    "INTO",
    "PARTITIONS",
];

/// What could follow.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Completion {
    pub(super) suggestions: Vec<Suggestion>,
    /// Values that are not loaded yet.
    pub(super) wanted: Option<ColumnId>,
}

/// The editor's way in.
pub(super) struct Completions {
    names: Arc<Names>,
}

impl Completions {
    pub(super) fn new(names: Arc<Names>) -> Self {
        Self { names }
    }
}

impl Completer for Completions {
    fn complete(&mut self, line: &str, pos: usize) -> Vec<Suggestion> {
        let completion = complete(line, pos, &self.names.words());
        if let Some(id) = completion.wanted {
            self.names.want(id);
        }
        completion.suggestions
    }

    fn has_pending(&mut self) -> bool {
        self.names.is_loading()
    }

    fn check_pending(&mut self) -> bool {
        self.names.take_news()
    }
}

/// What could stand at `pos` of a line.
pub(super) fn complete(line: &str, pos: usize, words: &Vocabulary) -> Completion {
    let pos = (0..=pos.min(line.len()))
        .rev()
        .find(|at| line.is_char_boundary(*at))
        .unwrap_or(0);
    let items = script::items(line);
    let here = items.iter().rfind(|item| item.start <= pos);
    if let Some(item) = here.filter(|item| item.is_dot) {
        let typed = &line[item.start..pos];
        if !typed.contains('\n') {
            return dot_command(typed, item.start, words);
        }
    }
    Statement::around(line, pos, words).complete()
}

/// The statement around the cursor.
struct Statement<'a> {
    line: &'a str,
    pos: usize,
    words: &'a Vocabulary,
    /// Its tokens, those after the cursor too: what is selected from is often named there.
    tokens: Vec<Token>,
    /// How many of the significant ones end at or before the word that is being typed.
    before: Vec<Token>,
    /// The part of a word before the cursor.
    typed: &'a str,
}

impl<'a> Statement<'a> {
    fn around(line: &'a str, pos: usize, words: &'a Vocabulary) -> Self {
        let all = tokens(line);
        let ends = |token: &&Token| token.kind == Kind::Semicolon;
        let from = all
            .iter()
            .filter(ends)
            .rfind(|t| t.end <= pos)
            .map_or(0, |t| t.end);
        let to = all
            .iter()
            .filter(ends)
            .find(|t| t.start >= pos)
            .map_or(line.len(), |t| t.start);
        let tokens = all
            .into_iter()
            .filter(|token| token.is_significant() && token.start >= from && token.end <= to)
            .collect::<Vec<_>>();
        let typed_from = line[..pos]
            .rfind(|c: char| !is_word_part(c))
            .map_or(0, |at| {
                at + line[at..].chars().next().map_or(1, char::len_utf8)
            });
        let before = tokens
            .iter()
            .filter(|t| t.end <= typed_from)
            .copied()
            .collect();
        Self {
            line,
            pos,
            words,
            tokens,
            before,
            typed: &line[typed_from..pos],
        }
    }

    fn complete(&self) -> Completion {
        let open = self.tokens.iter().find(|t| {
            t.kind == Kind::Text && t.start < self.pos && (self.pos < t.end || !t.is_closed)
        });
        if let Some(text) = open {
            return self.values(text);
        }
        let last = self.before.last();
        let last_text = last.map_or("", |token| token.text(self.line));
        let is_touching = last.is_some_and(|token| token.end + self.typed.len() == self.pos);
        if is_touching && matches!(last_text, "$" | ":") {
            return self.offer(self.params());
        }
        if let Some(param) = self
            .tokens
            .iter()
            .find(|t| t.kind == Kind::Param && t.start < self.pos && self.pos <= t.end)
        {
            let typed = &self.line[param.start + 1..self.pos];
            return offer(self.params(), typed, self.pos);
        }
        if is_touching && last_text == "." {
            return self.offer(self.members());
        }
        let names_table = BEFORE_TABLES
            .iter()
            .any(|word| last_text.eq_ignore_ascii_case(word))
            || (last_text == "," && self.clause().eq_ignore_ascii_case("FROM"));
        if names_table {
            return self.offer(self.tables());
        }
        if last_text.eq_ignore_ascii_case("IN") && self.starts_with("SHOW") {
            return self.offer(self.schemas());
        }
        self.offer(self.expressions())
    }

    fn offer(&self, words: Vec<Word>) -> Completion {
        offer(words, self.typed, self.pos)
    }

    fn starts_with(&self, word: &str) -> bool {
        self.tokens
            .first()
            .is_some_and(|first| first.text(self.line).eq_ignore_ascii_case(word))
    }

    /// The clause in which the cursor stands.
    fn clause(&self) -> &str {
        const CLAUSES: [&str; 8] = [
            "SELECT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "ON", "LIMIT",
        ];
        let words = self.before.iter().rev().map(|token| token.text(self.line));
        let mut clauses = words.filter(|word| CLAUSES.iter().any(|c| word.eq_ignore_ascii_case(c)));
        clauses.next().unwrap_or_default()
    }

    /// Tables that the statement names, each with the name by which it is called.
    fn named_tables(&self) -> Vec<(String, &'a TableShape)> {
        let texts = self
            .tokens
            .iter()
            .map(|token| bare(token.text(self.line)))
            .collect::<Vec<_>>();
        let mut found = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let is_word = matches!(self.tokens[index].kind, Kind::Word | Kind::Name);
            let is_member = index > 0 && texts[index - 1] == ".";
            if !is_word || is_keyword(text) && self.tokens[index].kind == Kind::Word {
                continue;
            }
            let schema = (is_member && index > 1).then(|| texts[index - 2].as_str());
            let Some(table) = self.words.tables.iter().find(|table| {
                let is_schema = schema.is_none_or(|schema| {
                    table.schema.eq_ignore_ascii_case(schema)
                        || (schema.eq_ignore_ascii_case("iam") && table.schema == "k9")
                });
                is_schema && table.name.eq_ignore_ascii_case(text)
            }) else {
                continue;
            };
            let mut next = index + 1;
            if texts
                .get(next)
                .is_some_and(|word| word.eq_ignore_ascii_case("AS"))
            {
                next += 1;
            }
            let is_alias = self.tokens.get(next).is_some_and(|token| {
                matches!(token.kind, Kind::Word | Kind::Name) && !is_keyword(token.text(self.line))
            });
            if is_alias {
                found.push((texts[next].clone(), table));
            }
            found.push((table.name.clone(), table));
        }
        found
    }

    /// What follows `name.`: tables of a schema, columns of a table, fields of a struct.
    fn members(&self) -> Vec<Word> {
        let mut path = Vec::new();
        let mut rest = self.before.as_slice();
        while let [.., name, dot] = rest {
            if dot.text(self.line) != "."
                || !matches!(name.kind, Kind::Word | Kind::Name)
                || name.end != dot.start
            {
                break;
            }
            path.push(bare(name.text(self.line)));
            rest = &rest[..rest.len() - 2];
        }
        path.reverse();
        let named = self.named_tables();
        let Some((first, inner)) = path.split_first() else {
            return vec![];
        };
        // The catalog may be named.
        if first.eq_ignore_ascii_case("awsdatacatalog") && inner.is_empty() {
            return self.schemas();
        }
        let schema = if first.eq_ignore_ascii_case("awsdatacatalog") {
            &inner[0]
        } else {
            first
        };
        let of_schema = self.words.tables.iter().filter(|table| {
            table.schema.eq_ignore_ascii_case(schema)
                || (schema.eq_ignore_ascii_case("iam") && table.schema == "k9")
        });
        let mut found = Vec::new();
        for (name, table) in &named {
            if name.eq_ignore_ascii_case(first) {
                found.extend(fields_at(table.columns.fields(), inner));
            }
            if inner
                .split_first()
                .is_some_and(|(second, _)| name.eq_ignore_ascii_case(second))
            {
                found.extend(fields_at(table.columns.fields(), &inner[1..]));
            }
            found.extend(fields_at(table.columns.fields(), &path));
        }
        if found.is_empty() {
            found.extend(of_schema.map(|table| table_word(table, &table.name)));
        }
        found
    }

    fn schemas(&self) -> Vec<Word> {
        let mut names = self
            .words
            .tables
            .iter()
            .map(|table| table.schema.clone())
            .collect::<Vec<_>>();
        names.dedup();
        let word = |name| Word {
            value: name,
            about: "schema".into(),
            rank: 1,
        };
        names.into_iter().map(word).collect()
    }

    fn tables(&self) -> Vec<Word> {
        let mut words = Vec::new();
        for table in &self.words.tables {
            if ["k9", "cloudtrail", "default"].contains(&table.schema.as_str()) {
                words.push(table_word(table, &table.name));
            }
            words.push(Word {
                rank: 2,
                ..table_word(table, &format!("{}.{}", table.schema, table.name))
            });
        }
        words.extend(self.schemas());
        words.extend(self.named_parts());
        words
    }

    /// Names that the statement itself gives: `WITH name AS (`.
    fn named_parts(&self) -> Vec<Word> {
        let parts = self.tokens.windows(3).filter(|three| {
            three[0].kind == Kind::Word
                && three[1].text(self.line).eq_ignore_ascii_case("AS")
                && three[2].text(self.line) == "("
        });
        let names = parts.map(|three| three[0].text(self.line).to_owned());
        names
            .map(|value| Word {
                value,
                about: "of this statement".into(),
                rank: 0,
            })
            .collect()
    }

    fn params(&self) -> Vec<Word> {
        let names = self
            .words
            .params
            .iter()
            .cloned()
            .chain(["as_of".to_owned()]);
        names
            .map(|value| Word {
                value,
                about: "parameter".into(),
                rank: 0,
            })
            .collect()
    }

    /// Columns, functions, keywords.
    fn expressions(&self) -> Vec<Word> {
        let named = self.named_tables();
        let mut words = Vec::new();
        for (name, table) in &named {
            words.extend(
                table
                    .columns
                    .fields()
                    .iter()
                    .map(|field| field_word(field, 0)),
            );
            words.push(Word {
                value: name.clone(),
                about: format!("{}.{}", table.schema, table.name),
                rank: 1,
            });
        }
        // Nothing is selected from yet: any column could be meant.
        if named.is_empty() && !self.typed.is_empty() {
            for table in &self.words.tables {
                words.extend(
                    table
                        .columns
                        .fields()
                        .iter()
                        .map(|field| field_word(field, 2)),
                );
            }
        }
        let call = |name: &String| Word {
            value: format!("{name}("),
            about: "function".into(),
            rank: 3,
        };
        if !self.typed.is_empty() {
            words.extend(self.words.functions.iter().map(call));
        }
        let lower = self.typed.chars().next().is_some_and(char::is_lowercase);
        let keyword = |word: &&str| Word {
            value: if lower {
                word.to_lowercase()
            } else {
                (*word).to_owned()
            },
            about: "keyword".into(),
            rank: 2,
        };
        words.extend(KEYWORDS.iter().map(keyword));
        words.extend(
            self.schemas()
                .into_iter()
                .map(|word| Word { rank: 4, ..word }),
        );
        words
    }

    /// Values within the quotes that the cursor stands in.
    fn values(&self, text: &Token) -> Completion {
        let typed = &self.line[(text.start + 1).min(self.pos)..self.pos];
        let Some(column) = self.compared_column(text) else {
            return Completion::default();
        };
        let named = self.named_tables();
        let tables = named.iter().map(|(_, table)| *table).collect::<Vec<_>>();
        let values = match self.words.values(&tables, &column) {
            Ok(values) => values,
            Err(wanted) => {
                return Completion {
                    wanted,
                    ..Completion::default()
                };
            }
        };
        let end = if text.is_closed { text.end } else { self.pos };
        let typed = typed.to_lowercase();
        let rank = |value: &&String| {
            let lower = value.to_lowercase();
            if lower.starts_with(&typed) {
                Some(0)
            } else {
                lower.contains(&typed).then_some(1)
            }
        };
        let mut matching = values
            .iter()
            .filter_map(|v| Some((rank(&v)?, v)))
            .collect::<Vec<_>>();
        matching.sort();
        let suggestion = |(_, value): (i32, &String)| Suggestion {
            value: format!("'{}'", value.replace('\'', "''")),
            display_override: Some(value.clone()),
            span: Span::new(text.start, end),
            ..Suggestion::default()
        };
        Completion {
            suggestions: matching.into_iter().take(MOST).map(suggestion).collect(),
            wanted: None,
        }
    }

    /// The column that a text is compared with: `column = '`, `column IN ('a', '`, `column LIKE '`.
    fn compared_column(&self, text: &Token) -> Option<String> {
        let before = self.tokens.iter().filter(|token| token.end <= text.start);
        let mut rest = before.copied().collect::<Vec<_>>();
        let mut has_comparison = false;
        while let Some(token) = rest.pop() {
            let word = token.text(self.line).to_ascii_uppercase();
            match (token.kind, word.as_str()) {
                (Kind::Symbol, "=" | "<" | ">" | "!" | "(" | ",") => has_comparison = true,
                (Kind::Text, _) => {}
                (Kind::Word, "IN" | "LIKE" | "NOT" | "ESCAPE") => has_comparison = true,
                (Kind::Word, _) if is_keyword(&word) => return None,
                (Kind::Word | Kind::Name, _) if has_comparison => {
                    return Some(bare(token.text(self.line)));
                }
                _ => return None,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
