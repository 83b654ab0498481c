//! The merge, as examples and as properties.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use proptest::{collection::btree_map, prelude::*};

use super::*;

struct Nobody;

impl SyncObserver for Nobody {
    fn event(&self, _event: &SyncEvent) {}
}

fn remote(key: &str, etag: &str) -> RemoteObject {
    RemoteObject {
        key: key.into(),
        size_bytes: 7,
        etag: etag.into(),
        modified_at: DateTime::from_timestamp(1, 0).unwrap(),
        storage_class: None,
        is_restored: false,
        version_id: None,
    }
}

fn known(object: &RemoteObject) -> KnownObject {
    KnownObject {
        key: object.key.clone(),
        size_bytes: object.size_bytes,
        etag: object.etag.clone(),
        modified_at: object.modified_at,
        version_id: object.version_id.clone(),
        missing_since: None,
    }
}

fn gone(object: &RemoteObject) -> KnownObject {
    KnownObject {
        missing_since: DateTime::from_timestamp(2, 0),
        ..known(object)
    }
}

fn fetched(object: &RemoteObject) -> FetchedObject {
    FetchedObject {
        key: object.key.clone(),
        etag: object.etag.clone(),
        size_bytes: object.size_bytes,
        modified_at: object.modified_at,
        version_id: None,
        storage_class: None,
        sha256: kennel_cache::Sha256::of(b""),
        verified_by: "length".into(),
        metadata: BTreeMap::new(),
        fetched_at: object.modified_at,
    }
}

/// Everything that a plan is made of.
struct Case<'a> {
    listing: Vec<RemoteObject>,
    known: Vec<KnownObject>,
    pending: Vec<FetchedObject>,
    wanted: &'a dyn Fn(&RemoteObject) -> Wanted,
    options: PlanOptions,
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self {
            listing: vec![],
            known: vec![],
            pending: vec![],
            wanted: &|_| Wanted::Yes,
            options: PlanOptions::default(),
        }
    }
}

impl Case<'_> {
    fn plan(self) -> Result<SyncPlan, MirrorError> {
        let listing = futures::stream::iter(self.listing.into_iter().map(Ok));
        let known = self.known.into_iter().map(Ok);
        let pending = self
            .pending
            .into_iter()
            .map(|object| (object.key.clone(), object));
        let pending = pending.collect();
        let planning = plan(listing, known, &pending, self.wanted, self.options, &Nobody);
        futures::executor::block_on(planning)
    }
}

fn make(listing: Vec<RemoteObject>, known: Vec<KnownObject>) -> SyncPlan {
    Case {
        listing,
        known,
        ..Case::default()
    }
    .plan()
    .unwrap()
}

const ALLOWED: PlanOptions = PlanOptions {
    full: false,
    allow_shrink: true,
    may_expire: false,
};

#[test]
fn an_overwrite_of_equal_size_and_time_is_fetched() {
    let (old, new) = (remote("k", "a"), remote("k", "b"));
    let plan = make(vec![new.clone()], vec![known(&old)]);
    assert_eq!(
        (plan.fetch, plan.fetch_bytes, plan.keep_count),
        (vec![new], 7, 0)
    );
}

#[test]
fn another_size_or_version_is_fetched_whatever_the_etag_says() {
    let old = remote("k", "a");
    let longer = RemoteObject {
        size_bytes: 8,
        ..old.clone()
    };
    assert_eq!(
        make(vec![longer.clone()], vec![known(&old)]).fetch,
        [longer]
    );
    let version = |id: &str| RemoteObject {
        version_id: Some(id.into()),
        ..old.clone()
    };
    assert_eq!(
        make(vec![version("2")], vec![known(&version("1"))]).fetch,
        [version("2")]
    );
    // A listing does not tell versions: what only one side knows is no difference.
    assert_eq!(
        make(vec![old.clone()], vec![known(&version("1"))]).keep_count,
        1
    );
}

#[test]
fn a_moved_date_alone_is_no_download() {
    let old = remote("k", "a");
    let new = RemoteObject {
        modified_at: DateTime::from_timestamp(2, 0).unwrap(),
        ..old.clone()
    };
    let plan = make(vec![new.clone()], vec![known(&old)]);
    assert_eq!(
        (plan.fetch.len(), plan.refresh, plan.keep_count),
        (0, vec![new], 1)
    );
}

#[test]
fn what_an_interrupted_sync_fetched_is_adopted_unless_it_changed_or_all_is_wanted_anew() {
    let (old, new) = (remote("k", "a"), remote("k", "b"));
    let case = |listed: &RemoteObject, full| Case {
        listing: vec![listed.clone()],
        pending: vec![fetched(&old)],
        options: PlanOptions {
            full,
            allow_shrink: false,
            may_expire: false,
        },
        ..Case::default()
    };
    assert_eq!(case(&old, false).plan().unwrap().adopt, ["k"]);
    assert_eq!(case(&new, false).plan().unwrap().fetch, [new]);
    assert_eq!(case(&old, true).plan().unwrap().fetch, [old]);
}

#[test]
fn a_missing_key_is_told_once_and_its_return_is_seen() {
    let (here, away) = (remote("a", "1"), remote("b", "1"));
    let first = make(vec![here.clone()], vec![known(&here), known(&away)]);
    assert_eq!(first.missing, ["b"]);
    let second = make(vec![here.clone()], vec![known(&here), gone(&away)]);
    assert_eq!(second.missing, [""; 0]);
    let third = make(
        vec![here.clone(), away.clone()],
        vec![known(&here), gone(&away)],
    );
    assert_eq!(
        (third.reappeared, third.keep_count),
        (vec!["b".to_owned()], 2)
    );
    let changed = make(vec![remote("b", "2")], vec![gone(&away)]);
    assert_eq!((changed.reappeared.len(), changed.fetch.len()), (0, 1));
}

#[test]
fn a_listing_that_lost_much_is_not_believed() {
    let all = (0..30)
        .map(|n| remote(&format!("k{n:02}"), "a"))
        .collect::<Vec<_>>();
    let knowns = all.iter().map(known).collect::<Vec<_>>();
    let plan = make(all[..20].to_vec(), knowns.clone());
    let shrink = Shrink {
        known: 30,
        vanished: 10,
    };
    assert_eq!((plan.missing.len(), plan.shrink_refused), (0, Some(shrink)));
    let allowed = Case {
        listing: all[..20].to_vec(),
        known: knowns.clone(),
        options: ALLOWED,
        ..Case::default()
    };
    let allowed = allowed.plan().unwrap();
    assert_eq!((allowed.missing.len(), allowed.shrink_refused), (10, None));
    assert_eq!(
        make(all[..24].to_vec(), knowns.clone()).missing.len(),
        6,
        "a fifth is believed"
    );
    assert_eq!(
        make(all[1..2].to_vec(), knowns[..19].to_vec())
            .missing
            .len(),
        18,
        "few are"
    );
    // Those that are gone already do not make the next listing doubtful.
    let mut mostly_gone = all[..20].iter().map(gone).collect::<Vec<_>>();
    mostly_gone.extend(knowns[20..].to_vec());
    assert_eq!(make(all[21..].to_vec(), mostly_gone).missing, ["k20"]);
}

#[test]
fn an_empty_listing_is_not_believed() {
    let only = remote("k", "a");
    let shrink = Some(Shrink {
        known: 1,
        vanished: 1,
    });
    assert_eq!(make(vec![], vec![known(&only)]).shrink_refused, shrink);
    let foreign = Case {
        listing: vec![remote("login.html", "a")],
        known: vec![known(&only)],
        wanted: &|object| {
            if object.key == "k" {
                Wanted::Yes
            } else {
                Wanted::LeftAlone
            }
        },
        ..Case::default()
    };
    assert_eq!(
        foreign.plan().unwrap().shrink_refused,
        shrink,
        "nothing of ours is in it"
    );
    assert_eq!(make(vec![], vec![gone(&only)]).shrink_refused, None);
    assert_eq!(make(vec![], vec![]), SyncPlan::default());
}

#[test]
fn archived_objects_are_told_and_not_fetched_unless_restored() {
    let frozen = |class: &str, is_restored| RemoteObject {
        storage_class: Some(class.into()),
        is_restored,
        ..remote("k", "a")
    };
    for class in ["GLACIER", "DEEP_ARCHIVE"] {
        assert_eq!(make(vec![frozen(class, false)], vec![]).archived, ["k"]);
        assert_eq!(make(vec![frozen(class, true)], vec![]).fetch.len(), 1);
    }
    for class in ["GLACIER_IR", "STANDARD_IA", "INTELLIGENT_TIERING"] {
        assert_eq!(
            make(vec![frozen(class, false)], vec![]).fetch.len(),
            1,
            "{class}"
        );
    }
    let kept = frozen("GLACIER", false);
    assert_eq!(make(vec![kept.clone()], vec![known(&kept)]).keep_count, 1);
}

#[test]
fn odd_keys_are_told() {
    let listing = ["/a", "a/../b", "a//b", "b\\c", "c\u{1}", "plain/x.parquet"];
    let plan = make(listing.map(|key| remote(key, "1")).to_vec(), vec![]);
    assert_eq!(plan.odd_keys, listing[..5]);
    assert_eq!(plan.fetch.len(), 6);
}

#[test]
fn a_listing_out_of_order_or_with_a_key_twice_is_refused() {
    for listing in [["b", "a"], ["a", "a"]] {
        let listing = listing.map(|key| remote(key, "1")).to_vec();
        let error = Case {
            listing,
            ..Case::default()
        };
        assert!(matches!(error.plan(), Err(MirrorError::Listing { .. })));
    }
}

#[test]
fn an_error_of_either_side_is_the_plans() {
    let error = || MirrorError::Clock { seconds: 1 };
    let listing = futures::stream::iter([Ok(remote("a", "1")), Err(error())]);
    let none = HashMap::new();
    let planning = plan(
        listing,
        std::iter::empty(),
        &none,
        &|_| Wanted::Yes,
        ALLOWED,
        &Nobody,
    );
    assert!(matches!(
        futures::executor::block_on(planning),
        Err(MirrorError::Clock { .. })
    ));
    let listing = futures::stream::iter([Ok(remote("a", "1"))]);
    let known = std::iter::once(Err(CacheError::Busy));
    let planning = plan(listing, known, &none, &|_| Wanted::Yes, ALLOWED, &Nobody);
    assert!(matches!(
        futures::executor::block_on(planning),
        Err(MirrorError::Cache(_))
    ));
}

#[test]
fn a_million_keys_are_planned_in_moments() {
    let began = std::time::Instant::now();
    let keys =
        || (0..1_000_000).map(|n| remote(&format!("hive/parquet/{n:07}/x.latest.parquet"), "etag"));
    let listing = futures::stream::iter(keys().map(Ok));
    let known = keys().map(|object| Ok(known(&object)));
    let none = HashMap::new();
    let planning = plan(
        listing,
        known,
        &none,
        &|_| Wanted::Yes,
        PlanOptions::default(),
        &Nobody,
    );
    let plan = futures::executor::block_on(planning).unwrap();
    assert_eq!((plan.keep_count, plan.fetch.len()), (1_000_000, 0));
    // Without optimisation, on a busy machine: the bound is for accidents of growth only.
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}

fn side() -> impl Strategy<Value = BTreeMap<String, u8>> {
    btree_map("[a-d]{1,3}", 0_u8..3, 0..40)
}

/// Keys with `a` are asked for, with `b` filtered, with `c` not ours.
fn by_first_letter(object: &RemoteObject) -> Wanted {
    match object.key.as_bytes()[0] {
        b'b' => Wanted::Filtered,
        b'c' => Wanted::LeftAlone,
        _ => Wanted::Yes,
    }
}

proptest! {
    #[test]
    fn every_key_is_fetched_kept_or_missing_as_its_etag_says(listed in side(), kept in side(), absent in side()) {
        let object = |(key, etag): (&String, &u8)| remote(key, &etag.to_string());
        let is_wanted = |key: &&String| by_first_letter(&remote(key, "")) == Wanted::Yes;
        let mut knowns = kept.iter().map(object).map(|object| known(&object)).collect::<Vec<_>>();
        for known in &mut knowns {
            known.missing_since = absent.contains_key(&known.key).then(DateTime::<chrono::Utc>::default);
        }
        let plan = Case {
            listing: listed.iter().map(object).collect(),
            known: knowns,
            wanted: &by_first_letter,
            options: ALLOWED,
            ..Case::default()
        }.plan().unwrap();
        let set = |keys: Vec<&String>| keys.into_iter().cloned().collect::<BTreeSet<_>>();
        let wanted = set(listed.keys().filter(is_wanted).collect());
        let changed = set(wanted.iter().filter(|key| kept.get(*key) != listed.get(*key)).collect());
        prop_assert_eq!(set(plan.fetch.iter().map(|object| &object.key).collect()), changed.clone());
        prop_assert_eq!(plan.keep_count as usize, wanted.len() - changed.len());
        let missing = kept.keys().filter(is_wanted).filter(|key| !listed.contains_key(*key) && !absent.contains_key(*key));
        prop_assert_eq!(set(plan.missing.iter().collect()), set(missing.collect()));
        let back = wanted.iter().filter(|key| absent.contains_key(*key) && !changed.contains(*key) && kept.contains_key(*key));
        prop_assert_eq!(set(plan.reappeared.iter().collect()), set(back.collect()));
        prop_assert_eq!(
            plan.listed_count,
            wanted.len() as u64 + plan.filtered_count + plan.left_alone_count
        );
    }

    #[test]
    fn nothing_is_marked_when_much_is_gone(known_count in 20_usize..60, gone_count in 0_usize..60) {
        let all = (0..known_count).map(|n| remote(&format!("{n:03}"), "e")).collect::<Vec<_>>();
        let gone_count = gone_count.min(known_count);
        let plan = make(all[gone_count..].to_vec(), all.iter().map(known).collect());
        let refused = gone_count * 5 > known_count;
        prop_assert_eq!(plan.shrink_refused.is_some(), refused);
        prop_assert_eq!(plan.missing.len(), if refused { 0 } else { gone_count });
    }

    #[test]
    fn a_listing_in_any_other_order_is_refused(keys in btree_map("[a-z]{1,4}", 0_u8..3, 2..20), first in 0_usize..20, second in 0_usize..20) {
        let mut listing = keys.keys().map(|key| remote(key, "e")).collect::<Vec<_>>();
        let (first, second) = (first % listing.len(), second % listing.len());
        prop_assume!(first != second);
        listing.swap(first, second);
        let case = Case { listing, ..Case::default() };
        prop_assert!(case.plan().is_err());
    }
}
