use datafusion::arrow::{
    array::{AsArray, BooleanArray, Int64Array},
    compute::concat_batches,
};
use proptest::prelude::*;

use super::{tally::UseStatus, *};

const QUESTION: &str = "k9/iam-admins";

fn library() -> Library {
    Library::embedded().unwrap()
}

fn parsed(text: &str) -> Suppressions {
    Suppressions::parse("s.toml", text.to_owned(), &library()).unwrap()
}

/// What is said of a file that is wrong.
fn refused(text: &str) -> String {
    told(&Suppressions::parse("s.toml", text.to_owned(), &library()).unwrap_err())
}

fn told(error: &CliError) -> String {
    error.lines(|label| format!("{label:?}:")).join("\n")
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("account_id", DataType::Utf8, true),
        Field::new("principal_arn", DataType::Utf8, true),
        Field::new("count", DataType::Int64, true),
        Field::new("flag", DataType::Boolean, true),
    ]))
}

type Row = (
    Option<&'static str>,
    Option<&'static str>,
    Option<i64>,
    Option<bool>,
);

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.0).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.3).collect::<BooleanArray>()),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// An entry for the question that matches these lines.
fn entry(matching: &str, further: &str) -> String {
    format!(
        "[[suppress]]\nid = \"iam-admins\"\nowner = \"o\"\nreason = \"r\"\n{further}\nmatch = {{ {matching} }}\n"
    )
}

fn counts(sieve: &Sieve) -> Vec<u64> {
    sieve.rules.iter().map(|rule| rule.row_count).collect()
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let array = batch.column_by_name(name).unwrap().as_string::<i32>();
    array.iter().map(|text| text.map(str::to_owned)).collect()
}

#[test]
fn all_columns_must_hold_what_is_named_and_null_is_nothing() {
    let text = [
        entry(r#"account_id = "1", count = 7"#, ""),
        entry(r#"principal_arn = { glob = "arn:*:role/ci-?" }"#, ""),
        entry(r#"account_id = ["8", "9"], flag = true"#, ""),
        entry(r#"principal_arn = "arn:*""#, ""),
    ];
    let suppressions = parsed(&text.join("\n"));
    let mut sieve = suppressions
        .sieve(QUESTION, &schema(), at("2026-03-01T00:00:00Z"))
        .unwrap();
    let rows = batch(&[
        (Some("1"), None, Some(7), None),
        (Some("1"), None, Some(8), None),
        (None, Some("arn:aws:iam::1:role/ci-a"), None, None),
        (None, Some("arn:aws:iam::1:role/ci-ab"), None, None),
        (Some("9"), Some("x"), None, Some(true)),
        (Some("9"), Some("x"), None, Some(false)),
        (None, None, None, None),
        // A `*` in plain text is a star.
        (None, Some("arn:*"), None, None),
    ]);
    let sifted = sieve.apply(&rows).unwrap();
    assert_eq!(counts(&sieve), [1, 1, 1, 1]);
    assert_eq!(sifted.kept.num_rows(), 4);
    assert_eq!(
        texts(&sifted.suppressed, "suppression"),
        [
            "suppression-1",
            "suppression-2",
            "suppression-3",
            "suppression-4"
        ]
        .map(|name| Some(name.to_owned()))
    );
    assert_eq!(
        texts(&sifted.suppressed, "suppression_expires"),
        vec![None; 4]
    );
}

#[test]
fn an_expired_suppression_gives_its_rows_back_marked() {
    let text = [
        entry(
            r#"account_id = "1""#,
            "name = \"old\"\nexpires = 2026-02-28",
        ),
        entry(
            r#"account_id = "2""#,
            "name = \"last-day\"\nexpires = 2026-03-01",
        ),
        entry(
            r#"account_id = "3""#,
            "name = \"instant\"\nexpires = 2026-03-01T12:00:00Z",
        ),
        entry(r#"account_id = "1", count = 1"#, "name = \"renewed\""),
    ];
    let suppressions = parsed(&text.join("\n"));
    let now = at("2026-03-01T12:00:00Z");
    let mut sieve = suppressions.sieve(QUESTION, &schema(), now).unwrap();
    let rows = batch(&[
        (Some("1"), None, None, None),
        (Some("2"), None, None, None),
        (Some("3"), None, None, None),
        (Some("1"), None, Some(1), None),
        (Some("4"), None, None, None),
    ]);
    let sifted = sieve.apply(&rows).unwrap();
    let marked = [Some("old"), Some("instant"), None].map(|name| name.map(str::to_owned));
    assert_eq!(texts(&sifted.kept, EXPIRED_COLUMN), marked);
    let taken = [Some("last-day"), Some("renewed")].map(|name| name.map(str::to_owned));
    assert_eq!(texts(&sifted.suppressed, "suppression"), taken);

    let mut tally = suppressions.tally(now);
    tally.add(&sieve, true);
    let uses = tally.uses(&library());
    let uses = uses.iter().map(|used| (used.status, used.row_count));
    assert_eq!(
        uses.collect::<Vec<_>>(),
        [
            (UseStatus::Expired, 1),
            (UseStatus::Used, 1),
            (UseStatus::Expired, 1),
            (UseStatus::Used, 1)
        ]
    );
    // The day after the last one.
    let later = at("2026-03-02T00:00:00Z");
    let mut sieve = suppressions.sieve(QUESTION, &schema(), later).unwrap();
    assert_eq!(sieve.apply(&rows).unwrap().kept.num_rows(), 4);
}

#[test]
fn what_matches_nothing_is_unused_only_when_everything_was_asked() {
    let of_several = entry(r#"account_id = "x""#, "").replace("iam-admins", "k9/iam-admins*");
    let suppressions = parsed(&[entry(r#"account_id = "x""#, ""), of_several].join("\n"));
    let now = at("2026-03-01T00:00:00Z");
    let statuses = |questions: &[&str], is_whole| {
        let mut tally = suppressions.tally(now);
        for question in questions {
            let mut sieve = suppressions.sieve(question, &schema(), now).unwrap();
            sieve
                .apply(&batch(&[(Some("1"), None, None, None)]))
                .unwrap();
            tally.add(&sieve, is_whole);
        }
        let uses = tally.uses(&library());
        uses.iter().map(|used| used.status).collect::<Vec<_>>()
    };
    use UseStatus::{Unknown, Unused};
    assert_eq!(statuses(&[QUESTION], true), [Unused, Unknown]);
    assert_eq!(statuses(&[QUESTION], false), [Unknown, Unknown]);
    let both = [QUESTION, "k9/iam-admins-by-flag"];
    assert_eq!(statuses(&both, true), [Unused, Unused]);
}

#[test]
fn a_column_that_the_question_lacks_is_an_error_unless_many_questions_are_meant() {
    let suppressions = parsed(&entry(r#"acount_id = "1""#, "name = \"ci\""));
    let now = at("2026-03-01T00:00:00Z");
    let error = suppressions.sieve(QUESTION, &schema(), now).unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    Error: suppression `ci`: `k9/iam-admins` has no column `acount_id`
     --> s.toml:6:23
     6 | match = { acount_id = "1" }
       |                       ^^^ did you mean `account_id`?
    Hint: its columns are account_id, principal_arn, count, flag
    "#);
    let of_all = entry(r#"acount_id = "1""#, "").replace("iam-admins", "k9/*");
    let sieve = parsed(&of_all).sieve(QUESTION, &schema(), now).unwrap();
    assert!(sieve.is_empty());
    // Other questions are not asked about it.
    let sieve = suppressions.sieve("k9/rds-delete", &schema(), now).unwrap();
    assert!(sieve.is_empty());
}

#[test]
fn changes_are_hidden_by_what_identifies_them_alone() {
    let text = [
        entry(r#"account_id = "1""#, "name = \"key\""),
        entry(r#"service_name = "IAM""#, "name = \"other\""),
    ];
    let suppressions = parsed(&text.join("\n"));
    let now = at("2026-03-01T00:00:00Z");
    let (sieve, told) = suppressions.sieve_of_changes(QUESTION, &schema(), now);
    assert_eq!(sieve.rules.len(), 1);
    assert_eq!(
        told,
        [
            "suppression `other` hides no changes of `k9/iam-admins`: `service_name` is not part of the key"
        ]
    );
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_place() {
    let wrong = [
        (
            "[[suppress]]\nid = \"iam-admins\"\nreason = \"r\"\nmatch = { a = \"1\" }\n".to_owned(),
            "missing field `owner`",
        ),
        (
            entry(r#"a = "1""#, "expire = 2026-03-01"),
            "did you mean `expires`?",
        ),
        (
            entry(r#"a = "1""#, "expires = 2026-03-01T00:00:00"),
            "s.toml:5:11",
        ),
        (
            entry(r#"a = "1""#, "expires = \"soon\""),
            "suppression 1: `expires` is a day",
        ),
        (
            entry(r#"a = "1""#, "").replace("\"r\"", "\" \""),
            "suppression 1: `reason` is empty",
        ),
        (entry("", ""), "suppression 1: `match` matches every row"),
        (
            entry("a = 1.5", ""),
            "suppression 1: `match` of column `a` is a text",
        ),
        (
            entry("a = []", ""),
            "suppression 1: `match` of column `a` is a text",
        ),
        (
            entry(r#"a = { glob = "x", y = 1 }"#, ""),
            "suppression 1: `match` of column `a` is a text",
        ),
        (
            entry(r#"a = { glb = "x" }"#, ""),
            "suppression 1: `match` of column `a` is a text",
        ),
        (
            entry(r#"a = "1""#, "").replace("iam-admins", "iam-admin"),
            "s.toml:2:6",
        ),
        (
            entry(r#"a = "1""#, "").replace("iam-admins", "k8/*"),
            "suppression 1: `id` matches no question",
        ),
        (
            entry(r#"a = "1""#, "name = \"x\"") + &entry(r#"a = "1""#, "name = \"x\""),
            "two suppressions are called `x`",
        ),
        (
            "suppress = 1".to_owned(),
            "cannot understand the suppressions `s.toml`",
        ),
        ("[[supress]]".to_owned(), "did you mean `suppress`?"),
    ];
    for (text, expected) in wrong {
        let told = refused(&text);
        assert!(told.contains(expected), "{text}\n{told}");
    }
    assert!(parsed("").entries.is_empty());
}

fn any_row() -> impl Strategy<Value = Row> {
    let text = || prop::option::of(prop::sample::select(vec!["", "a", "b", "ab", "*"]));
    (
        text(),
        text(),
        prop::option::of(0..3_i64),
        any::<Option<bool>>(),
    )
}

/// What an entry may want, and the same in Rust.
type Wish = (&'static str, fn(&Row) -> bool);

const WISHES: [Wish; 6] = [
    (r#"account_id = "a""#, |row| row.0 == Some("a")),
    (r#"account_id = { glob = "*" }"#, |row| row.0.is_some()),
    (r#"principal_arn = { glob = "a*" }"#, |row| {
        row.1.is_some_and(|text| text.starts_with('a'))
    }),
    (r#"principal_arn = ["", "b"]"#, |row| {
        matches!(row.1, Some("" | "b"))
    }),
    ("count = 1", |row| row.2 == Some(1)),
    (r#"flag = false, account_id = "ab""#, |row| {
        row.3 == Some(false) && row.0 == Some("ab")
    }),
];

proptest! {
    #[test]
    fn what_is_kept_and_what_is_suppressed_is_everything_in_its_order(
        rows in prop::collection::vec(any_row(), 0..40),
        entries in prop::collection::vec((0..WISHES.len(), any::<bool>()), 0..6),
        cut in 0..40_usize,
    ) {
        let text = entries.iter().map(|(wish, is_expired)| {
            let expires = if *is_expired { "expires = 2026-01-01" } else { "" };
            entry(WISHES[*wish].0, expires)
        });
        let suppressions = parsed(&text.collect::<String>());
        let mut sieve = suppressions
            .sieve(QUESTION, &schema(), at("2026-03-01T00:00:00Z"))
            .unwrap();
        let cut = cut.min(rows.len());
        let parts = [&rows[..cut], &rows[cut..]].map(|part| sieve.apply(&batch(part)).unwrap());
        let [kept, suppressed] = [
            (sieve.kept_schema(), [&parts[0].kept, &parts[1].kept]),
            (sieve.suppressed_schema(), [&parts[0].suppressed, &parts[1].suppressed]),
        ].map(|(schema, parts)| concat_batches(&schema, parts).unwrap());

        let matches = |row: &Row, expired: bool| {
            let mut of_kind = entries.iter().filter(|entry| entry.1 == expired);
            of_kind.any(|(wish, _)| WISHES[*wish].1(row))
        };
        let (taken, left): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| matches(row, false));
        for (found, expected) in [(&kept, &left), (&suppressed, &taken)] {
            let expected = batch(&expected.iter().copied().copied().collect::<Vec<_>>());
            prop_assert_eq!(&found.columns()[..4], expected.columns());
        }
        prop_assert_eq!(sieve.suppressed_count(), taken.len() as u64);
        if entries.iter().any(|entry| entry.1) {
            let marked = texts(&kept, EXPIRED_COLUMN);
            let marked = marked.iter().map(Option::is_some).collect::<Vec<_>>();
            prop_assert_eq!(marked, left.iter().map(|row| matches(row, true)).collect::<Vec<_>>());
        }
    }
}
