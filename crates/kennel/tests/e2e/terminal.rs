//! What a person sees: the program on a pseudo-terminal of a given width, and what the README shows of it.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::{fs::File, io::Read, path::Path, process::Stdio};

use nix::pty::{Winsize, openpty};

use crate::home::TestHome;

/// Runs on a terminal of so many columns; gives back what stands on it, standard error included.
fn on_terminal<'a>(
    home: &TestHome,
    columns: u16,
    args: impl IntoIterator<Item = &'a str>,
) -> String {
    let size = Winsize {
        ws_row: 50,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = openpty(&size, None).unwrap();
    let mut child = home
        .command()
        .args(args)
        .stdin(Stdio::null())
        .stdout(terminal.slave.try_clone().unwrap())
        .stderr(terminal.slave)
        .spawn()
        .unwrap();
    let mut screen = Vec::new();
    // When the last end of the terminal is closed, reading is an error on Linux and an end elsewhere.
    let _end = File::from(terminal.master).read_to_end(&mut screen);
    assert!(child.wait().unwrap().code().is_some());
    home.filtered(&String::from_utf8(screen).unwrap().replace("\r\n", "\n"))
}

#[test]
fn the_readme_shows_what_the_demo_prints() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let transcript = readme
        .split("<!-- transcript: demo -->\n```text\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let screen = on_terminal(
        &TestHome::new(),
        100,
        ["demo", "--progress", "never", "--color", "never"],
    );
    assert!(
        transcript.lines().count() > 10,
        "the README shows next to nothing"
    );
    for part in transcript.split("…\n") {
        assert!(
            screen.contains(part.trim()),
            "not as in the README:\n{part}\n-- the demo:\n{screen}"
        );
    }
}

#[test]
fn nothing_is_wider_than_a_narrow_terminal_but_the_notes_below_a_table() {
    let home = TestHome::new();
    for args in [
        vec!["demo", "--progress", "never", "--color", "never"],
        vec!["list", "--color", "never"],
    ] {
        let screen = on_terminal(&home, 80, args);
        let tables = screen.lines().filter(|line| line.contains(['│', '┼']));
        for line in tables {
            let width = line.chars().count();
            assert!(width <= 80, "{width} columns: {line}");
        }
    }
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let home = TestHome::new();
    let sql = ["sql", "-c", "SELECT 1 AS one"];
    assert!(on_terminal(&home, 80, sql).contains("\u{1b}[1m one\u{1b}[0m"));
    let plain = on_terminal(&home, 80, sql.into_iter().chain(["--color", "never"]));
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    let piped = home.kennel(sql).ends_with(0);
    assert!(!piped.stdout.contains('\u{1b}'), "{}", piped.stdout);
}

#[test]
fn a_terminal_is_spared_what_is_no_text() {
    let home = TestHome::new();
    let screen = on_terminal(&home, 80, ["sql", "-c", "SELECT 1", "-f", "parquet"]);
    assert!(
        screen.starts_with(
            "\u{1b}[1;31merror:\u{1b}[0m parquet is no text: a terminal cannot show it\n"
        ),
        "{screen:?}"
    );
}
