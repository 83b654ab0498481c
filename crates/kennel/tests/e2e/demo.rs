//! `demo`: everything it needs is in the binary.

use crate::home::TestHome;

#[test]
fn the_demo_answers_without_network_config_or_credentials() {
    let home = TestHome::new();
    // Somebody else's broken config is not the demo's.
    home.write("kennel.toml", "this is not toml");
    let said = home.kennel(["demo"]).ends_with(0);
    for title in [
        "k9/iam-admins: ",
        "k9/rds-delete: ",
        "k9/stale-credentials: ",
    ] {
        assert!(said.stdout.contains(title), "{}", said.stdout);
    }
    assert!(!said.stdout.contains("(0 rows)"), "{}", said.stdout);
    assert!(
        said.stderr.contains("[ROOT]/cache/kennel/demo"),
        "{}",
        said.stderr
    );
    assert!(
        !home.cache().exists(),
        "the user's own cache is not touched"
    );

    let again = home.kennel(["demo"]);
    assert_eq!(again.stdout, said.stdout);
    assert!(!again.stderr.contains("mirroring it"), "{}", again.stderr);
}

#[test]
fn the_demo_takes_the_home_it_is_given_and_its_commands_work_there() {
    let home = TestHome::new();
    let place = home.work().join("my demo");
    let place = place.to_str().unwrap();
    let said = home.kennel(["demo", "--home", place]);
    assert!(
        said.stderr.contains("--home '[ROOT]/desk/my demo'"),
        "{}",
        said.stderr
    );
    let said = home.kennel(["list", "--home", place]).ends_with(0);
    assert!(said.stdout.contains("k9/iam-admins"), "{}", said.stdout);
    home.kennel(["status", "--home", place]).ends_with(0);
}
