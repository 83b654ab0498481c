//! JSON whose objects keep their order, and how policies are written with it.

use std::fmt::Write;

use serde_json::Value;

/// JSON whose objects keep the order in which they were made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ordered {
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// An object.
    Object(Vec<(String, Self)>),
    /// Anything, as it was.
    Raw(Value),
}

impl Ordered {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// One value stands alone, several in a list.
    pub(crate) fn texts(texts: &[String]) -> Self {
        match texts {
            [one] => Self::text(one),
            several => Self::List(several.iter().map(|text| Self::text(text)).collect()),
        }
    }
}

/// Writes JSON with two blanks an indent.
pub(crate) fn write_value(text: &mut String, value: &Ordered, depth: usize) {
    let indent = |text: &mut String, depth: usize| {
        text.push('\n');
        for _ in 0..depth {
            text.push_str("  ");
        }
    };
    match value {
        Ordered::Text(content) => write_text(text, content),
        // Writing into a String does not fail.
        Ordered::Raw(value) => {
            let _infallible = write!(text, "{value}");
        }
        Ordered::List(list) if list.is_empty() => text.push_str("[]"),
        Ordered::List(list) => {
            text.push('[');
            for (nth, value) in list.iter().enumerate() {
                if nth > 0 {
                    text.push(',');
                }
                indent(text, depth + 1);
                write_value(text, value, depth + 1);
            }
            indent(text, depth);
            text.push(']');
        }
        Ordered::Object(fields) => {
            text.push('{');
            for (nth, (name, value)) in fields.iter().enumerate() {
                if nth > 0 {
                    text.push(',');
                }
                indent(text, depth + 1);
                write_text(text, name);
                text.push_str(": ");
                write_value(text, value, depth + 1);
            }
            indent(text, depth);
            text.push('}');
        }
    }
}

/// A JSON string.
pub(crate) fn write_text(text: &mut String, content: &str) {
    // Writing into a String does not fail.
    let _infallible = write!(text, "{}", Value::from(content));
}

/// Characters of the JSON without blanks between its elements.
pub(crate) fn compact_chars(value: &Ordered) -> usize {
    let text_chars = |content: &str| Value::from(content).to_string().chars().count();
    match value {
        Ordered::Text(content) => text_chars(content),
        Ordered::Raw(value) => value.to_string().chars().count(),
        Ordered::List(list) => {
            2 + list.len().saturating_sub(1) + list.iter().map(compact_chars).sum::<usize>()
        }
        Ordered::Object(fields) => {
            let inner = fields
                .iter()
                .map(|(name, value)| text_chars(name) + 1 + compact_chars(value));
            2 + fields.len().saturating_sub(1) + inner.sum::<usize>()
        }
    }
}
