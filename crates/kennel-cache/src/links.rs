//! The convenience tree `mirror/<source>/…`: hard links to the newest version of each object under
//! its key, so that other programs read the mirror in place. Nothing in kennel reads it.

use std::{fs, io, path::PathBuf};

use crate::{
    CacheError, Home, Sha256, SourceName,
    files::{create_private_dir, io_error, remove_file},
};

/// Longest encoded segment: leaves room for a suffix below the usual limit of 255 bytes.
const LONGEST_SEGMENT: usize = 200;

/// Points the link of `key` at the object `hash`.
pub(crate) fn link(
    home: &Home,
    source: &SourceName,
    key: &str,
    hash: &Sha256,
) -> Result<(), CacheError> {
    let root = home.mirror().join(source.as_str());
    let mut target = root.join(encode(key));
    let mut made = target.parent().map_or(Ok(()), create_private_dir);
    if made.is_err() || target.is_dir() {
        // The keys `f` and `f/g` both exist: the file system cannot show both under their names.
        target = root.join(format!("~{}", Sha256::of(key.as_bytes())));
        made = create_private_dir(&root);
    }
    made?;
    let object = home.object(hash);
    let temporary = home.staging().join(format!("link-{hash}"));
    remove_file(&temporary)?;
    let linked = match fs::hard_link(&object, &temporary) {
        // File systems without hard links, or too many of them on one file.
        Err(e) if e.kind() != io::ErrorKind::NotFound => fs::copy(&object, &temporary).map(drop),
        linked => linked,
    };
    linked.map_err(io_error("link", &object))?;
    fs::rename(&temporary, &target).map_err(io_error("rename to", &target))?;
    // Renaming one hard link over another of the same file leaves both.
    remove_file(&temporary)
}

/// Removes the link of a key, and the folders it leaves empty.
pub(crate) fn unlink(home: &Home, source: &SourceName, key: &str) -> Result<(), CacheError> {
    let root = home.mirror().join(source.as_str());
    let target = root.join(encode(key));
    if target.is_file() {
        remove_file(&target)?;
        let mut folder = target.parent();
        while let Some(path) = folder.filter(|path| **path != *root && path.starts_with(&root)) {
            if fs::remove_dir(path).is_err() {
                break; // not empty
            }
            folder = path.parent();
        }
    }
    Ok(())
}

/// A relative path for a key that stays below its root on every system.
fn encode(key: &str) -> PathBuf {
    key.split('/').map(encode_segment).collect()
}

/// Percent-encodes what is not plainly harmless; never yields an empty, dotted, reserved or long name.
fn encode_segment(segment: &str) -> String {
    let mut name = String::with_capacity(segment.len());
    for (index, byte) in segment.bytes().enumerate() {
        let at_an_end = index == 0 || index + 1 == segment.len();
        match byte {
            b'.' if at_an_end => name.push_str("%2E"),
            b'A'..=b'Z'
            | b'a'..=b'z'
            | b'0'..=b'9'
            | b'.'
            | b'_'
            | b'='
            | b'+'
            | b'@'
            | b','
            | b'-' => {
                name.push(char::from(byte));
            }
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    if name.is_empty() {
        return "%".into();
    }
    let stem = name
        .split('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let device = matches!(stem.as_str(), "con" | "prn" | "aux" | "nul")
        || (stem.len() == 4
            && (stem.starts_with("com") || stem.starts_with("lpt"))
            && stem.ends_with(|c: char| c.is_ascii_digit()));
    if device {
        name.insert(0, '%');
    }
    if name.len() > LONGEST_SEGMENT {
        let hash = Sha256::of(segment.as_bytes()).to_string();
        name.truncate(LONGEST_SEGMENT - 17);
        name = format!("{name}~{}", &hash[..16]);
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::path::{Component, Path};

    use super::*;

    fn stays_below(path: &Path) -> bool {
        path.components()
            .all(|part| matches!(part, Component::Normal(_)))
    }

    #[test]
    fn ordinary_keys_keep_their_names() {
        let key =
            "hive/parquet/pas/customer_id=C123456/csp=aws/account_id=012345678901/x.latest.parquet";
        assert_eq!(encode(key), Path::new(key));
    }

    #[test]
    fn hostile_keys_stay_inside() {
        for key in [
            "../../etc/passwd",
            "/etc/passwd",
            "a//b",
            "..",
            ".",
            "",
            "a/../b",
            "con",
            "nul.txt",
            "a\\..\\b",
            "C:\\x",
            "x\0y",
            "f.",
            "\u{1b}[2J",
        ] {
            let path = encode(key);
            assert!(stays_below(&path), "{key:?} -> {path:?}");
            assert!(
                !path.to_str().unwrap().contains(['\0', '\\', ':', '\u{1b}']),
                "{path:?}"
            );
        }
        assert!(encode(&"k".repeat(1000)).as_os_str().len() <= LONGEST_SEGMENT);
    }

    proptest! {
        #[test]
        fn any_key_stays_inside_and_short_keys_do_not_meet(a in "\\PC{0,20}", b in "[a-zA-Z./%~\u{e9}\\\\:]{0,12}") {
            prop_assert!(stays_below(&encode(&a)));
            prop_assert!(stays_below(&encode(&b)));
            prop_assert_eq!(encode(&a) == encode(&b), a == b);
        }
    }
}
