//! A JSON value as a tree, for the SQL standard's paths, which look at values from all sides.

use super::scan::{Malformed, Reader, Start, quote, unquote};

/// A value. Numbers keep the digits that they were written with.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::functions) enum Tree {
    Null,
    Boolean(bool),
    Number(String),
    Text(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Tree {
    /// Reads a whole text. Of equal keys, the last value counts, at the place of the first.
    pub(in crate::functions) fn read(text: &str) -> Result<Self, Malformed> {
        let mut reader = Reader::new(text);
        let tree = Self::value(&mut reader)?;
        if reader.at_end() {
            Ok(tree)
        } else {
            Err(Malformed)
        }
    }

    /// The depth of the recursion is bounded by the reader.
    fn value(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let start = reader.start()?;
        Ok(match start {
            Start::Null => reader.skip().map(|_| Self::Null)?,
            Start::True | Start::False => {
                reader.skip().map(|_| Self::Boolean(start == Start::True))?
            }
            Start::Number => Self::Number(reader.skip()?.to_owned()),
            Start::Text => Self::Text(unquote(reader.skip()?)),
            Start::Array => {
                let mut items = Vec::new();
                let mut more = reader.enter(start)?;
                while more {
                    items.push(Self::value(reader)?);
                    more = reader.more(start)?;
                }
                Self::Array(items)
            }
            Start::Object => {
                let mut members: Vec<(String, Self)> = Vec::new();
                let mut places = std::collections::HashMap::new();
                let mut more = reader.enter(start)?;
                while more {
                    let key = unquote(reader.key()?);
                    let value = Self::value(reader)?;
                    match places
                        .get(&key)
                        .and_then(|place: &usize| members.get_mut(*place))
                    {
                        Some(member) => member.1 = value,
                        None => {
                            places.insert(key.clone(), members.len());
                            members.push((key, value));
                        }
                    }
                    more = reader.more(start)?;
                }
                Self::Object(members)
            }
        })
    }

    /// The value of an object's member.
    pub(in crate::functions) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// Writes the value without blanks.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(digits) => out.push_str(digits),
            Self::Text(text) => quote(text, out),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    quote(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// The type as the path method `type()` names it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }
}
