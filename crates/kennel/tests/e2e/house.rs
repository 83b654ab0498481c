//! The house rules that manifests and sources can be held against: ARCHITECTURE.md says which crate may know which,
//! and that only the mirror opens connections.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The one room with a door to the network.
const GATE: &str = "kennel-mirror";
/// Tests and measurements: they may touch anything, and nothing that is shipped may know them.
const WORKSHOPS: [&str; 2] = ["kennel-benches", "kennel-testkit"];
/// Crates that open connections, or listen for them.
const NETWORK_CRATES: [&str; 22] = [
    "actix-web",
    "attohttpc",
    "axum",
    "curl",
    "h2",
    "hickory-resolver",
    "hyper",
    "hyper-rustls",
    "hyper-util",
    "isahc",
    "object_store",
    "openssl",
    "quinn",
    "reqwest",
    "rusoto_core",
    "socket2",
    "surf",
    "tokio-rustls",
    "tonic",
    "tungstenite",
    "ureq",
    "warp",
];
/// The same, by the beginnings of their names.
const NETWORK_FAMILIES: [&str; 3] = ["aws-", "rusoto", "opendal"];
/// What a source file says that opens a connection by itself.
const SOCKETS: [&str; 6] = [
    "std::net",
    "tokio::net",
    "TcpStream",
    "UdpSocket",
    "UnixStream",
    "TcpListener",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a crate's manifest says that it needs to be built and to run; tests' needs apart.
struct Manifest {
    folder: PathBuf,
    dependencies: BTreeSet<String>,
}

fn manifests() -> BTreeMap<String, Manifest> {
    let mut folders = vec![root().join("benches")];
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        folders.push(entry.unwrap().path());
    }
    let read = |folder: PathBuf| {
        let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let manifest = text.parse::<toml::Table>().unwrap();
        let name = manifest["package"]["name"].as_str().unwrap().to_owned();
        let mut dependencies = BTreeSet::new();
        collect(&manifest, &mut dependencies);
        (
            name,
            Manifest {
                folder,
                dependencies,
            },
        )
    };
    folders.into_iter().map(read).collect()
}

/// The names of `[dependencies]` and `[build-dependencies]`, those of `[target.….]` too, optional or not.
fn collect(table: &toml::Table, names: &mut BTreeSet<String>) {
    for section in ["dependencies", "build-dependencies"] {
        let Some(section) = table.get(section).and_then(toml::Value::as_table) else {
            continue;
        };
        names.extend(section.iter().map(|(name, wanted)| {
            let renamed = wanted.get("package").and_then(toml::Value::as_str);
            renamed.unwrap_or(name).to_owned()
        }));
    }
    let Some(targets) = table.get("target").and_then(toml::Value::as_table) else {
        return;
    };
    for target in targets.values().filter_map(toml::Value::as_table) {
        collect(target, names);
    }
}

/// The column "may know" of ARCHITECTURE.md's table of crates.
fn may_know() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let cells = |line: &str| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    };
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| crate |"))
        .take_while(|line| line.starts_with('|'));
    let mut rows = rows.map(cells);
    let header = rows.next().expect("ARCHITECTURE.md has no table of crates");
    let column = header.iter().position(|name| name == "may know").unwrap();
    let known = |cell: &str| match cell {
        "nothing of ours" => BTreeSet::new(),
        names => names
            .split(", ")
            .map(|name| name.trim_matches('`').to_owned())
            .collect(),
    };
    rows.skip(1)
        .map(|row| (row[0].trim_matches('`').to_owned(), known(&row[column])))
        .collect()
}

#[test]
fn arrows_between_crates_are_those_of_the_architecture() {
    let manifests = manifests();
    let ours = manifests.keys().cloned().collect::<BTreeSet<_>>();
    let found = manifests
        .into_iter()
        .map(|(name, manifest)| (name, &manifest.dependencies & &ours))
        .collect::<BTreeMap<_, _>>();
    assert_eq!(
        found,
        may_know(),
        "left: the manifests; right: ARCHITECTURE.md"
    );
}

#[test]
fn nothing_that_is_shipped_knows_the_workshops() {
    for (name, manifest) in manifests() {
        if WORKSHOPS.contains(&name.as_str()) {
            continue;
        }
        for workshop in WORKSHOPS {
            assert!(
                !manifest.dependencies.contains(workshop),
                "{name} needs {workshop}"
            );
        }
    }
}

#[test]
fn only_the_mirror_depends_on_what_opens_connections() {
    let is_network = |name: &&String| {
        NETWORK_CRATES.contains(&name.as_str())
            || NETWORK_FAMILIES
                .iter()
                .any(|family| name.starts_with(family))
    };
    let mut doors = BTreeSet::new();
    for (name, manifest) in manifests() {
        if WORKSHOPS.contains(&name.as_str()) {
            continue;
        }
        let found = manifest
            .dependencies
            .iter()
            .filter(is_network)
            .collect::<Vec<_>>();
        if name == GATE {
            assert!(
                !found.is_empty(),
                "the list of this test knows nothing that {GATE} uses"
            );
        } else if !found.is_empty() {
            doors.insert(format!("{name}: {found:?}"));
        }
    }
    assert_eq!(doors, BTreeSet::new());
}

#[test]
fn only_the_mirror_opens_sockets_by_itself() {
    let mut doors = BTreeSet::new();
    for (name, manifest) in manifests() {
        if name == GATE || WORKSHOPS.contains(&name.as_str()) {
            continue;
        }
        for file in sources(&manifest.folder.join("src")) {
            let text = fs::read_to_string(&file).unwrap();
            for socket in SOCKETS.iter().filter(|socket| text.contains(**socket)) {
                doors.insert(format!("{}: {socket}", file.display()));
            }
        }
    }
    assert_eq!(doors, BTreeSet::new());
}

#[test]
fn shipped_libraries_forbid_the_environment_and_the_clock() {
    let shared = fs::read_to_string(root().join("clippy.toml")).unwrap();
    for (name, manifest) in manifests() {
        // The front door is the one that may; see its own clippy.toml.
        if name == "kennel" || WORKSHOPS.contains(&name.as_str()) {
            continue;
        }
        let own = manifest.folder.join("clippy.toml");
        let text = fs::read_to_string(own).unwrap_or_else(|_| shared.clone());
        for method in [
            "std::env::var",
            "std::env::var_os",
            "std::time::SystemTime::now",
            "chrono::Utc::now",
        ] {
            let entry = format!("\"{method}\"");
            assert!(text.contains(&entry), "{name} may call {method}");
        }
    }
}

/// Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
