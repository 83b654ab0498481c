//! CloudTrail sources: where their files lie, and what of them is new, without listing everything each time.

mod discover;
mod plan;

use kennel_cache::{AccountId, DeliveryDay, TrailFolder, TrailPrefix};

use crate::MirrorError;

pub use plan::{TrailPlan, TrailPlans, plan_trail};

/// Listings at a time; each goes on page by page.
const LISTINGS: usize = 16;

/// Which accounts, folders and regions to look for; an empty list leaves nothing out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrailFilter {
    /// Accounts.
    pub accounts: Vec<AccountId>,
    /// Folders.
    pub folders: Vec<TrailFolder>,
    /// Regions.
    pub regions: Vec<String>,
}

impl TrailFilter {
    fn takes_account(&self, account: &str) -> bool {
        self.accounts.is_empty() || self.accounts.iter().any(|a| a.as_str() == account)
    }

    fn takes_folder(&self, folder: TrailFolder) -> bool {
        self.folders.is_empty() || self.folders.contains(&folder)
    }

    fn takes_region(&self, region: &str) -> bool {
        self.regions.is_empty() || self.regions.iter().any(|r| r == region)
    }

    fn takes(&self, prefix: &TrailPrefix) -> bool {
        self.takes_account(prefix.account_id.as_str())
            && self.takes_folder(prefix.folder)
            && self.takes_region(&prefix.region)
    }
}

/// What was found of a source's layout.
#[derive(Debug, Default)]
pub struct Discovery {
    /// Accounts, folders and regions, ascending by prefix.
    pub prefixes: Vec<TrailPrefix>,
    /// What could not be listed, by prefix; what lies below is not among `prefixes`.
    pub failures: Vec<(String, MirrorError)>,
    /// Whether the search for `AWSLogs` was given up before it saw all folders.
    pub is_cut: bool,
}

/// How to plan a CloudTrail sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrailOptions {
    /// First delivery day to mirror; `None`: all.
    pub since: Option<DeliveryDay>,
    /// Last delivery day to mirror; `None`: all.
    pub until: Option<DeliveryDay>,
    /// List everything again.
    pub full: bool,
    /// Days before the checkpoint that are listed again each time: files may come late.
    pub look_back_days: u32,
    /// Everything is listed again when the last time is so many days ago: a trail whose bucket was out of
    /// reach delivers for up to 30 days, and archived objects may have been restored.
    pub full_after_days: u32,
}

impl Default for TrailOptions {
    fn default() -> Self {
        Self {
            since: None,
            until: None,
            full: false,
            look_back_days: 2,
            full_after_days: 7,
        }
    }
}
