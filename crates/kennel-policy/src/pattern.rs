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
        Self::read(text, true)
    }

    /// A pattern of a policy of 2008, which knows no variables.
    pub fn without_escapes(text: &str) -> Self {
        Self::read(text, false)
    }

    /// A pattern that takes no notice of ASCII case, as actions do.
    pub fn folding_case(text: &str) -> Self {
        Self {
            folds_case: true,
            ..Self::read(text, false)
        }
    }

    /// Text that stands for itself.
    pub fn literal(text: &str) -> Self {
        Self {
            tokens: text.chars().map(Token::Literal).collect(),
            folds_case: false,
        }
    }

    fn read(text: &str, knows_escapes: bool) -> Self {
        let mut tokens = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let escape = ["${*}", "${?}", "${$}"]
                .iter()
                .find(|escape| knows_escapes && rest.starts_with(**escape));
            if let Some(escape) = escape {
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

    /// Whether the pattern has a wildcard.
    pub fn is_open(&self) -> bool {
        self.tokens
            .iter()
            .any(|token| !matches!(token, Token::Literal(_)))
    }

    /// Whether all of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        self.covers(&Self::literal(text))
    }

    /// Whether everything that `other` matches matches here too, as far as the two texts show: a `*` of `other` is covered
    /// by a `*` here only. Time grows with the product of both lengths at worst.
    pub fn covers(&self, other: &Self) -> bool {
        let text = &other.tokens;
        let (mut t, mut p) = (0, 0);
        // Where to go on when the last `*` has to take one more.
        let mut retry: Option<(usize, usize)> = None;
        while t < text.len() {
            match self.tokens.get(p) {
                Some(Token::Any) => {
                    retry = Some((p, t));
                    p += 1;
                }
                Some(Token::One) if text[t] != Token::Any => {
                    t += 1;
                    p += 1;
                }
                Some(token) if self.same(*token, text[t]) => {
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

    /// Whether some text matches both.
    pub fn overlaps(&self, other: &Self) -> bool {
        // reachable[j]: the first i tokens here and the first j tokens there can stand for the same text.
        let width = other.tokens.len() + 1;
        let mut reachable = vec![false; width];
        reachable[0] = true;
        for j in 1..width {
            reachable[j] = reachable[j - 1] && other.tokens[j - 1] == Token::Any;
        }
        for token in &self.tokens {
            let mut next = vec![false; width];
            next[0] = reachable[0] && *token == Token::Any;
            for j in 1..width {
                let there = other.tokens[j - 1];
                next[j] = match (*token, there) {
                    (Token::Any, _) | (_, Token::Any) => {
                        reachable[j] || next[j - 1] || reachable[j - 1]
                    }
                    (Token::One, _) | (_, Token::One) => reachable[j - 1],
                    (here, there) => reachable[j - 1] && self.same(here, there),
                };
            }
            reachable = next;
        }
        reachable[width - 1]
    }

    fn same(&self, a: Token, b: Token) -> bool {
        match (a, b) {
            (Token::Literal(a), Token::Literal(b)) => {
                a == b || (self.folds_case && a.eq_ignore_ascii_case(&b))
            }
            _ => false,
        }
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
            assert!(pattern.matches(text) && !pattern.is_open(), "{text}");
            assert!(!pattern.matches("aXb"), "{text}");
        }
        assert!(Pattern::folding_case("S3:get*").matches("s3:GetObject"));
        assert!(!Pattern::new("S3:get*").matches("s3:GetObject"));
        assert!(Pattern::without_escapes("${*}").matches("${abc}"));
    }

    #[test]
    fn patterns_are_compared_with_patterns() {
        let covers = |a: &str, b: &str| Pattern::new(a).covers(&Pattern::new(b));
        let overlaps = |a: &str, b: &str| Pattern::new(a).overlaps(&Pattern::new(b));
        assert!(covers("a/*", "a/*") && covers("*", "a/*") && covers("a/*", "a/b/*"));
        assert!(!covers("a/b", "a/*") && !covers("a/?", "a/*") && !covers("a/b*", "a/*"));
        assert!(overlaps("a/b", "a/*") && overlaps("*x", "a*") && overlaps("a?", "?b"));
        assert!(!overlaps("a/b", "c/*") && !overlaps("ab", "a") && !overlaps("a*c", "b*"));
        assert!(overlaps("", "*") && overlaps("", "") && !overlaps("", "?"));
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
        fn what_covers_overlaps_and_matches_what_the_other_matches(
            a in "[ab*?]{0,6}", b in "[ab*?]{0,6}", text in "[ab]{0,8}"
        ) {
            let (a, b) = (Pattern::new(&a), Pattern::new(&b));
            if a.covers(&b) && b.matches(&text) {
                prop_assert!(a.matches(&text));
            }
            if a.matches(&text) && b.matches(&text) {
                prop_assert!(a.overlaps(&b) && b.overlaps(&a));
            }
        }

        #[test]
        fn escaped_text_matches_itself_and_nothing_else(text in ".{0,12}", other in ".{0,12}") {
            let pattern = Pattern::new(&escape(&text));
            prop_assert!(pattern.matches(&text));
            prop_assert_eq!(pattern.matches(&other), other == text);
        }
    }
}
