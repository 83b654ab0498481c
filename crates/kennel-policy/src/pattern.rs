//! Patterns of policies: `*` and `?`, and how literal text is written in them.

/// Writes text from a call so that a policy takes it literally: `*` becomes `${*}`, `?` `${?}`, `$` `${$}`.
///
/// Source: IAM user guide, "IAM policy elements: Variables and tags", predefined policy variables for single values.
pub fn escape(text: &str) -> String {
    if !text.contains(['*', '?', '$']) {
        return text.to_owned();
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '*' | '?' => {
                escaped.push_str("${");
                escaped.push(c);
                escaped.push('}');
            }
            '$' => escaped.push_str("${$}"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A pattern, its escapes read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    tokens: Vec<Token>,
    folds_case: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Any,
    One,
    Literal(char),
}

impl Pattern {
    /// Reads a pattern; `${*}`, `${?}` and `${$}` are those characters. Other variables must be replaced before.
    pub fn new(text: &str) -> Self {
        let mut tokens = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let escaped = ["${*}", "${?}", "${$}"]
                .iter()
                .find(|escape| rest.starts_with(**escape));
            if let Some(escape) = escaped {
                tokens.push(Token::Literal(escape.chars().nth(2).unwrap_or('$')));
                rest = &rest[escape.len()..];
                continue;
            }
            match c {
                '*' if tokens.last() == Some(&Token::Any) => {}
                '*' => tokens.push(Token::Any),
                '?' => tokens.push(Token::One),
                other => tokens.push(Token::Literal(other)),
            }
            rest = &rest[c.len_utf8()..];
        }
        Self {
            tokens,
            folds_case: false,
        }
    }

    /// A pattern that takes no notice of ASCII case, as actions do.
    pub fn folding_case(text: &str) -> Self {
        Self {
            folds_case: true,
            ..Self::new(text)
        }
    }

    /// Whether all of `text` matches. Time grows with the product of both lengths at worst, never faster.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut t, mut p) = (0, 0);
        // Where to go on when the last `*` has to take one more character.
        let mut retry: Option<(usize, usize)> = None;
        while t < text.len() {
            match self.tokens.get(p) {
                Some(Token::Any) => {
                    retry = Some((p, t));
                    p += 1;
                }
                Some(Token::One) => {
                    t += 1;
                    p += 1;
                }
                Some(Token::Literal(c)) if self.same(*c, text[t]) => {
                    t += 1;
                    p += 1;
                }
                _ => {
                    let Some((star, from)) = retry else {
                        return false;
                    };
                    p = star + 1;
                    t = from + 1;
                    retry = Some((star, t));
                }
            }
        }
        self.tokens[p..].iter().all(|token| *token == Token::Any)
    }

    fn same(&self, a: char, b: char) -> bool {
        a == b || (self.folds_case && a.eq_ignore_ascii_case(&b))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, as short as it can be said.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some('*'), _) => {
                naive(&pattern[1..], text) || (!text.is_empty() && naive(pattern, &text[1..]))
            }
            (Some('?'), Some(_)) => naive(&pattern[1..], &text[1..]),
            (Some(p), Some(t)) => p == t && naive(&pattern[1..], &text[1..]),
            _ => false,
        }
    }

    #[test]
    fn escapes_are_taken_literally() {
        for text in ["a*b", "100%?", "${aws:username}", "$", "${*}", "plain"] {
            let pattern = Pattern::new(&escape(text));
            assert!(pattern.matches(text), "{text}");
            assert!(!pattern.matches("aXb"), "{text}");
        }
        assert!(Pattern::folding_case("S3:get*").matches("s3:GetObject"));
        assert!(!Pattern::new("S3:get*").matches("s3:GetObject"));
    }

    #[test]
    fn a_hostile_pattern_does_not_take_for_ever() {
        let pattern = Pattern::new(&"*a".repeat(2_000));
        assert!(!pattern.matches(&"a".repeat(1_999)));
    }

    proptest! {
        #[test]
        fn matching_agrees_with_its_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Pattern::new(&pattern).matches(&text), naive(&chars(&pattern), &chars(&text)));
        }

        #[test]
        fn escaped_text_matches_itself_and_nothing_else(text in ".{0,12}", other in ".{0,12}") {
            let pattern = Pattern::new(&escape(&text));
            prop_assert!(pattern.matches(&text));
            prop_assert_eq!(pattern.matches(&other), other == text);
        }
    }
}
