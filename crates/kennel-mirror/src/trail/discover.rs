//! Finds `AWSLogs` and what CloudTrail wrote below it, by listing folders level by level.

use futures::{StreamExt, stream};
use kennel_cache::{TrailFolder, TrailPrefix, is_account, is_organisation};

use super::{Discovery, LISTINGS, TrailFilter};
use crate::{MirrorError, Remote};

/// Levels of folders that are searched for `AWSLogs`: a trail's prefix may hold slashes.
const DEEPEST: usize = 4;
/// Folders that are searched for `AWSLogs`.
const MOST_SEARCHED: usize = 500;

/// What a folder is, so that it is known what its folders may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// `AWSLogs` may lie below.
    Above(usize),
    /// `AWSLogs`, or an organisation in it.
    Logs,
    Account,
    Folder,
}

struct Node {
    prefix: String,
    level: Level,
}

impl Remote {
    /// Finds the accounts, folders and regions of a CloudTrail delivery.
    ///
    /// `place` is where the source begins, without slashes at its ends: above `AWSLogs`, at it, or below it down to
    /// a region. Other services' folders are left alone. Where `AWSLogs` is found, its neighbours are not searched,
    /// but for organisations': a second trail of the bucket is a source of its own then.
    ///
    /// # Errors
    /// What `place` itself cannot be listed for, or what ends a sync; [`MirrorError::Url`] for a place below a
    /// region. Other folders fail alone, in [`Discovery::failures`].
    ///
    /// Source: CloudTrail user guide, "Getting and viewing your CloudTrail log files" (layout); Control Tower
    /// writes `o-…/AWSLogs/o-…/<account>/…`.
    pub async fn discover_trail(
        &self,
        place: &str,
        filter: &TrailFilter,
    ) -> Result<Discovery, MirrorError> {
        let mut discovery = Discovery::default();
        let start = match place {
            "" => String::new(),
            place => format!("{place}/"),
        };
        if let Some(prefix) = TrailPrefix::parse(&start) {
            discovery
                .prefixes
                .extend(Some(prefix).filter(|prefix| filter.takes(prefix)));
            return Ok(discovery);
        }
        let level = level_of(&start).ok_or_else(|| MirrorError::Url {
            text: place.to_owned(),
            expected: "a place at or above the folder of a region",
        })?;
        let mut wave = vec![Node {
            prefix: start.clone(),
            level,
        }];
        let mut searched_count = 0;
        while !wave.is_empty() {
            let mut answers = stream::iter(wave)
                .map(|node| async {
                    let folders = self.list_folders(&node.prefix).await;
                    (node, folders)
                })
                .buffered(LISTINGS);
            let mut next = Vec::new();
            while let Some((node, folders)) = answers.next().await {
                match folders {
                    Ok(folders) => open(&node, folders, filter, &mut next, &mut discovery),
                    Err(error) if node.prefix == start || error.ends_the_sync() => {
                        return Err(error);
                    }
                    Err(error) => discovery.failures.push((node.prefix, error)),
                }
            }
            next.retain(|node| {
                let is_search = matches!(node.level, Level::Above(_));
                searched_count += usize::from(is_search);
                let is_kept = !is_search || searched_count <= MOST_SEARCHED;
                discovery.is_cut |= !is_kept;
                is_kept
            });
            wave = next;
        }
        discovery.prefixes.sort();
        Ok(discovery)
    }
}

/// What the place is at which a source begins; `None` below a region.
fn level_of(start: &str) -> Option<Level> {
    let ends = start.match_indices('/').map(|(index, _)| index + 1);
    if ends
        .map(|end| &start[..end])
        .any(|above| TrailPrefix::parse(above).is_some())
    {
        return None;
    }
    let leads_on = |rest: &str| TrailPrefix::parse(&format!("{start}{rest}")).is_some();
    let mut parts = start.trim_end_matches('/').rsplit('/');
    let last = parts.next().unwrap_or_default();
    Some(if leads_on("region/") {
        Level::Folder
    } else if leads_on("CloudTrail/region/") {
        Level::Account
    } else if last == "AWSLogs" || is_organisation(last) && parts.next() == Some("AWSLogs") {
        Level::Logs
    } else {
        Level::Above(0)
    })
}

/// What to make of the folders of a folder.
fn open(
    node: &Node,
    folders: Vec<String>,
    filter: &TrailFilter,
    next: &mut Vec<Node>,
    discovery: &mut Discovery,
) {
    let name_of = |folder: &str| {
        let name = folder.strip_prefix(&node.prefix).unwrap_or(folder);
        name.strip_suffix('/').unwrap_or(name).to_owned()
    };
    let has_logs = folders.iter().any(|folder| name_of(folder) == "AWSLogs");
    for prefix in folders {
        let name = name_of(&prefix);
        let is_account_here = || {
            is_account(&name)
                && TrailPrefix::parse(&format!("{prefix}CloudTrail/region/")).is_some()
        };
        let level = match node.level {
            Level::Above(_) if name == "AWSLogs" => Some(Level::Logs),
            // A folder that was copied from below `AWSLogs`.
            Level::Above(_) | Level::Logs if is_account_here() => {
                filter.takes_account(&name).then_some(Level::Account)
            }
            Level::Above(_) if has_logs && !is_organisation(&name) => None,
            Level::Above(depth) if depth < DEEPEST => Some(Level::Above(depth + 1)),
            Level::Above(_) => {
                discovery.is_cut = true;
                None
            }
            Level::Logs => is_organisation(&name).then_some(Level::Logs),
            Level::Account => name
                .parse::<TrailFolder>()
                .is_ok_and(|folder| filter.takes_folder(folder))
                .then_some(Level::Folder),
            Level::Folder => {
                let found = TrailPrefix::parse(&prefix).filter(|prefix| filter.takes(prefix));
                discovery.prefixes.extend(found);
                None
            }
        };
        next.extend(level.map(|level| Node { prefix, level }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_may_begin_anywhere_down_to_a_region() {
        for (start, level) in [
            ("", Some(Level::Above(0))),
            ("logs/", Some(Level::Above(0))),
            ("o-abc1234567/", Some(Level::Above(0))),
            ("logs/AWSLogs/", Some(Level::Logs)),
            ("o-abc1234567/AWSLogs/o-abc1234567/", Some(Level::Logs)),
            ("AWSLogs/111122223333/", Some(Level::Account)),
            (
                "AWSLogs/111122223333/CloudTrail-Digest/",
                Some(Level::Folder),
            ),
            ("AWSLogs/111122223333/Config/", Some(Level::Above(0))),
            ("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/", None),
        ] {
            assert_eq!(level_of(start), level, "{start}");
        }
    }
}
