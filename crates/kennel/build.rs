//! What `kennel --version -v` tells of the build: target, compiler, profile and, where it is known, the commit.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=KENNEL_COMMIT");
    let profile = env::var("PROFILE").unwrap_or_default();
    set("KENNEL_TARGET", &env::var("TARGET").unwrap_or_default());
    set("KENNEL_PROFILE", &profile);
    let compiler = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    set(
        "KENNEL_RUSTC",
        &output(&compiler, &["--version"]).unwrap_or_default(),
    );
    set("KENNEL_COMMIT", &commit(&profile).unwrap_or_default());
}

/// Given by who builds, else asked of git. Only for releases: a debug build would be made anew with each commit.
fn commit(profile: &str) -> Option<String> {
    if let Ok(commit) = env::var("KENNEL_COMMIT") {
        return Some(commit);
    }
    if profile != "release" {
        return None;
    }
    for file in ["HEAD", "index"] {
        let path = output("git", &["rev-parse", "--git-path", file])?;
        println!("cargo::rerun-if-changed={path}");
    }
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"])?;
    let changes = output("git", &["status", "--porcelain", "--untracked-files=no"])?;
    Some(match changes.is_empty() {
        true => commit,
        false => format!("{commit} with changes"),
    })
}

fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn set(name: &str, value: &str) {
    println!("cargo::rustc-env={name}={value}");
}
