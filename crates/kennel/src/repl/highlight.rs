//! Colours for what is typed: sixteen-colour ones, which light and dark terminals both have.

use std::sync::Arc;

use nu_ansi_term::{Color, Style};
use reedline::{Highlighter, StyledText};

use super::{
    dot,
    keywords::is_keyword,
    names::Names,
    scan::{Kind, Token, tokens},
    script,
};
use crate::text::is_unsafe;

/// Colours SQL and dot commands.
pub(super) struct Colours {
    names: Arc<Names>,
}

impl Colours {
    pub(super) fn new(names: Arc<Names>) -> Self {
        Self { names }
    }
}

impl Highlighter for Colours {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut styled = StyledText::new();
        let mut at = 0;
        for item in script::items(line) {
            styled.push((Style::new(), shown(&line[at..item.start])));
            at = item.start + item.text.len();
            if item.is_dot {
                push_dot(item.text, &mut styled);
            } else {
                let tokens = tokens(item.text);
                for (index, token) in tokens.iter().enumerate() {
                    let next = tokens.get(index + 1);
                    let style = self.style(token, next, item.text);
                    styled.push((style, shown(token.text(item.text))));
                }
            }
        }
        let rest = &line[at..];
        let dim = if rest.trim().is_empty() {
            Style::new()
        } else {
            comment()
        };
        styled.push((dim, shown(rest)));
        styled
    }
}

impl Colours {
    fn style(&self, token: &Token, next: Option<&Token>, line: &str) -> Style {
        let text = token.text(line);
        let is_called = next.is_some_and(|next| next.text(line) == "(");
        match token.kind {
            Kind::Comment => comment(),
            Kind::Text => Style::new().fg(Color::Green),
            Kind::Number => Style::new().fg(Color::Magenta),
            Kind::Param => Style::new().fg(Color::Yellow),
            Kind::Word if is_called && self.names.is_function(text) => Style::new().fg(Color::Cyan),
            Kind::Word if is_keyword(text) => Style::new().fg(Color::Blue).bold(),
            Kind::Blank | Kind::Word | Kind::Name | Kind::Semicolon | Kind::Symbol => Style::new(),
        }
    }
}

fn comment() -> Style {
    Style::new().dimmed()
}

fn push_dot(text: &str, styled: &mut StyledText) {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let style = match dot::find(word) {
        Some(_) => Style::new().fg(Color::Blue).bold(),
        None => Style::new().fg(Color::Red),
    };
    styled.push((style, shown(word)));
    styled.push((Style::new(), shown(rest)));
}

/// A pasted escape must not reach the terminal. What stands for it has as many bytes, since the editor counts
/// them to find the cursor.
pub(super) fn shown(text: &str) -> String {
    let stand_in = |c: char| match c {
        '\n' => "\n".to_owned(),
        '\t' => " ".into(),
        c if is_unsafe(c) => match c.len_utf8() {
            1 => "?".into(),
            2 => "¿".into(),
            3 => "□".into(),
            _ => "□?".into(),
        },
        c => c.to_string(),
    };
    text.chars().map(stand_in).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_an_unsafe_character_has_as_many_bytes() {
        for text in [
            "a\u{1b}[2J",
            "\u{9b}31m",
            "\u{202e}x",
            "\u{e0041}",
            "\tx\r\n",
            "plain 東",
        ] {
            let shown = shown(text);
            assert_eq!(shown.len(), text.len(), "{text:?}");
            assert!(
                !shown.chars().any(|c| c != '\n' && is_unsafe(c)),
                "{shown:?}"
            );
        }
    }

    #[test]
    fn the_text_itself_is_not_changed() {
        let colours = Colours::new(Names::for_tests());
        for line in [
            "SELECT 'a' -- b\nFROM x;\n.tables k9",
            "  .nonsense x",
            "-- only a comment",
            "",
            "SELECT count(*) FROM t WHERE a = $b;  ",
            "/* open",
        ] {
            assert_eq!(colours.highlight(line, 0).raw_string(), line);
        }
    }

    #[test]
    fn keywords_functions_and_texts_differ() {
        let colours = Colours::new(Names::for_tests());
        let styled = colours.highlight("SELECT count(1), 'x';", 0).buffer;
        let style = |text: &str| styled.iter().find(|(_, part)| part == text).unwrap().0;
        assert_eq!(style("SELECT"), Style::new().fg(Color::Blue).bold());
        assert_eq!(style("count"), Style::new().fg(Color::Cyan));
        assert_eq!(style("'x'"), Style::new().fg(Color::Green));
        assert_ne!(
            colours.highlight(".tables", 0).buffer[1].0,
            colours.highlight(".tabels", 0).buffer[1].0
        );
    }
}
