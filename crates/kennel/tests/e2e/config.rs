//! `init`, the config file, settings, help and usage errors.

use crate::home::TestHome;

#[test]
fn without_a_command_the_help_is_shown_and_the_code_is_2() {
    let said = TestHome::new().kennel([]).ends_with(2);
    assert_eq!(said.stdout, "");
    assert!(said.stderr.contains("Usage: kennel"), "{}", said.stderr);
}

#[test]
fn help_goes_to_standard_output_and_tells_the_exit_codes() {
    let home = TestHome::new();
    for args in [vec!["--help"], vec!["sync", "--help"], vec!["help", "run"]] {
        let said = home.kennel(args).ends_with(0);
        assert!(said.stdout.contains("Exit codes:"), "{}", said.stdout);
        assert_eq!(said.stderr, "");
    }
}

#[test]
fn an_unknown_flag_is_a_usage_error() {
    let said = TestHome::new()
        .kennel(["status", "--formt", "json"])
        .ends_with(2);
    assert_eq!(said.stdout, "");
    assert!(said.stderr.contains("--format"), "{}", said.stderr);
}

#[test]
fn init_writes_a_config_and_prints_the_least_permissions() {
    let home = TestHome::new();
    let said = home
        .kennel(["init", "--k9", "s3://acme-k9-inbox", "--profile", "audit"])
        .ends_with(0);
    insta::assert_snapshot!(said.stderr, @r"
    wrote kennel.toml
    the least permissions that `kennel sync` needs, as an IAM policy:
    next: `kennel sync --dry-run` shows what would be fetched, `kennel sync` fetches it
    ");
    let policy = serde_json::from_str::<serde_json::Value>(&said.stdout).unwrap();
    assert_eq!(policy["Statement"][0]["Action"], "s3:ListBucket");

    let said = home.kennel(["status", "--settings"]).ends_with(0);
    assert!(said.stdout.contains("source.k9.profile"), "{}", said.stdout);

    let said = home.kennel(["init"]).ends_with(2);
    insta::assert_snapshot!(said.all(), @r"
    exit 2
    -- stdout
    -- stderr
    error: `kennel.toml` is already there
    hint: `--force` overwrites it; `--config FILE` writes elsewhere
    ");
    home.kennel(["init", "--force", "-q"]).ends_with(0);
}

#[test]
fn a_misspelt_key_is_shown_in_its_line() {
    let home = TestHome::new();
    home.write(
        "kennel.toml",
        "[[source]]\nname = \"k9\"\nkind = \"k9\"\nurll = \"s3://b\"\n",
    );
    let said = home.kennel(["status"]).ends_with(2);
    assert_eq!(said.stdout, "");
    assert!(
        said.stderr.starts_with("error: cannot understand the config file `[ROOT]/desk/kennel.toml`\n 4 | urll = \"s3://b\"\n   | ^^^^ did you mean `url`?\n"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_named_config_that_is_absent_is_a_failure() {
    let said = TestHome::new()
        .kennel(["status", "--config", "nowhere.toml"])
        .ends_with(2);
    insta::assert_snapshot!(said.stderr, @r"
    error: cannot read the config file `nowhere.toml`
      caused by: No such file or directory (os error 2)
    ");
}

#[test]
fn settings_tell_where_they_came_from() {
    let home = TestHome::new();
    home.write("kennel.toml", "home = \"cache\"\noffline = true\n");
    let mut command = assert_cmd::Command::from_std(home.command());
    let output = command
        .env("KENNEL_COLOR", "never")
        .args(["status", "--settings", "--progress", "never"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |name: &str| {
        let found = text
            .lines()
            .find(|line| line.trim_start().starts_with(name));
        let words = found.unwrap().split_whitespace().collect::<Vec<_>>();
        words.join(" ")
    };
    assert!(
        line("home").ends_with("/desk/cache │ config file"),
        "{text}"
    );
    assert_eq!(line("offline"), "offline │ true │ config file");
    assert!(
        line("color").ends_with("environment KENNEL_COLOR"),
        "{text}"
    );
    assert!(line("progress").ends_with("--progress"), "{text}");
    assert!(line("log_format").ends_with("default"), "{text}");
}
