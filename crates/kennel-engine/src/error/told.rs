//! What DataFusion says of a wrong statement, taken apart: the message in plain words, the place in the user's text,
//! the nearest name, the forms that would have been right.

use datafusion::error::DataFusionError;
use kennel_athena::in_users_words;

use super::{EngineError, SqlPlace, calls::unexpected, nearest};
use crate::time_travel::without_marks;

/// What DataFusion says of operands that do not fit; their types stand in its notes.
const INCOMPATIBLE: &str = "expressions have incompatible types";
/// Most fields of a row that are told where none is near.
const MOST_FIELDS: usize = 16;
/// Types that a misspelt one may mean.
const TYPES: [&str; 16] = [
    "array",
    "bigint",
    "boolean",
    "char",
    "date",
    "decimal",
    "double",
    "int",
    "integer",
    "json",
    "map",
    "real",
    "smallint",
    "timestamp",
    "tinyint",
    "varchar",
];

/// A message, read.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    message: String,
    /// The forms that a function has.
    expected: Vec<String>,
    /// The name that it is about.
    name: Option<String>,
    /// Names that it lists as right.
    listed: Vec<String>,
    /// Those of them that are all fields of a row.
    fields: Vec<String>,
}

/// Reads an error of planning. `names` are those a suggestion may come from.
pub(super) fn sql_error(error: &DataFusionError, sql: &str, names: &[String]) -> EngineError {
    let root = error.find_root().to_string();
    let diagnostic = error.diagnostic();
    let whole = diagnostic.map_or_else(|| plain(&root), |d| worded(&d.message));
    let mut told = read(&whole, sql);
    let mut span = diagnostic.and_then(|d| d.span);
    if let Some(diagnostic) = diagnostic.filter(|d| d.message == INCOMPATIBLE) {
        let types = diagnostic.notes.iter();
        let types =
            types.filter_map(|note| Some(sql_type(note.message.strip_prefix("has type ")?)));
        let types = types.collect::<Vec<_>>().join(" and ");
        told.message = format!("these types do not go together: {types}");
        span = span.or_else(|| diagnostic.notes.iter().find_map(|note| note.span));
    }
    let place = span
        .map(|span| {
            SqlPlace::of(
                (span.start.line, span.start.column),
                (span.end.line, span.end.column),
            )
        })
        .or_else(|| place_in_text(&root))
        .or_else(|| place_of(function_of(&told.message)?, sql, true))
        .or_else(|| place_of(told.name.as_deref()?, sql, false));
    let name = told
        .name
        .or_else(|| unknown_name(&told.message, place, sql));
    let is_table = told.message.starts_with("table ");
    let fitting = names.iter().filter(|name| name.contains('.') == is_table);
    let fitting = fitting.chain(&told.listed).cloned().collect::<Vec<_>>();
    let fitting = fitting.into_iter().filter(|name| !name.starts_with("__"));
    let suggestion = name.and_then(|name| nearest(&name, &fitting.collect::<Vec<_>>()));
    let message = match suggestion.is_none() && (1..=MOST_FIELDS).contains(&told.fields.len()) {
        true => format!("{}; there are {}", told.message, told.fields.join(", ")),
        false => told.message,
    };
    EngineError::Sql {
        message,
        sql: sql.into(),
        place,
        suggestion,
        expected: told.expected.into(),
    }
}

/// Takes a message apart.
fn read(message: &str, sql: &str) -> Told {
    if let Some((message, expected)) = unexpected(message, sql) {
        return Told {
            message,
            expected,
            ..Told::default()
        };
    }
    if let Some(message) = reworded(message) {
        return Told {
            message,
            ..Told::default()
        };
    }
    if let Some(rest) = message.strip_prefix("No field named ") {
        let name = rest.split([' ', '\n']).next().unwrap_or(rest);
        let name = name
            .trim_end_matches('.')
            .trim_matches(['\'', '"', '`'])
            .to_owned();
        let listed = ["ields are: ", "ields are "]
            .iter()
            .find_map(|words| rest.split_once(words));
        let listed = listed
            .map_or("", |(_, listed)| listed)
            .trim_end_matches('.');
        let listed = listed.split(", ").map(str::to_owned);
        let listed = listed.collect::<Vec<_>>();
        // The planner says so of a row, DataFusion of tables: those have too many columns to be told.
        let is_row = rest.contains("'. Fields are: ");
        return Told {
            message: format!("column '{name}' not found"),
            name: Some(name),
            fields: if is_row { listed.clone() } else { vec![] },
            listed,
            ..Told::default()
        };
    }
    let mut told = Told {
        message: message.replace("Invalid function '", "function '"),
        ..Told::default()
    };
    if told.message.len() != message.len() {
        told.message.push_str(" not found");
    }
    if let Some(name) = message.strip_prefix("Unsupported SQL type ") {
        told.message = format!("there is no type {name}");
        told.name = Some(name.to_owned());
        told.listed = TYPES.map(str::to_owned).to_vec();
    }
    told
}

/// What DataFusion says of types in words of its own, said in those of SQL.
fn reworded(message: &str) -> Option<String> {
    const CONDITION: &str = "Cannot create filter with non-boolean predicate ";
    const MISPLACED: &str = "Physical plan does not support logical expression AggregateFunction";
    if message.starts_with(MISPLACED) {
        return Some(
            "an aggregate function cannot stand here; GROUP BY takes what each row has".into(),
        );
    }
    if message == "COUNT DISTINCT with multiple arguments" {
        return Some(
            "count(DISTINCT …) takes one argument; count(DISTINCT (x, y)) counts pairs".into(),
        );
    }
    if let Some(form) = syntax_form(message) {
        return Some(format!("{form} is not supported"));
    }
    if let Some(rest) = message.strip_prefix(CONDITION) {
        let (_, given) = rest.rsplit_once(" returning ")?;
        let given = sql_type(given);
        return Some(format!("a condition must be a boolean, not {given}"));
    }
    let given = message.strip_prefix("NOT cannot be used with ")?;
    Some(format!("NOT takes a boolean, not {}", sql_type(given)))
}

/// The form of syntax that DataFusion prints as the tree of the parser: `Unsupported ast node in sqltorel: RLike { … }`.
fn syntax_form(message: &str) -> Option<String> {
    let rest = message.strip_prefix("Unsupported ast node ")?;
    let tree = rest.split_once(": ").map_or(rest, |(_, tree)| tree);
    let name = tree.split(|c: char| !c.is_alphanumeric()).next()?;
    let mut words = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(character.to_uppercase());
    }
    (!words.is_empty()).then_some(words)
}

/// What sqlparser says of a text that is no query, in the words of the other messages.
pub(super) fn syntax(message: &str) -> String {
    let Some(rest) = message.strip_prefix("Expected") else {
        return match message.strip_prefix("No infix parser for token ") {
            Some(_) => "this cannot stand here".to_owned(),
            None => message.to_owned(),
        };
    };
    let expected = rest.trim_start_matches(':').trim_start();
    match expected.split_once(", found: ") {
        Some((expected, "EOF")) => format!("expected {expected}, found the end of the query"),
        Some((expected, found)) => format!("expected {expected}, found `{found}`"),
        None => format!("expected {expected}"),
    }
}

/// A sentence as a fragment; a word in capital letters stays what it is.
pub(super) fn uncapitalised(text: &str) -> String {
    let mut characters = text.chars();
    let (first, rest) = (characters.next(), characters.as_str());
    match first {
        Some(first) if !rest.starts_with(char::is_uppercase) => {
            first.to_lowercase().chain(rest.chars()).collect()
        }
        _ => text.to_owned(),
    }
}

/// A type of Arrow's as SQL calls it.
pub(super) fn sql_type(arrow: &str) -> &str {
    match arrow.split(['(', '<']).next().unwrap_or(arrow) {
        "Utf8" | "Utf8View" => "varchar",
        "LargeUtf8" => "json",
        "Boolean" => "boolean",
        "Int8" => "tinyint",
        "Int16" => "smallint",
        "Int32" => "integer",
        "Int64" => "bigint",
        "Float32" => "real",
        "Float64" => "double",
        "Date32" => "date",
        "Time32" | "Time64" => "time",
        "Interval" | "Duration" => "interval",
        "Binary" | "LargeBinary" | "BinaryView" => "varbinary",
        "List" => "array",
        "Map" => "map",
        "Struct" => "row",
        "Timestamp" => "timestamp",
        "Decimal128" | "Decimal256" => "decimal",
        "Null" => "null",
        _ => arrow,
    }
}

/// The function that a message about arguments names.
fn function_of(message: &str) -> Option<&str> {
    let words = [
        "argument types '",
        "a call to '",
        "function '",
        " for function ",
    ];
    let after = words.iter().find_map(|words| message.split_once(words))?.1;
    let name = after.split(['(', '\'', ' ', '.']).next()?;
    (!name.is_empty()).then_some(name)
}

/// The place of what a parser found, where it names the place of what follows.
pub(super) fn realigned(place: SqlPlace, message: &str, sql: &str) -> SqlPlace {
    let found = message
        .rsplit_once("found: ")
        .map(|(_, found)| found.trim());
    let Some(found) = found.filter(|found| !found.is_empty() && *found != "EOF") else {
        return place;
    };
    let length = found.chars().count() as u64;
    let line = usize::try_from(place.line)
        .ok()
        .and_then(|line| sql.lines().nth(line.checked_sub(1)?));
    let Some(line) = line else {
        return place;
    };
    let column = usize::try_from(place.column).unwrap_or(1).max(1) - 1;
    let at = line
        .char_indices()
        .nth(column)
        .map_or(line.len(), |(at, _)| at);
    if line[at..].starts_with(found) {
        return SqlPlace { length, ..place };
    }
    match line[..at].rfind(found) {
        Some(start) => SqlPlace {
            column: line[..start].chars().count() as u64 + 1,
            length,
            ..place
        },
        None => place,
    }
}

/// Whether a function of that name is called.
pub(super) fn stands_in(name: &str, sql: &str) -> bool {
    without_quotes(sql).to_ascii_lowercase().contains(name)
}

/// Where a name stands (or a function is called), if it does so once.
fn place_of(name: &str, sql: &str, is_called: bool) -> Option<SqlPlace> {
    let text = without_quotes(sql).to_ascii_lowercase();
    let wanted = name.to_ascii_lowercase();
    let is_meant = |start: &usize| {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let after = &text[start + name.len()..];
        let is_whole = !text[..*start].ends_with(is_word) && !after.starts_with(is_word);
        is_whole && (!is_called || after.trim_start().starts_with('('))
    };
    let mut found = text
        .match_indices(&wanted)
        .map(|(start, _)| start)
        .filter(is_meant);
    let start = found.next().filter(|_| found.next().is_none())?;
    let before = &sql[..start];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Some(SqlPlace {
        line: before.matches('\n').count() as u64 + 1,
        column: before[line_start..].chars().count() as u64 + 1,
        length: name.chars().count() as u64,
    })
}

/// The text with blanks for what stands in single quotes and comments; the bytes stay where they are.
fn without_quotes(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let end = if rest.starts_with("--") {
            rest.find('\n')
        } else if rest.starts_with("/*") {
            rest.find("*/").map(|at| at + 2)
        } else if first == '\'' {
            rest[1..].find('\'').map(|at| at + 2)
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        let (blanked, after) = rest.split_at(end.unwrap_or(rest.len()));
        out.extend(blanked.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
        rest = after;
    }
    out
}

/// A message without the names that statements get before they are planned.
fn worded(message: &str) -> String {
    in_users_words(&without_marks(message))
}

/// Takes DataFusion's own prefixes off a message.
pub(super) fn plain(message: &str) -> String {
    let mut message = message.trim();
    for prefix in [
        "Error during planning: ",
        "SQL error: ",
        "Schema error: ",
        "This feature is not implemented: ",
        "Execution error: ",
        "Arrow error: ",
        "Parquet error: ",
        "External error: ",
    ] {
        message = message.strip_prefix(prefix).unwrap_or(message);
    }
    let message = match message
        .strip_prefix("ParserError(\"")
        .and_then(|m| m.strip_suffix("\")"))
    {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\n", "\n"),
        None => message.to_owned(),
    };
    let message = worded(&message);
    // The place is told apart.
    match message.find(" at Line: ") {
        Some(end) => message[..end].to_owned(),
        None => message,
    }
}

/// sqlparser writes the place into its text: `… at Line: 2, Column: 5`.
fn place_in_text(message: &str) -> Option<SqlPlace> {
    let after = message.split(" at Line: ").nth(1)?;
    let (line, rest) = after.split_once(", Column: ")?;
    let column = rest
        .chars()
        .take_while(char::is_ascii_digit)
        .collect::<String>();
    Some(SqlPlace {
        line: line.trim().parse().ok()?,
        column: column.parse().ok()?,
        length: 1,
    })
}

/// The name that an error of an unknown column, table or function is about.
fn unknown_name(message: &str, place: Option<SqlPlace>, sql: &str) -> Option<String> {
    let is_unknown = ["not found", "No field named", "Invalid parameter"]
        .iter()
        .any(|words| message.contains(words));
    if !is_unknown {
        return None;
    }
    if let Some(place) = place.filter(|place| place.length > 1) {
        let line = sql.lines().nth(place.line.checked_sub(1)? as usize)?;
        let name = line
            .chars()
            .skip(place.column.checked_sub(1)? as usize)
            .take(place.length as usize);
        return Some(name.collect());
    }
    message.split(['\'', '`', '"']).nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_read_from_a_parser_message() {
        let place =
            place_in_text("Expected: end of statement, found: x at Line: 2, Column: 15").unwrap();
        assert_eq!((place.line, place.column), (2, 15));
    }

    #[test]
    fn the_function_is_read_from_a_message() {
        let name = function_of("unexpected parameters () for function substr");
        assert_eq!(name, Some("substr"));
    }

    #[test]
    fn types_that_do_not_fit_are_told_as_sql_calls_them() {
        let said = |message| read(message, "").message;
        assert_eq!(
            said(
                "Cannot create filter with non-boolean predicate 'CAST(Int64(1) AS Int32)' returning Int32"
            ),
            "a condition must be a boolean, not integer"
        );
        assert_eq!(
            said("NOT cannot be used with Utf8"),
            "NOT takes a boolean, not varchar"
        );
    }

    #[test]
    fn trees_of_the_parser_and_misplaced_aggregates_are_told_in_words() {
        let said = |message| read(message, "").message;
        assert_eq!(
            said(
                "Unsupported ast node in sqltorel: MatchRecognize { table: Derived { lateral: false } }"
            ),
            "MATCH RECOGNIZE is not supported"
        );
        assert_eq!(
            said(
                "Physical plan does not support logical expression AggregateFunction(AggregateFunction { func: … })"
            ),
            "an aggregate function cannot stand here; GROUP BY takes what each row has"
        );
    }

    #[test]
    fn what_a_parser_expects_is_told_as_elsewhere() {
        let cases = [
            ("Expected: ), found: FROM", "expected ), found `FROM`"),
            (
                "Expected an expression, found: FROM",
                "expected an expression, found `FROM`",
            ),
            (
                "Expected: identifier, found: EOF",
                "expected identifier, found the end of the query",
            ),
            ("No infix parser for token Sharp", "this cannot stand here"),
            (
                "the query is nested too deeply",
                "the query is nested too deeply",
            ),
        ];
        for (said, told) in cases {
            assert_eq!(syntax(said), told);
        }
    }

    #[test]
    fn an_unknown_field_is_named_and_the_known_ones_are_suggestions() {
        let told = read("No field named 'typ'. Fields are: type, arn", "");
        assert_eq!(told.message, "column 'typ' not found");
        assert_eq!(
            (told.name.as_deref(), told.listed),
            (Some("typ"), vec!["type".into(), "arn".into()])
        );
        let told = read(
            "No field named nme. Did you mean 'a.b.name'?\nValid fields are _col0, a.b.name.",
            "",
        );
        assert_eq!(told.message, "column 'nme' not found");
        assert_eq!(told.listed, ["_col0", "a.b.name"]);
        assert_eq!(
            read("Invalid function 'lenght'", "").message,
            "function 'lenght' not found"
        );
        assert_eq!(
            read("Unsupported SQL type intt", "").message,
            "there is no type intt"
        );
    }

    #[test]
    fn a_function_that_exists_gets_no_other_name_suggested() {
        let name = |message| unknown_name(message, None, "SELECT substr()");
        assert_eq!(name("unexpected parameters () for function substr"), None);
        assert_eq!(name("function 'sbstr' not found").as_deref(), Some("sbstr"));
    }

    #[test]
    fn a_name_is_found_where_it_is_the_only_one() {
        let place = |sql| place_of("round", sql, true).map(|place| (place.line, place.column));
        assert_eq!(place("SELECT 'é',\n  Round (x)"), Some((2, 3)));
        assert_eq!(
            place("SELECT 'round(1)', /* round(2) */ round(3) -- round(4)"),
            Some((1, 35))
        );
        assert_eq!(place("SELECT round(1), round(2)"), None);
        assert_eq!(place("SELECT ground(1), round"), None);
        assert_eq!(place("SELECT 'İ', round('open"), Some((1, 13)));
        let place = |sql| place_of("typ", sql, false).map(|place| (place.line, place.column));
        assert_eq!(place("SELECT u.typ, type"), Some((1, 10)));
        assert_eq!(place("SELECT u.typ, typ"), None);
    }

    #[test]
    fn the_mark_stands_below_what_was_found() {
        let place = |sql: &str, column, found: &str| {
            let place = SqlPlace {
                line: 1,
                column,
                length: 1,
            };
            let place = realigned(
                place,
                &format!("Expected: an expression, found: {found}"),
                sql,
            );
            (place.column, place.length)
        };
        assert_eq!(place("SELECT FROM k9.x", 13, "FROM"), (8, 4));
        assert_eq!(place("SELECT 1 x y", 12, "y"), (12, 1));
        assert_eq!(place("SELECT 1 +", 11, "EOF"), (11, 1));
        assert_eq!(place("SELECT é", 3, "nothing"), (3, 1));
    }
}
