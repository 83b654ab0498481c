//! Paths of the SQL standard, such as `lax $.a[0 to 2] ?(@.b > 1).size()`, read into a tree.
//!
//! Source: Trino manual, "JSON functions and operators", section "JSON path language".

/// A path.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Path {
    /// Errors of structure end the evaluation; else they are passed over.
    pub(super) strict: bool,
    pub(super) root: Node,
    /// The names behind `$`.
    pub(super) variables: Vec<String>,
}

/// An expression: a sequence of values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// A literal, as JSON.
    Literal(super::Tree),
    /// `$`
    Context,
    /// `$name`
    Variable(String),
    /// `@`
    Current,
    /// `last`
    Last,
    Negative(Box<Self>),
    Binary(char, Box<Self>, Box<Self>),
    /// `.key`
    Member(Box<Self>, String),
    /// `.*`
    Members(Box<Self>),
    /// `..key`
    Descendants(Box<Self>, String),
    /// `[*]`
    Elements(Box<Self>),
    /// `[1, 2 to last]`
    Subscripts(Box<Self>, Vec<(Self, Option<Self>)>),
    /// `?(predicate)`
    Filter(Box<Self>, Box<Predicate>),
    /// `.size()` and its kin
    Method(Box<Self>, String),
    /// A predicate as a value.
    Truth(Box<Predicate>),
}

/// What is true, false or unknown.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Predicate {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    IsUnknown(Box<Self>),
    Compare(String, Node, Node),
    Exists(Node),
    StartsWith(Node, Node),
    LikeRegex(Node, String, String),
}

/// Deepest nesting of brackets; bounds the stack.
const MAX_DEPTH: usize = 64;
/// Most attempts at an expression: a bracket is tried both as a value and as a predicate.
const MAX_STEPS: usize = 10_000;
const METHODS: [&str; 8] = [
    "type", "size", "double", "ceiling", "floor", "abs", "keyvalue", "datetime",
];

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// What was found where something else is needed.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut reader = Reader {
            rest: text,
            depth: 0,
            steps: 0,
            variables: Vec::new(),
        };
        let strict = if reader.word("strict") {
            true
        } else if reader.word("lax") {
            false
        } else {
            return Err(format!("`{text}` must begin with `lax` or `strict`"));
        };
        let root = reader.expression()?;
        reader.blanks();
        if reader.rest.is_empty() {
            let variables = reader.variables;
            Ok(Self {
                strict,
                root,
                variables,
            })
        } else {
            Err(reader.unexpected())
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
    steps: usize,
    variables: Vec<String>,
}

type Read<T> = Result<T, String>;

impl Reader<'_> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn unexpected(&self) -> String {
        match self.rest.chars().take(12).collect::<String>() {
            found if found.is_empty() => "the path ends too early".into(),
            found => format!("unexpected `{found}` in the path"),
        }
    }

    fn sign(&mut self, sign: &str) -> bool {
        self.blanks();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, sign: &str) -> Read<()> {
        if self.sign(sign) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// A name, unless none stands here.
    fn name(&mut self) -> Option<String> {
        self.blanks();
        let is_start = |c: char| c.is_alphabetic() || c == '_';
        if !self.rest.starts_with(is_start) {
            return None;
        }
        let end = self
            .rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(name.to_owned())
    }

    /// This word, whole and in small letters.
    fn word(&mut self, word: &str) -> bool {
        let before = self.rest;
        if self.name().as_deref() == Some(word) {
            return true;
        }
        self.rest = before;
        false
    }

    /// A text in double quotes; a double quote in it is written twice.
    fn text(&mut self) -> Read<Option<String>> {
        if !self.sign("\"") {
            return Ok(None);
        }
        let mut text = String::new();
        loop {
            let end = self.rest.find('"').ok_or_else(|| self.unexpected())?;
            text.push_str(&self.rest[..end]);
            self.rest = &self.rest[end + 1..];
            match self.rest.strip_prefix('"') {
                Some(rest) => {
                    text.push('"');
                    self.rest = rest;
                }
                None => return Ok(Some(text)),
            }
        }
    }

    fn number(&mut self) -> Option<String> {
        self.blanks();
        let bytes = self.rest.as_bytes();
        let digits = |from: usize| {
            bytes[from.min(bytes.len())..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count()
        };
        let mut end = digits(0);
        if end == 0 {
            return None;
        }
        if bytes.get(end) == Some(&b'.') && digits(end + 1) > 0 {
            end += 1 + digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if digits(end + 1 + sign) > 0 {
                end += 1 + sign + digits(end + 1 + sign);
            }
        }
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(number.to_owned())
    }

    fn deeper(&mut self) -> Read<()> {
        self.depth += 1;
        self.steps += 1;
        if self.depth > MAX_DEPTH || self.steps > MAX_STEPS {
            return Err("the path is nested too deeply".into());
        }
        Ok(())
    }

    fn expression(&mut self) -> Read<Node> {
        self.deeper()?;
        let mut left = self.product()?;
        loop {
            let sign = match () {
                () if self.sign("+") => '+',
                () if self.sign("-") => '-',
                () => break,
            };
            left = Node::Binary(sign, Box::new(left), Box::new(self.product()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn product(&mut self) -> Read<Node> {
        let mut left = self.signed()?;
        loop {
            let sign = match () {
                () if self.sign("*") => '*',
                () if self.sign("/") => '/',
                () if self.sign("%") => '%',
                () => break,
            };
            left = Node::Binary(sign, Box::new(left), Box::new(self.signed()?));
        }
        Ok(left)
    }

    fn signed(&mut self) -> Read<Node> {
        let mut negative = false;
        loop {
            if self.sign("-") {
                negative = !negative;
            } else if !self.sign("+") {
                break;
            }
        }
        let node = self.accessors()?;
        Ok(if negative {
            Node::Negative(Box::new(node))
        } else {
            node
        })
    }

    fn accessors(&mut self) -> Read<Node> {
        let mut node = self.primary()?;
        loop {
            if self.sign("..") {
                let key = match self.text()? {
                    Some(key) => key,
                    None => self.name().ok_or_else(|| self.unexpected())?,
                };
                node = Node::Descendants(Box::new(node), key);
            } else if self.sign(".") {
                node = self.member(node)?;
            } else if self.sign("[") {
                node = self.subscripts(node)?;
            } else if self.sign("?") {
                self.expect("(")?;
                let predicate = self.predicate()?;
                self.expect(")")?;
                node = Node::Filter(Box::new(node), Box::new(predicate));
            } else {
                return Ok(node);
            }
        }
    }

    fn member(&mut self, node: Node) -> Read<Node> {
        let node = Box::new(node);
        if self.sign("*") {
            return Ok(Node::Members(node));
        }
        if let Some(key) = self.text()? {
            return Ok(Node::Member(node, key));
        }
        let name = self.name().ok_or_else(|| self.unexpected())?;
        let before = self.rest;
        if METHODS.contains(&name.as_str()) && self.sign("(") {
            self.expect(")")?;
            return Ok(Node::Method(node, name));
        }
        self.rest = before;
        Ok(Node::Member(node, name))
    }

    fn subscripts(&mut self, node: Node) -> Read<Node> {
        let node = Box::new(node);
        let before = self.rest;
        if self.sign("*") && self.sign("]") {
            return Ok(Node::Elements(node));
        }
        self.rest = before;
        let mut subscripts = Vec::new();
        loop {
            let from = self.expression()?;
            let to = if self.word("to") {
                Some(self.expression()?)
            } else {
                None
            };
            subscripts.push((from, to));
            if !self.sign(",") {
                break;
            }
        }
        self.expect("]")?;
        Ok(Node::Subscripts(node, subscripts))
    }

    fn primary(&mut self) -> Read<Node> {
        use super::Tree;
        if self.sign("$") {
            // A name follows at once.
            let is_name = self
                .rest
                .starts_with(|c: char| c.is_alphabetic() || c == '_');
            return Ok(match is_name.then(|| self.name()).flatten() {
                Some(name) => {
                    self.variables.push(name.clone());
                    Node::Variable(name)
                }
                None => Node::Context,
            });
        }
        if self.sign("@") {
            return Ok(Node::Current);
        }
        if self.sign("(") {
            let before = self.rest;
            let depth = self.depth;
            if let Ok(node) = self.expression()
                && self.sign(")")
            {
                return Ok(node);
            }
            (self.rest, self.depth) = (before, depth);
            let predicate = self.predicate()?;
            self.expect(")")?;
            return Ok(Node::Truth(Box::new(predicate)));
        }
        if let Some(text) = self.text()? {
            return Ok(Node::Literal(Tree::Text(text)));
        }
        if let Some(number) = self.number() {
            return Ok(Node::Literal(Tree::Number(number)));
        }
        for (word, node) in [
            ("last", Node::Last),
            ("null", Node::Literal(Tree::Null)),
            ("true", Node::Literal(Tree::Boolean(true))),
            ("false", Node::Literal(Tree::Boolean(false))),
        ] {
            if self.word(word) {
                return Ok(node);
            }
        }
        Err(self.unexpected())
    }

    fn predicate(&mut self) -> Read<Predicate> {
        self.deeper()?;
        let mut left = self.conjunction()?;
        while self.sign("||") {
            left = Predicate::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn conjunction(&mut self) -> Read<Predicate> {
        let mut left = self.negation()?;
        while self.sign("&&") {
            left = Predicate::And(Box::new(left), Box::new(self.negation()?));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Read<Predicate> {
        self.blanks();
        if self.rest.starts_with('!') && !self.rest.starts_with("!=") {
            self.sign("!");
            self.deeper()?;
            let inner = self.negation()?;
            self.depth -= 1;
            return Ok(Predicate::Not(Box::new(inner)));
        }
        if self.word("exists") {
            self.expect("(")?;
            let node = self.expression()?;
            self.expect(")")?;
            return Ok(Predicate::Exists(node));
        }
        let (before, depth) = (self.rest, self.depth);
        // A bracket holds a predicate, or the left side of a comparison.
        if self.sign("(") {
            if let Ok(inner) = self.predicate()
                && self.sign(")")
            {
                if self.word("is") {
                    if !self.word("unknown") {
                        return Err(self.unexpected());
                    }
                    return Ok(Predicate::IsUnknown(Box::new(inner)));
                }
                return Ok(inner);
            }
            (self.rest, self.depth) = (before, depth);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Read<Predicate> {
        let left = self.expression()?;
        if self.word("starts") {
            if !self.word("with") {
                return Err(self.unexpected());
            }
            return Ok(Predicate::StartsWith(left, self.expression()?));
        }
        if self.word("like_regex") {
            let pattern = self.text()?.ok_or_else(|| self.unexpected())?;
            let flags = if self.word("flag") {
                self.text()?.ok_or_else(|| self.unexpected())?
            } else {
                String::new()
            };
            return Ok(Predicate::LikeRegex(left, pattern, flags));
        }
        for (written, sign) in [
            ("==", "="),
            ("<>", "!"),
            ("!=", "!"),
            ("<=", "<="),
            (">=", ">="),
            ("<", "<"),
            (">", ">"),
        ] {
            if self.sign(written) {
                return Ok(Predicate::Compare(sign.into(), left, self.expression()?));
            }
        }
        Err(self.unexpected())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_read() {
        for path in [
            "lax $",
            "strict $.a.\"b c\"[0, 2 to last - 1]",
            "lax $.*[*]..deep ?(@.a > 1 && !(@.b starts with \"x\") || exists(@.c))",
            "lax -$.a.size() + 2 * ($x - 1) % 3",
            "lax $ ?((@ == 1) is unknown)",
            "lax $ ?(@.a like_regex \"^a\" flag \"i\")",
            "strict $.size.type()",
            "lax 1e3",
        ] {
            assert!(Path::read(path).is_ok(), "{path}: {:?}", Path::read(path));
        }
        for path in [
            "$",
            "",
            "lax",
            "lax $.",
            "lax $[",
            "lax $ x",
            "lax $ ?(@)",
            "laxative $",
        ] {
            assert!(Path::read(path).is_err(), "{path}");
        }
        let deep = format!("lax {}1{}", "(".repeat(500), ")".repeat(500));
        assert!(Path::read(&deep).is_err());
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(path in "(lax|strict) [$@.a*\\[\\]?()<>=!&|0-9\" -]{0,24}") {
            let _ = Path::read(&path);
        }
    }
}
