//! What a statement that failed may have meant: slips, and habits of other engines, told beside the error.

use kennel_engine::SqlPlace;

use crate::{
    repl::scan::{Kind, Token, tokens},
    text::nearest,
};

/// Words that begin a statement.
const FIRST: [&str; 15] = [
    "ALTER",
    "CREATE",
    "DEALLOCATE",
    "DESCRIBE",
    "DROP",
    "EXECUTE",
    "EXPLAIN",
    "INSERT",
    "MSCK",
    "PREPARE",
    "SELECT",
    "SHOW",
    "UNLOAD",
    "VALUES",
    "WITH",
];

/// Words that begin a clause.
const CLAUSES: [&str; 12] = [
    "FROM",
    "GROUP BY",
    "HAVING",
    "INNER JOIN",
    "INTERSECT",
    "JOIN",
    "LEFT JOIN",
    "LIMIT",
    "OFFSET",
    "ORDER BY",
    "UNION",
    "WHERE",
];

/// The tokens of a statement that mean something, and which of them an error is about.
struct Text<'a> {
    sql: &'a str,
    tokens: Vec<Token>,
    /// The last one after all others when the place is the end.
    at: usize,
}

impl<'a> Text<'a> {
    fn new(sql: &'a str, place: SqlPlace) -> Self {
        let offset = offset_of(sql, place);
        let mut tokens = tokens(sql);
        tokens.retain(Token::is_significant);
        let at = tokens.iter().position(|token| token.end > offset);
        Self {
            sql,
            at: at.unwrap_or(tokens.len()),
            tokens,
        }
    }

    /// A token, counted from the one that the error is about.
    fn token(&self, ahead: isize) -> Option<&Token> {
        self.tokens.get(self.at.checked_add_signed(ahead)?)
    }

    fn text(&self, ahead: isize) -> &'a str {
        self.token(ahead).map_or("", |token| token.text(self.sql))
    }

    fn is(&self, ahead: isize, kinds: &[Kind]) -> bool {
        self.token(ahead)
            .is_some_and(|token| kinds.contains(&token.kind))
    }

    /// Whether a word stands before the place.
    fn follows(&self, word: &str) -> bool {
        let mut before = self.tokens[..self.at.min(self.tokens.len())].iter();
        before.any(|token| token.text(self.sql).eq_ignore_ascii_case(word))
    }
}

/// The byte at a place.
fn offset_of(sql: &str, place: SqlPlace) -> usize {
    let lines = usize::try_from(place.line).unwrap_or(1).saturating_sub(1);
    let columns = usize::try_from(place.column).unwrap_or(1).saturating_sub(1);
    let line_start = sql
        .split_inclusive('\n')
        .take(lines)
        .map(str::len)
        .sum::<usize>();
    let line = sql.get(line_start..).unwrap_or_default();
    let column = line.char_indices().nth(columns);
    line_start + column.map_or(line.len(), |(at, _)| at)
}

/// What to write instead, for a statement that could not be read or planned.
pub(crate) fn hint(sql: &str, message: &str, place: Option<SqlPlace>) -> Option<String> {
    let text = Text::new(sql, place?);
    sign(&text)
        .or_else(|| placeholder(&text))
        .or_else(|| quoted(&text, message))
        .or_else(|| trail_table(message))
        .or_else(|| array(&text, message))
        .or_else(|| sum_of_texts(sql, message))
        .or_else(|| first_word(&text, message))
        .or_else(|| clause(&text, message))
}

/// What to do about an error that came with the rows.
pub(crate) fn of_execution(message: &str) -> Option<String> {
    if message.starts_with("Array subscript must be less") {
        return Some("element_at(array, n) is null where there is no such element".into());
    }
    if message.starts_with("Internal error: Unexpected empty work table") {
        return Some(
            "a recursive table cannot be read in a subquery of its own step; join it there".into(),
        );
    }
    if message.starts_with("Internal error: ") {
        return Some("this is a fault of kennel's, not of the statement: please report it".into());
    }
    let path = message.strip_prefix("Invalid JSON path: '")?;
    let path = path.split('\'').next()?;
    (!path.starts_with('$')).then(|| format!("a path into JSON begins with `$`: '$.{path}'"))
}

/// Signs that no query of Athena's has.
fn sign(text: &Text<'_>) -> Option<String> {
    let hint = match text.text(0).chars().next()? {
        '#' | '–' | '—' => "a comment begins with `--`",
        '≠' => "`<>` is not equal",
        '\u{200b}'..='\u{200d}' | '\u{2060}' => "a sign that cannot be seen: delete it",
        '‘' | '’' | '“' | '”' | '´' => {
            "these quotes are typographic: text stands in '…', a name in \"…\""
        }
        ':' => "a path into JSON is json_extract_scalar(x, '$.key')",
        _ => return None,
    };
    Some(hint.into())
}

/// `<table>`, `[TABLE]`, `${table}`, `{{ table }}`.
fn placeholder(text: &Text<'_>) -> Option<String> {
    let is_open = match text.text(0) {
        "<" | "[" => text.is(1, &[Kind::Word]) && matches!(text.text(2), ">" | "]"),
        "$" => text.text(1) == "{",
        "{" => true,
        _ => false,
    };
    is_open.then(|| "a placeholder: write what it stands for".into())
}

/// `= "text"`.
fn quoted(text: &Text<'_>, message: &str) -> Option<String> {
    let inner = text.text(0).strip_prefix('"')?.strip_suffix('"')?;
    let is_column = message.starts_with("column '") && message.ends_with(" not found");
    // `"$path"` is a name.
    (is_column && !inner.starts_with('$')).then(|| {
        let inner = inner.replace('\'', "''");
        format!("double quotes are those of names; text stands in single ones: '{inner}'")
    })
}

/// The name that the console gives its table.
fn trail_table(message: &str) -> Option<String> {
    let name = message
        .strip_prefix("table '")?
        .strip_suffix("' not found")?;
    name.to_lowercase().contains("cloudtrail").then(|| {
        format!(
            "the events are in cloudtrail.cloudtrail_logs; CREATE VIEW {name} AS SELECT * FROM cloudtrail.cloudtrail_logs gives them this name, too"
        )
    })
}

/// A field of an array.
fn array(text: &Text<'_>, message: &str) -> Option<String> {
    let (field, _) = message
        .strip_prefix("`.")?
        .split_once("` needs a row, not array(")?;
    let mut end = text.at;
    while end + 2 < text.tokens.len()
        && !text.tokens[end + 2]
            .text(text.sql)
            .eq_ignore_ascii_case(field)
    {
        end += 2;
    }
    let path = text
        .sql
        .get(text.token(0)?.start..text.tokens.get(end)?.end)?;
    Some(format!(
        "one element is {path}[1].{field}, and CROSS JOIN UNNEST({path}) AS t (x) makes a row of each"
    ))
}

/// `a + b` of texts.
fn sum_of_texts(sql: &str, message: &str) -> Option<String> {
    let is_meant =
        message == "these types do not go together: varchar and varchar" && sql.contains('+');
    is_meant.then(|| "texts are joined by `||` or concat(x, y)".into())
}

/// A statement that begins with no word of Athena's.
fn first_word(text: &Text<'_>, message: &str) -> Option<String> {
    if !message.starts_with("expected a statement such as") {
        return None;
    }
    let word = text.text(0).to_uppercase();
    nearest(&word, FIRST).map(|word| format!("did you mean `{word}`?"))
}

/// A clause that could not be read.
fn clause(text: &Text<'_>, message: &str) -> Option<String> {
    const NAME: [Kind; 2] = [Kind::Word, Kind::Name];
    let is_closed = text.is(0, &[Kind::Word]) || text.text(0) == ")";
    if text.text(-1) == "," && is_closed && message.starts_with("expected an expression") {
        return Some("nothing follows the comma before it".into());
    }
    if !message.starts_with("expected the end of the query") {
        return None;
    }
    if text.text(0) == "," && text.text(-2).eq_ignore_ascii_case("limit") {
        return Some(format!(
            "OFFSET {} LIMIT {} does that",
            text.text(-1),
            text.text(1)
        ));
    }
    // A misspelt word was taken for an alias, and what follows it for too much.
    for ahead in [-1, 0] {
        let word = text.text(ahead).to_uppercase();
        let is_word = text.is(ahead, &[Kind::Word]) && word.len() > 3;
        if is_word && let Some(meant) = nearest(&word, CLAUSES).filter(|meant| *meant != word) {
            return Some(format!(
                "did you mean `{meant}` instead of `{}`?",
                text.text(ahead)
            ));
        }
    }
    let is_list = !text.follows("from") && text.is(0, &NAME);
    let after_item = text.is(-1, &NAME) || text.text(-1) == ")";
    (is_list && after_item).then(|| "a comma parts what is selected".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hint for an error at the first place of a text.
    fn hinted(sql: &str, at: &str, message: &str) -> Option<String> {
        let before = &sql[..sql.find(at).unwrap()];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let place = SqlPlace {
            line: before.matches('\n').count() as u64 + 1,
            column: before[line_start..].chars().count() as u64 + 1,
            length: 1,
        };
        hint(sql, message, Some(place))
    }

    /// What each hint says, for errors with the same message.
    fn say(message: &str, cases: &[(&str, &str, &str)]) {
        for (sql, at, wanted) in cases {
            let hint = hinted(sql, at, message);
            let says = hint.as_ref().is_some_and(|hint| hint.contains(wanted));
            assert!(says, "{sql}: {hint:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_gets_hints() {
        let end = [
            ("SELECT a b c FROM t", "c FROM", "a comma"),
            ("SELECT a FORM t", "t", "`FROM` instead of `FORM`"),
            ("SELECT a FROM t WHER a = 1", "a = 1", "`WHERE` instead of"),
            ("SELECT b FROM t GROUPBY a", "a", "`GROUP BY`"),
            ("SELECT a FROM t LIMIT 5, 10", ", 10", "OFFSET 5 LIMIT 10"),
            ("SELECT a\u{200b} FROM t", "\u{200b}", "cannot be seen"),
        ];
        say("expected the end of the query, found `x`", &end);
        let expression = [("SELECT a, FROM t", "FROM", "comma")];
        say("expected an expression, found `FROM`", &expression);
        let first = [
            ("SELCT 1", "SELCT", "`SELECT`"),
            ("# x\nSELECT 1", "#", "`--`"),
            ("– x\nSELECT 1", "–", "`--`"),
        ];
        say("expected a statement such as SELECT, found `x`", &first);
        let name = [
            ("SELECT * FROM <table>", "<", "placeholder"),
            ("SELECT * FROM [TABLE]", "[", "placeholder"),
            ("SELECT * FROM ${t}", "${", "placeholder"),
        ];
        say("expected identifier, found `x`", &name);
    }

    #[test]
    fn what_cannot_be_planned_gets_hints() {
        let text = [("SELECT 1\nFROM t WHERE é = \"Root\"", "\"Root", "'Root'")];
        say("column 'root' not found", &text);
        let array = [
            ("SELECT r.arn FROM t", "r.arn", "r[1].arn"),
            ("SELECT t.r.arn FROM t", "t.r", "t.r[1].arn"),
        ];
        say("`.arn` needs a row, not array(row(arn varchar))", &array);
        let sum = [("SELECT a + b FROM t", "a", "`||`")];
        say("these types do not go together: varchar and varchar", &sum);
        let table = [(
            "SELECT 1 FROM cloudtrail_logs_x",
            "cloudtrail",
            "CREATE VIEW",
        )];
        say("table 'cloudtrail_logs_x' not found", &table);
    }

    #[test]
    fn what_says_enough_gets_no_hint() {
        let cases = [
            (
                "SELECT a FROM t x y",
                "y",
                "expected the end of the query, found `y`",
            ),
            ("SELECT a FROM t WHERE a = b", "b", "column 'b' not found"),
            ("SELECT \"$path\" FROM t", "\"$", "column '$path' not found"),
            ("SELECT a FROM other", "other", "table 'other' not found"),
            ("SELECT a, ...", "...", "expected an expression, found `.`"),
        ];
        for (sql, at, message) in cases {
            assert_eq!(hinted(sql, at, message), None, "{sql}");
        }
    }

    #[test]
    fn errors_of_rows_get_hints() {
        let hint = of_execution("Invalid JSON path: 'bucketName'").unwrap();
        assert!(hint.contains("'$.bucketName'"), "{hint}");
        assert_eq!(of_execution("Invalid JSON path: '$.a[[0]'"), None);
        assert!(
            of_execution("Array subscript must be less than or equal to array length: 9 > 1")
                .is_some()
        );
        assert_eq!(of_execution("Division by zero"), None);
    }
}
