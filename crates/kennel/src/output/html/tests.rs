//! The page as text; how it looks and what its script does was looked at in a browser.

use std::sync::Arc;

use chrono::DateTime;
use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
use kennel_engine::{Caveat, CaveatKind};

use super::*;

const EVIL: &str = "</td><script>alert(1)</script>\" onload='x'&\u{202e}\u{1b}[2J";

fn column(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn page(results: &[(About, RecordBatch)]) -> String {
    let mut document = HtmlDocument::new();
    for (about, batch) in results {
        document.begin(about, &batch.schema()).unwrap();
        document.batch(batch).unwrap();
        document.end().unwrap();
    }
    let mut out = Vec::new();
    document.close(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Holds that every element that is opened is closed, in order; names the first that is not.
fn assert_well_formed(page: &str) {
    let mut open = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        let tag = &rest[start + 1..rest[start..].find('>').unwrap() + start];
        let name = tag
            .trim_start_matches('/')
            .split([' ', '/'])
            .next()
            .unwrap();
        rest = &rest[start + tag.len() + 2..];
        match name {
            "!doctype" | "meta" | "rect" => continue,
            // What these hold is no markup.
            "style" | "script" if !tag.starts_with('/') => {
                rest = rest.split_once(&format!("</{name}>")).unwrap().1;
                continue;
            }
            _ => {}
        }
        if tag.starts_with('/') {
            assert_eq!(
                open.pop(),
                Some(name),
                "before {:?}",
                &rest[..rest.len().min(60)]
            );
        } else {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn hostile_text_stays_text_wherever_it_stands() {
    let about = About {
        name: EVIL.into(),
        title: Some(EVIL.into()),
        documentation: Some(EVIL.into()),
        sql: Some(EVIL.into()),
        params: vec![(EVIL.into(), EVIL.into())],
        caveats: vec![Caveat {
            kind: CaveatKind::Partial,
            message: EVIL.into(),
            hint: Some(EVIL.into()),
        }],
        ..About::default()
    };
    let values = [EVIL; 5];
    let batch = RecordBatch::try_from_iter([
        (EVIL, column(&values)),
        ("account_id", column(&[EVIL, "1", "1", "2", EVIL])),
    ]);
    let page = page(&[
        (about.clone(), batch.unwrap()),
        (
            about,
            RecordBatch::try_from_iter([("a", column(&["b"]))]).unwrap(),
        ),
    ]);
    assert_eq!(page.matches("<script>").count(), 1);
    assert!(!page.contains("onload='x'") && !page.contains('\u{1b}') && !page.contains('\u{202e}'));
    assert_well_formed(&page);
}

#[test]
fn only_the_pages_own_style_and_script_may_run() {
    let page = page(&[(
        About::default(),
        RecordBatch::try_from_iter([("a", column(&["b"]))]).unwrap(),
    )]);
    let inside = |tag: &str| {
        page.split_once(&format!("<{tag}>"))
            .unwrap()
            .1
            .split_once(&format!("</{tag}>"))
            .unwrap()
            .0
    };
    for (directive, tag) in [("style-src", "style"), ("script-src", "script")] {
        assert!(
            page.contains(&format!("{directive} '{}'", hash(inside(tag)))),
            "{tag}"
        );
    }
    assert!(page.contains("default-src 'none'"));
    for reach in [
        "http:", "https:", "//cdn", "src=", "url(", "@import", " style=",
    ] {
        assert!(!page.contains(reach), "{reach}");
    }
}

#[test]
fn the_summary_says_what_an_answer_rests_on_and_lacks() {
    let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
    let report = |account: &str, time: &str| kennel_engine::ReportUsed {
        table: "k9.principals_latest".into(),
        customer_id: "C123456".parse().unwrap(),
        account_id: account.parse().unwrap(),
        analysis_time: Some(at(time)),
        snapshot_at: at("2026-03-02T05:00:00Z"),
    };
    let about = About {
        name: "k9/iam-admins".into(),
        title: Some("Who".into()),
        severity: Some("high"),
        caveats: vec![Caveat {
            kind: CaveatKind::Absent,
            message: "nothing of account 1".into(),
            hint: Some("sync".into()),
        }],
        reports: vec![
            report("111122223333", "2026-03-01T04:10:00Z"),
            report("123456789012", "2026-03-02T04:10:00Z"),
        ],
        ..About::default()
    };
    let none = RecordBatch::try_from_iter([("a", column(&[]))]).unwrap();
    let page = page(&[(about, none.clone()), (About::named("result-2"), none)]);
    for words in [
        "<title>2 answers</title>",
        "1 of 2 answers are incomplete or without data",
        "<a href=\"#answer-1\">k9/iam-admins: Who</a>",
        "<strong>No data:</strong> nothing of account 1 <span class=\"hint\">(sync)</span>",
        "Rests on 2 reports of 2 accounts, analysed 2026-03-01 04:10 UTC to 2026-03-02 04:10 UTC: 2 of k9.principals_latest",
        "<p class=\"none\">No rows.</p>",
    ] {
        assert!(page.contains(words), "{words}\n{page}");
    }
    assert_well_formed(&page);
}

#[test]
fn charts_count_rows_or_what_rows_stand_for() {
    let accounts = column(&["1", "2", "1", "1"]);
    let rows = RecordBatch::try_from_iter([("account_id", ArrayRef::clone(&accounts))]).unwrap();
    let mut charts = Charts::of(&rows.schema());
    charts.count(&rows);
    let drawn = charts.drawn("", 4);
    assert!(
        drawn.contains("<caption>Rows by account</caption>"),
        "{drawn}"
    );
    assert!(drawn.contains("<th scope=\"row\">2</th><td class=\"number\">1</td><td class=\"bar\"><svg width=\"100%\" height=\"12\" aria-hidden=\"true\"><rect width=\"33.3%\""), "{drawn}");

    let calls: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(50), None, Some(-3)]));
    let rows = RecordBatch::try_from_iter([("account_id", accounts), ("calls", calls)]).unwrap();
    let mut charts = Charts::of(&rows.schema());
    charts.count(&rows);
    let drawn = charts.drawn("", 4);
    assert!(
        drawn.contains("<caption>Calls by account</caption>"),
        "{drawn}"
    );
    assert!(
        drawn.find(">50<") < drawn.find(">1</td>"),
        "the largest first: {drawn}"
    );
}

#[test]
fn a_chart_that_says_nothing_is_not_drawn() {
    let drawn = |values: &[&str]| {
        let rows = RecordBatch::try_from_iter([("account_id", column(values))]).unwrap();
        let mut charts = Charts::of(&rows.schema());
        charts.count(&rows);
        charts.drawn("", values.len() as u64)
    };
    assert_eq!(drawn(&["1", "1", "1", "1", "1"]), "", "one value");
    assert_eq!(drawn(&["1", "2", "3", "4", "5"]), "", "a row each");
    assert_eq!(drawn(&["1", "2", "1"]), "", "few rows");
    let many = (0..40)
        .flat_map(|n| [n.to_string(), n.to_string()])
        .collect::<Vec<_>>();
    let many = many.iter().map(String::as_str).collect::<Vec<_>>();
    let chart = drawn(&many);
    assert_eq!(chart.matches("<rect").count(), 12);
    assert!(chart.contains("29 others"), "{chart}");
}

#[test]
fn a_long_result_waits_in_a_file_and_comes_out_whole() {
    let rows = RecordBatch::try_from_iter([("text", column(&["x"; 10_000]))]).unwrap();
    let mut document = HtmlDocument::new();
    document
        .begin(&About::named("long"), &rows.schema())
        .unwrap();
    for _ in 0..60 {
        document.batch(&rows).unwrap();
    }
    document.end().unwrap();
    document
        .begin(&About::named("short"), &rows.schema())
        .unwrap();
    document.batch(&rows.slice(0, 1)).unwrap();
    document.end().unwrap();
    assert!(document.spool.is_rolled());
    let mut out = Vec::new();
    document.close(&mut out).unwrap();
    let page = String::from_utf8(out).unwrap();
    assert_eq!(page.matches("<td class=\"short\">x</td>").count(), 600_001);
    assert!(page.contains("600,000 rows"));
}

#[test]
fn a_reports_page_is_well_formed_whatever_the_data_says_and_changes_come_first() {
    use crate::output::report::{Changed, Entry, Lack, Report, Sample, SuppressionLine};
    let rows = RecordBatch::try_from_iter([("name", column(&["a", EVIL, "c"]))]).unwrap();
    let about = About {
        severity: Some("high"),
        title: Some(EVIL.into()),
        caveats: vec![Caveat {
            kind: CaveatKind::Partial,
            message: EVIL.into(),
            hint: None,
        }],
        ..About::named("k9/x")
    };
    let mut document = HtmlDocument::for_report(2);
    document.begin_in_report(&about, &rows.schema(), true, false);
    document.marked(&rows, &["new", "", "changed"]).unwrap();
    document.begin_in_report(&About::named(EVIL), &rows.schema(), false, true);
    document.marked(&rows, &[]).unwrap();
    let entry = Entry {
        about,
        row_count: 3,
        suppressed_count: 3,
        changes: Some(Changed {
            new_count: 1,
            unknown_count: 2,
            key: vec![EVIL.into()],
            samples: vec![Sample {
                change: "new",
                key: vec![EVIL.into()],
            }],
            ..Changed::default()
        }),
        not_compared: Some(EVIL.into()),
        trend: vec![(EVIL.into(), 0), ("s2".into(), u64::MAX)],
        rows_file: Some("csv/a.csv".into()),
    };
    let report = Report {
        since: Some(EVIL.into()),
        state: EVIL.into(),
        lacks: vec![Lack {
            kind: CaveatKind::Partial,
            message: EVIL.into(),
            hint: None,
            answer_count: 2,
        }],
        stale: vec![EVIL.into()],
        left_out: vec![(EVIL.into(), EVIL.into())],
        snapshots: vec![(EVIL.into(), EVIL.into(), DateTime::default(), false)],
        suppressions: vec![SuppressionLine {
            name: EVIL.into(),
            owner: EVIL.into(),
            reason: EVIL.into(),
            expires: None,
            standing: "expired".into(),
            row_count: 1,
        }],
        entries: vec![entry],
        ..Report::default()
    };
    let mut out = Vec::new();
    document.close_report(&report, &mut out).unwrap();
    let page = String::from_utf8(out).unwrap();
    assert_well_formed(&page);
    assert_eq!(page.matches("<script>").count(), 1, "the page's own alone");
    assert!(!page.contains("onload='"));
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}"));
    assert!(at("class=\"verdict\"") < at("id=\"changes\""));
    assert!(at("id=\"changes\"") < at("id=\"questions\""));
    assert!(at("id=\"questions\"") < at("<section id=\"answer-1\""));
    assert!(at("<section id=\"answer-1\"") < at("<section id=\"accepted-1\""));
    assert!(
        page.contains("The first 2 of 3 rows; all are in <a href=\"csv/a.csv\">csv/a.csv</a>.")
    );
    assert!(page.contains(
        "<tr class=\"new\"><td class=\"short\"><span class=\"mark new\">new</span></td>"
    ));
}
