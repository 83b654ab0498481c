//! Findings that somebody accepted: left out and counted, back when their time is over, never a way to hide that data lacks.

use crate::home::TestHome;

const SUPPRESSIONS: &str = r#"
[[suppress]]
name    = "machines"
id      = "iam-admins"
match   = { principal_arn = { glob = "arn:aws:iam::123456789012:role/*" } }
owner   = "platform team"
reason  = "deployment"
expires = 2026-03-31

[[suppress]]
name    = "over"
id      = "k9/iam-admins"
match   = { principal_arn = "arn:aws:iam::123456789012:user/skuenzli" }
owner   = "security team"
reason  = "until SSO is there"
expires = 2026-03-02

[[suppress]]
name   = "nobody"
id     = "k9/iam-admins"
match  = { principal_name = "nobody" }
owner  = "security team"
reason = "left"
"#;

fn synced() -> TestHome {
    let home = TestHome::new().with_inbox("guide");
    home.write("suppressions.toml", SUPPRESSIONS);
    home.kennel(["sync", "-q"]).ends_with(0);
    home
}

#[test]
fn accepted_findings_are_left_out_counted_and_shown_apart() {
    let mut home = synced();
    let all = home.kennel(["run", "iam-admins", "--no-suppressions", "-f", "csv"]);
    let kept = home.kennel(["run", "iam-admins", "-f", "csv"]);
    let apart = home.kennel(["run", "iam-admins", "--suppressed", "-f", "csv"]);
    let rows = |text: &str| text.lines().count() - 1;
    assert_eq!(rows(&all.stdout), rows(&kept.stdout) + rows(&apart.stdout));
    assert!(rows(&apart.stdout) > 0);
    let header = all.stdout.lines().next().unwrap_or_default();
    let expected = format!("{header},expired_suppression");
    assert_eq!(kept.stdout.lines().next(), Some(expected.as_str()));
    insta::assert_snapshot!(kept.stderr);
    insta::assert_snapshot!(apart.stdout);

    // A page is read without the terminal beside it.
    let page = home.kennel(["run", "iam-admins", "-f", "html"]).stdout;
    assert!(page.contains("rows that `suppressions.toml` suppresses are not here: 2 suppressions"));
    // The state that answers decides what has expired, not the day of the question.
    home.at("2026-05-01T12:00:00Z");
    let later = home.kennel(["run", "iam-admins", "-f", "csv"]);
    assert_eq!(later.stdout, kept.stdout);
}

#[test]
fn a_suppression_of_everything_hides_no_lack_of_data() {
    let home = synced();
    home.write(
        "all.toml",
        "[[suppress]]\nid = \"k9/*\"\nmatch = { account_id = { glob = \"*\" } }\nowner = \"o\"\nreason = \"r\"\n",
    );
    let question = ["run", "over-accessible-resources", "--check", "-f", "csv"];
    let without = home.kennel(question.into_iter().chain(["--no-suppressions"]));
    let with = home.kennel(question.into_iter().chain(["--suppressions", "all.toml"]));
    assert_eq!(without.code, Some(3), "{}", without.all());
    assert_eq!(with.code, Some(3), "{}", with.all());
    assert_eq!(with.stdout.lines().count(), 1);
    let warnings = |text: &str| {
        let lines = text.lines().filter(|line| line.starts_with("warning:"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(!warnings(&without.stderr).is_empty());
    assert_eq!(warnings(&with.stderr), warnings(&without.stderr));
    // Nothing else is amiss: no finding is left.
    let question = ["run", "iam-admins", "--check", "-q", "-f", "csv"];
    home.kennel(question.into_iter().chain(["--no-suppressions"]))
        .ends_with(1);
    home.kennel(question.into_iter().chain(["--suppressions", "all.toml"]))
        .ends_with(0);
}

#[test]
fn accepted_changes_are_no_news() {
    let mut home = synced();
    home.write(
        "suppressions.toml",
        "[[suppress]]\nid = \"iam-admins\"\nmatch = { account_id = \"012345678901\" }\nowner = \"o\"\nreason = \"r\"\n",
    );
    home.fill_inbox("guide-next-day");
    home.at("2026-03-04T12:00:00Z");
    home.kennel(["sync", "-q"]).ends_with(0);
    home.kennel(["diff", "iam-admins", "-f", "csv", "--no-suppressions"])
        .ends_with(1);
    let said = home
        .kennel(["diff", "iam-admins", "-f", "csv"])
        .ends_with(0);
    insta::assert_snapshot!(said.all());
}

#[test]
fn a_wrong_file_is_an_error_with_its_place() {
    let home = synced();
    home.write(
        "wrong.toml",
        "[[suppress]]\nid = \"iam-admin\"\nmatch = { a = \"b\" }\nowner = \"o\"\nreason = \"r\"\n",
    );
    let said = home.kennel(["run", "iam-admins", "--suppressions", "wrong.toml"]);
    insta::assert_snapshot!(said.ends_with(2).stderr);
    home.kennel(["run", "iam-admins", "--suppressions", "none.toml"])
        .ends_with(2);
}
