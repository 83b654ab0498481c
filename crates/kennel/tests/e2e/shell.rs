//! The shell of `kennel sql`, as a person uses it: keys typed on a terminal, the screen compared.

use nix::sys::signal::{Signal, kill};

use crate::{
    home::TestHome,
    pty::{CTRL_C, CTRL_D, CTRL_R, ENTER, Pty, TAB},
};

const NARROW: (u16, u16) = (80, 40);
const WIDE: (u16, u16) = (200, 50);
/// No pager, no colours: what is compared is text.
const PLAIN: [(&str, &str); 2] = [("KENNEL_PAGER", ""), ("NO_COLOR", "1")];
/// Takes longer than anybody waits.
const ENDLESS: &str = "SELECT count(*) FROM UNNEST(sequence(1, 10000)) a (x) CROSS JOIN UNNEST(sequence(1, 10000)) b (y) CROSS JOIN UNNEST(sequence(1, 10000)) c (z) WHERE x + y + z = 7;";

fn synced() -> TestHome {
    let home = TestHome::new().with_inbox("guide");
    let said = home.kennel(["sync", "-q"]);
    assert!(matches!(said.code, Some(0 | 3)), "{}", said.all());
    home
}

fn shell(home: &TestHome, size: (u16, u16)) -> Pty {
    let mut pty = Pty::start(home, size, ["sql"], &PLAIN);
    pty.ends_with("kennel>");
    pty
}

/// What stands on the screen from the last prompt with this text on, times and bytes left out.
fn since(pty: &Pty, typed: &str) -> String {
    let screen = pty.screen();
    let from = screen
        .rfind(typed)
        .map_or(0, |at| screen[..at].rfind('\n').map_or(0, |at| at + 1));
    let lines = screen[from..]
        .lines()
        .map(|line| match line.strip_suffix(" read") {
            Some(took) if took.contains(" s, ") => "[TIME] read".to_owned(),
            _ => line.to_owned(),
        });
    lines.map(|line| line + "\n").collect()
}

#[test]
fn a_statement_is_answered_below_the_prompt_and_ctrl_d_leaves() {
    let home = TestHome::new();
    let mut pty = shell(&home, NARROW);
    pty.line("SELECT 1 AS one, 'a' AS letter;")
        .sees(&["(1 row)", " read"])
        .ends_with("kennel>");
    insta::assert_snapshot!(since(&pty, "kennel> SELECT"), @r"
    kennel> SELECT 1 AS one, 'a' AS letter;
     one │ letter
    ─────┼────────
       1 │ a
    (1 row)
    [TIME] read
    kennel>
    ");
    pty.keys(CTRL_D);
    assert_eq!(pty.ended(), Some(0));
}

#[test]
fn lines_are_gathered_until_a_semicolon_outside_quotes_ends_them() {
    let home = TestHome::new();
    let mut pty = shell(&home, NARROW);
    pty.line("SELECT ';").ends_with("   ...>");
    pty.line("' AS a -- ;")
        .line(", 2 AS b")
        .line(";")
        .sees(&["(1 row)"])
        .ends_with("kennel>");
    insta::assert_snapshot!(since(&pty, "kennel> SELECT"), @r"
    kennel> SELECT ';
       ...> ' AS a -- ;
       ...> , 2 AS b
       ...> ;
     a   │ b
    ─────┼───
     ;\n │ 2
    (1 row)
    [TIME] read
    kennel>
    ");
}

#[test]
fn an_error_ends_the_statement_and_not_the_shell() {
    let home = synced();
    let mut pty = shell(&home, NARROW);
    pty.line("SELECT principal_nam FROM k9.principals_latest; SELECT 2 AS still_here;");
    pty.sees(&["did you mean `principal_name`?", "still_here", " read"])
        .ends_with("kennel>");
    pty.line(".tabels")
        .sees(&["did you mean `.tables`?"])
        .ends_with("kennel>");
    pty.line("quit");
    assert_eq!(pty.ended(), Some(0));
}

#[test]
fn tab_completes_names_values_and_commands() {
    let home = synced();
    let mut pty = shell(&home, WIDE);
    // Names are loaded in the background; what several have in common is taken, and a single one whole.
    pty.keys("SELECT count(*) FROM k9.principal_a").keys(TAB);
    pty.sees(&["principal_access_summaries_latest"])
        .keys(CTRL_C)
        .ends_with("kennel>");
    pty.keys("SELECT count(*) FROM k9.principal_access_summaries_")
        .keys(TAB);
    pty.sees(&["FROM k9.principal_access_summaries_latest"]);
    pty.keys(" WHERE service_n")
        .keys(TAB)
        .sees(&["WHERE service_name"]);
    // Values are loaded when they are asked for, and come into the open menu.
    pty.keys(" = 'ia")
        .keys(TAB)
        .sees(&["IAM"])
        .keys(TAB)
        .sees(&["service_name = 'IAM'"]);
    pty.keys(";")
        .keys(ENTER)
        .sees(&["(1 row)"])
        .ends_with("kennel>");
    pty.keys(".snap")
        .keys(TAB)
        .sees(&["> .snapshots"])
        .keys(ENTER)
        .sees(&["added_count", " read"]);
    pty.ends_with("kennel>")
        .keys(".run iam-admins")
        .keys(TAB)
        .sees(&["k9/iam-admins-by-flag"]);
}

#[test]
fn ctrl_c_clears_the_line_and_cancels_the_query_but_keeps_the_shell() {
    let home = TestHome::new();
    let mut pty = shell(&home, NARROW);
    pty.keys("SELECT nonsense")
        .sees(&["SELECT nonsense"])
        .keys(CTRL_C)
        .sees(&["SELECT nonsense\nkennel>"]);
    pty.line("SELECT 5 AS five;")
        .sees(&["five", "(1 row)"])
        .ends_with("kennel>");
    pty.line(ENDLESS);
    // The bar comes after half a second: the query runs.
    pty.sees(&[" read, "]);
    kill(pty.id(), Signal::SIGINT).unwrap();
    pty.sees(&["cancelled"]).ends_with("kennel>");
    pty.line("SELECT 6 AS six;")
        .sees(&["six"])
        .ends_with("kennel>")
        .keys(CTRL_D);
    assert_eq!(pty.ended(), Some(0));
}

#[test]
fn sigterm_ends_the_shell_at_its_prompt() {
    let home = TestHome::new();
    let mut pty = shell(&home, NARROW);
    kill(pty.id(), Signal::SIGTERM).unwrap();
    assert_eq!(pty.ended(), Some(130));
}

#[test]
fn history_outlives_the_session_and_ctrl_r_searches_it() {
    let home = TestHome::new();
    let mut pty = shell(&home, NARROW);
    pty.line("SELECT 11 AS eleven;")
        .sees(&["(1 row)"])
        .ends_with("kennel>");
    pty.line(" SELECT 12 AS secret;")
        .sees(&["secret"])
        .ends_with("kennel>")
        .keys(CTRL_D);
    assert_eq!(pty.ended(), Some(0));
    let kept = std::fs::read_to_string(home.root().join("state/kennel/sql-history")).unwrap();
    assert_eq!(kept, "SELECT 11 AS eleven;\n");

    let mut pty = shell(&home, NARROW);
    pty.keys(CTRL_R)
        .keys("eleven")
        .sees(&["(`eleven`)> SELECT 11 AS eleven;"]);
    pty.keys(ENTER).ends_with("kennel> SELECT 11 AS eleven;");
    pty.keys(ENTER).sees(&["(1 row)"]).ends_with("kennel>");
}

#[test]
fn the_last_matching_line_is_hinted_at() {
    let home = TestHome::new();
    let mut pty = Pty::start(&home, NARROW, ["sql"], &[("KENNEL_PAGER", "")]);
    pty.ends_with("kennel>")
        .line("SELECT 'hinted' AS it;")
        .sees(&["(1 row)"])
        .ends_with("kennel>");
    // The arrow to the right takes the hint.
    pty.keys("SELECT 'h")
        .ends_with("kennel> SELECT 'hinted' AS it;")
        .keys("\x1b[C")
        .keys(ENTER);
    pty.sees(&["(1 row)\n"]).ends_with("kennel>");
    let screen = pty.screen();
    assert_eq!(screen.matches("(1 row)").count(), 2, "{screen}");
}

#[test]
fn what_is_larger_than_the_screen_goes_to_the_pager() {
    let home = TestHome::new();
    let pager = [
        ("KENNEL_PAGER", "sed s/^/paged:/"),
        ("NO_COLOR", "1"),
        ("PATH", "/usr/bin:/bin"),
    ];
    let mut pty = Pty::start(&home, (80, 20), ["sql"], &pager);
    pty.ends_with("kennel>");
    pty.line("SELECT x FROM UNNEST(sequence(1, 30)) t (x);")
        .sees(&["paged: 30", "paged:(30 rows)"]);
    pty.ends_with("kennel>")
        .line("SELECT 1 AS small;")
        .sees(&["small", "(1 row)"])
        .ends_with("kennel>");
    assert!(!pty.screen().contains("paged: small"));
    pty.line(".pager off")
        .sees(&["kennel> .pager off\nkennel>"])
        .line(".mode csv")
        .sees(&["kennel> .mode csv\nkennel>"])
        .line("SELECT x AS n FROM UNNEST(sequence(101, 130)) t (x);");
    pty.sees(&["\n130\n", "30 rows, "]).ends_with("kennel>");
    assert!(!pty.screen().contains("paged:130"), "{}", pty.screen());
}

#[test]
fn wide_rows_are_cut_at_the_screen_and_turned_on_demand() {
    let home = synced();
    let mut pty = shell(&home, NARROW);
    pty.line("SELECT * FROM k9.principals_latest ORDER BY principal_arn LIMIT 1;");
    pty.sees(&["columns not shown", "`\\x` shows one line a value"])
        .ends_with("kennel>");
    let table = since(&pty, "kennel> SELECT");
    for line in table.lines().filter(|line| line.contains(['│', '┼'])) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    pty.line("\\x").sees(&["mode line"]).ends_with("kennel>");
    pty.line("SELECT 1 AS first, 'x' AS letter;");
    pty.sees(&["─[ row 1 ]"]).ends_with("kennel>");
    insta::assert_snapshot!(since(&pty, "kennel> SELECT 1 AS first"), @r"
    kennel> SELECT 1 AS first, 'x' AS letter;
    ─[ row 1 ]
     first │ 1
    letter │ x
    (1 row)
    [TIME] read
    kennel>
    ");
}

#[test]
fn missing_parameters_are_asked_for() {
    let home = synced();
    let mut pty = shell(&home, NARROW);
    pty.line("SELECT $who AS who, :where AS place;")
        .ends_with("$who>")
        .line("it's me");
    pty.ends_with("$where>")
        .line("here")
        .sees(&["it's me │ here"])
        .ends_with("kennel>");
    pty.line(".param set who 'Jo \"x\"'")
        .ends_with("kennel>")
        .line("SELECT $who AS who;");
    pty.sees(&[" Jo \"x\""]).ends_with("kennel>");
    pty.line("SELECT $other;")
        .ends_with("$other>")
        .keys(CTRL_C)
        .sees(&["cancelled"])
        .ends_with("kennel>");
    pty.line(".run activity")
        .sees(&["$principal: text, ARN of a user"])
        .ends_with("$principal>")
        .keys(CTRL_C);
}

#[test]
fn the_last_result_is_a_table() {
    let home = TestHome::new();
    let mut pty = shell(&home, NARROW);
    pty.line("SELECT x, x * x AS square FROM UNNEST(sequence(1, 5)) t (x);")
        .sees(&["(5 rows)"]);
    pty.ends_with("kennel>")
        .line("SELECT sum(square) AS total FROM _;")
        .sees(&["55"]);
    pty.ends_with("kennel>")
        .line("SELECT total + 1 AS next FROM _;")
        .sees(&["56"])
        .ends_with("kennel>");
    pty.line(".last").sees(&["56"]).ends_with("kennel>");
}

#[test]
fn data_cannot_steer_the_terminal_in_any_mode() {
    let home = TestHome::new();
    let pager = [("KENNEL_PAGER", "cat -"), ("PATH", "/usr/bin:/bin")];
    let mut pty = Pty::start(&home, (80, 12), ["sql"], &pager);
    pty.ends_with("kennel>");
    let sql = "SELECT chr(27) || ']0;owned' || chr(7) || chr(155) || 'z' AS bad, x FROM UNNEST(sequence(1, 9)) t (x);";
    for mode in ["table", "line", "csv", "json", "jsonl", "markdown"] {
        pty.line(&format!(".mode {mode}"))
            .ends_with("kennel>")
            .line(sql);
        pty.sees(&["]0;owned", " read"]).ends_with("kennel>");
    }
    let raw = pty.raw();
    let has = |bytes: &[u8]| raw.windows(bytes.len()).any(|window| window == bytes);
    assert!(
        !has(b"\x1b]0;owned"),
        "an escape of the data reached the terminal"
    );
    assert!(!has(b"owned\x07") && !has("\u{9b}z".as_bytes()));
}

#[test]
fn commands_to_begin_with_come_from_the_home_folder_unless_unwanted() {
    let home = TestHome::new();
    std::fs::write(
        home.root().join(".kennelrc"),
        ".mode csv\nSELECT 'from rc' AS greeting;\n.nonsense\n",
    )
    .unwrap();
    let mut pty = Pty::start(&home, WIDE, ["sql"], &PLAIN);
    pty.sees(&[
        "from rc",
        "there is no command `.nonsense`",
        ".kennelrc`, in what begins on line 3",
    ]);
    pty.ends_with("kennel>").line(".mode").sees(&["mode csv"]);
    for args in [["sql", "--no-rc"], ["sql", "--safe"]] {
        let mut pty = Pty::start(&home, NARROW, args, &PLAIN);
        pty.sees(&["Ctrl-D leaves"])
            .line(".mode")
            .sees(&["mode table"]);
        assert!(!pty.screen().contains("from rc"));
    }
}

#[test]
fn safe_mode_forbids_files_and_programs_for_good() {
    let home = TestHome::new();
    let mut pty = shell(&home, NARROW);
    pty.line(".safe").ends_with("kennel safe>");
    for (line, answer) in [
        (".shell echo hello", "safe mode forbids `.shell`"),
        ("\\! echo hello", "safe mode forbids `.shell`"),
        (".once x.csv", "safe mode forbids `.once`"),
        (".output x.csv", "safe mode forbids `.output`"),
        (".read x.sql", "safe mode forbids `.read`"),
        (".pager echo hello", "safe mode forbids another pager"),
        ("DROP TABLE x;", "safe mode forbids DROP"),
    ] {
        pty.line(line).sees(&[answer]).ends_with("kennel safe>");
    }
    assert!(!pty.screen().contains("\nhello"));
    assert!(!home.work().join("x.csv").exists());
}

#[test]
fn results_go_to_files_and_scripts_are_read() {
    let home = TestHome::new();
    home.write("sub/two.sql", "SELECT 2 AS two;\n.once\nSELECT 3;\n");
    let mut pty = shell(&home, NARROW);
    pty.line(".once out.txt")
        .line("SELECT 1 AS one;")
        .sees(&["wrote ", "out.txt"])
        .ends_with("kennel>");
    pty.line(".output all.md")
        .line(".mode markdown")
        .line("SELECT 1 AS a;")
        .line("SELECT 2 AS b;");
    pty.sees(&["added to all.md"]).ends_with("kennel>");
    pty.line(".output")
        .line(".mode table")
        .line(".cd sub")
        .ends_with("kennel>")
        .line(".read two.sql");
    pty.sees(&["two", "a file name is missing", "in what begins on line 2"])
        .ends_with("kennel>");
    pty.line(".shell echo $((40 + 2))")
        .sees(&["\n42\n"])
        .ends_with("kennel>");
    let read = |name: &str| std::fs::read_to_string(home.work().join(name)).unwrap();
    assert!(read("out.txt").contains("(1 row)"));
    let all = read("all.md");
    assert!(all.contains("| a |") && all.contains("| b |"), "{all}");
}

#[test]
fn lines_typed_while_a_statement_runs_are_all_obeyed() {
    let home = TestHome::new();
    let mut pty = shell(&home, NARROW);
    // It takes longer than the lines need to come.
    pty.line("SELECT count(*) FROM UNNEST(sequence(1, 2000)) AS t(a), UNNEST(sequence(1, 2000)) AS u(b) WHERE a * b > 7;");
    for line in [
        "SELECT 40000 + 1 AS a;",
        "SELECT 40000 + 2 AS b;",
        "SELECT 40000",
        " + 3 AS c;",
    ] {
        pty.line(line);
    }
    pty.keys("SELECT 40000 + 4")
        .sees(&["40001", "40002", "40003"]);
    pty.line(" AS d;").sees(&["40004"]).ends_with("kennel>");
    // A program that is started has the terminal as it was.
    pty.line(
        ".shell echo run$((1 + 1)); read line; echo \"<$line>\"; stty -a | grep -o ' -*echo '",
    )
    .sees(&["run2"])
    .keys("typed here")
    .sees(&["typed here"])
    .keys(ENTER)
    .sees(&["<typed here>", " echo "])
    .ends_with("kennel>");
}

#[test]
fn the_shell_tells_time_and_what_athena_would_charge() {
    let home = synced();
    let mut pty = shell(&home, WIDE);
    pty.line(".timer verbose")
        .line("SELECT count(*) AS n FROM k9.principals_latest WHERE principal_name <> '';");
    pty.sees(&[
        "(1 row)",
        " read",
        "Athena would scan",
        "charge for 10 MB: 0.00005 USD",
    ])
    .ends_with("kennel>");
    pty.line(".timer off")
        .line("SELECT 'quiet' AS q;")
        .sees(&["quiet"])
        .ends_with("kennel>");
    assert!(!since(&pty, "kennel> SELECT 'quiet'").contains(" read"));
}

#[test]
fn commands_list_what_there_is() {
    let home = synced();
    let mut pty = shell(&home, WIDE);
    pty.line(".tables *_latest")
        .sees(&["(5 tables)"])
        .ends_with("kennel>");
    insta::assert_snapshot!(since(&pty, "kennel> .tables"), @r"
    kennel> .tables *_latest
     table                                │ columns │  rows
    ──────────────────────────────────────┼─────────┼───────
     k9.identity_center_latest            │       9 │     3
     k9.principal_access_summaries_latest │      12 │ 1,484
     k9.principals_latest                 │      22 │    41
     k9.resource_access_summaries_latest  │      12 │   710
     k9.resources_latest                  │      14 │    53
    (5 tables)
    kennel>
    ");
    pty.line("\\d snapshots")
        .sees(&["no table `snapshots`", "did you mean `kennel.snapshots`?"])
        .ends_with("kennel>");
    pty.line("\\d kennel.snapshots")
        .sees(&["(kennel.snapshots: 9 columns)"])
        .ends_with("kennel>");
    insta::assert_snapshot!(since(&pty, "kennel> \\d kennel"), @r"
    kennel> \d kennel.snapshots
     column        │ type
    ───────────────┼──────────────────────────
     snapshot_id   │ varchar
     source        │ varchar
     taken_at      │ timestamp with time zone
     added_count   │ bigint
     changed_count │ bigint
     missing_count │ bigint
     object_count  │ bigint
     size_bytes    │ bigint
     complete      │ boolean
    (kennel.snapshots: 9 columns)
    kennel>
    ");
    pty.line(".explain SELECT count(*) FROM k9.principals_latest;")
        .sees(&["physical_plan:", "   ProjectionExec"])
        .ends_with("kennel>");
    pty.line(".list admin")
        .sees(&["k9/iam-admins", ".run ID"])
        .ends_with("kennel>");
    pty.line(".run iam-admins account_id=111122223333")
        .sees(&["k9/iam-admins:", "break-glass"])
        .ends_with("kennel>");
    // Before the first snapshot: an error, and the state stays.
    pty.line(".as-of 2020-01-01")
        .sees(&["error: "])
        .ends_with("kennel>");
    pty.line(".as-of s1")
        .sees(&["answers are as of s1"])
        .ends_with("kennel (s1)>");
    pty.line("SELECT count(*) AS n FROM k9.principals_latest;")
        .sees(&["41"])
        .ends_with("kennel (s1)>");
    pty.line(".as-of latest").ends_with("kennel>");
}

#[test]
fn a_script_may_hold_dot_commands_and_has_no_prompts() {
    let home = TestHome::new();
    let said = home
        .kennel_with_input(
            ["sql"],
            ".mode csv\nSELECT 1 AS a;\n.mode table\nSELECT 2 AS b;\n",
        )
        .ends_with(0);
    assert_eq!(said.stdout, "a\r\n1\r\n\n b\n───\n 2\n(1 row)\n");
    assert_eq!(said.stderr, "");
    let said = home
        .kennel_with_input(["sql"], ".tables kennel\n.frobnicate\nSELECT 1;\n")
        .ends_with(2);
    assert!(
        said.stdout.contains("kennel.snapshots") && !said.stdout.contains("(1 row)"),
        "{}",
        said.all()
    );
    let said = home
        .kennel(["sql", "--safe", "-c", ".shell echo no"])
        .ends_with(2);
    assert!(
        said.stderr.contains("safe mode forbids `.shell`"),
        "{}",
        said.all()
    );
    let said = home
        .kennel_with_input(["sql", "-f", "csv"], ".timer off\nSELECT 1; SELECT 2;")
        .ends_with(2);
    assert!(said.stderr.contains("several results"), "{}", said.all());
}
