//! Which days of a prefix are covered: one range, which complete listings extend.

use super::TrailListed;
use crate::DeliveryDay;

/// The days that were listed completely and whose objects are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Covered {
    /// `None`: from the first key.
    pub(super) from: Option<DeliveryDay>,
    /// `None`: nothing is covered.
    pub(super) checkpoint: Option<DeliveryDay>,
}

impl Covered {
    /// What is covered after a listing.
    ///
    /// A listing that does not touch what is covered leaves it as it is: the days between would be held to
    /// be covered. A day with an object that is not committed ends it, so that it is listed again.
    pub(super) fn after(self, listed: &TrailListed) -> Self {
        let mut covered = self.joined(listed);
        if let (Some(open), Some(checkpoint)) = (listed.first_open, covered.checkpoint)
            && covered.from.is_none_or(|from| from <= open)
        {
            covered.checkpoint = Some(checkpoint.min(open));
        }
        covered
    }

    fn joined(self, listed: &TrailListed) -> Self {
        let Some(newest) = listed.newest else {
            return self;
        };
        let Some(checkpoint) = self.checkpoint else {
            return Self {
                from: listed.from,
                checkpoint: Some(newest),
            };
        };
        let begins_within = listed.from.is_none_or(|from| from <= checkpoint);
        // Without a bound nothing lies between its newest day and what comes after.
        let reaches = listed.until.is_none()
            || self
                .from
                .is_none_or(|from| listed.until.is_some_and(|until| from <= until));
        if !(begins_within && reaches) {
            return self;
        }
        Self {
            // `None` is the earliest of all.
            from: self.from.min(listed.from),
            checkpoint: Some(checkpoint.max(newest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::TrailPrefix;

    fn day(number: u8) -> DeliveryDay {
        DeliveryDay::parse(&format!("2026/03/{number:02}")).unwrap()
    }

    fn listed(from: Option<u8>, until: Option<u8>, newest: Option<u8>) -> TrailListed {
        TrailListed {
            prefix: TrailPrefix::parse("AWSLogs/1/CloudTrail/r/").unwrap(),
            from: from.map(day),
            until: until.map(day),
            newest: newest.map(day),
            first_open: None,
            is_full: false,
        }
    }

    const NOTHING: Covered = Covered {
        from: None,
        checkpoint: None,
    };

    #[test]
    fn a_gap_is_never_covered() {
        let covered = NOTHING.after(&listed(Some(5), None, Some(9)));
        assert_eq!(
            (covered.from, covered.checkpoint),
            (Some(day(5)), Some(day(9)))
        );
        assert_eq!(
            covered.after(&listed(Some(12), None, Some(20))),
            covered,
            "days 10 and 11 were not listed"
        );
        assert_eq!(covered.after(&listed(None, Some(3), Some(3))), covered);
        let wider = covered.after(&listed(None, None, Some(20)));
        assert_eq!((wider.from, wider.checkpoint), (None, Some(day(20))));
    }

    #[test]
    fn a_day_with_an_open_object_is_listed_again() {
        let covered = NOTHING.after(&listed(None, None, Some(9)));
        let mut again = listed(None, None, Some(12));
        again.first_open = Some(day(4));
        assert_eq!(covered.after(&again).checkpoint, Some(day(4)));
    }

    proptest! {
        /// Whatever is listed in whatever order, no day with an object counts as covered unless a
        /// listing saw all of it and left nothing open since.
        #[test]
        fn what_is_covered_was_listed(
            objects in prop::collection::btree_set(1_u8..28, 0..12),
            listings in prop::collection::vec((prop::option::of(1_u8..28), prop::option::of(1_u8..28), prop::option::of(1_u8..28)), 0..8),
        ) {
            let mut covered = NOTHING;
            let mut committed = BTreeSet::new();
            for (from, until, open) in listings {
                let seen = objects
                    .iter()
                    .copied()
                    .filter(|d| from.is_none_or(|from| *d >= from) && until.is_none_or(|until| *d <= until))
                    .collect::<Vec<_>>();
                let open = open.filter(|open| seen.contains(open) && !committed.contains(open));
                let mut listing = listed(from, until, seen.last().copied());
                listing.first_open = open.map(day);
                committed.extend(seen.into_iter().filter(|d| open != Some(*d)));
                covered = covered.after(&listing);
                if let Some(checkpoint) = covered.checkpoint {
                    // The checkpoint's own day is always listed again.
                    for object in objects.iter().filter(|d| day(**d) < checkpoint && covered.from.is_none_or(|from| from <= day(**d))) {
                        prop_assert!(committed.contains(object), "{object} {covered:?}");
                    }
                }
            }
        }
    }
}
