//! What an object's key says about a CloudTrail file: where it was delivered, and on which day.
//!
//! Source: CloudTrail user guide, "Getting and viewing your CloudTrail log files":
//! `[prefix/]AWSLogs/[o-…/]<account>/<folder>/<region>/<yyyy>/<MM>/<dd>/<file>`. Other services write
//! below `AWSLogs` too, so that only CloudTrail's own folders count.

use std::{fmt, str::FromStr};

use chrono::{Datelike, Days, NaiveDate};

use crate::AccountId;

/// The folder below an account: which kind of file lies there.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum TrailFolder {
    /// Management and data events (`CloudTrail`).
    CloudTrail,
    /// Insights events (`CloudTrail-Insight`).
    Insight,
    /// Network activity events (`CloudTrail-NetworkActivity`).
    NetworkActivity,
    /// Aggregated data events (`CloudTrail-Aggregated`).
    Aggregated,
    /// Digests, which prove the log files (`CloudTrail-Digest`): no events.
    Digest,
}

impl TrailFolder {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::CloudTrail,
        Self::Insight,
        Self::NetworkActivity,
        Self::Aggregated,
        Self::Digest,
    ];

    /// The folder's name in keys: `CloudTrail-Insight`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CloudTrail => "CloudTrail",
            Self::Insight => "CloudTrail-Insight",
            Self::NetworkActivity => "CloudTrail-NetworkActivity",
            Self::Aggregated => "CloudTrail-Aggregated",
            Self::Digest => "CloudTrail-Digest",
        }
    }
}

impl fmt::Display for TrailFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TrailFolder {
    type Err = ();

    fn from_str(folder: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|known| known.as_str() == folder)
            .ok_or(())
    }
}

/// A delivery date as keys write it, `yyyy/MM/dd`: digits, ordered as days are.
///
/// It is text, not a date: a key of 31 February is a key all the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryDay([u8; 10]);

impl DeliveryDay {
    /// Reads `yyyy/MM/dd`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 10] = text.as_bytes().try_into().ok()?;
        let fits = bytes.iter().enumerate().all(|(index, byte)| match index {
            4 | 7 => *byte == b'/',
            _ => byte.is_ascii_digit(),
        });
        fits.then_some(Self(bytes))
    }

    /// The day of a date; years that four digits cannot say become the nearest that they can.
    pub fn from_date(date: NaiveDate) -> Self {
        let year = date.year().clamp(0, 9999);
        let text = format!("{year:04}/{:02}/{:02}", date.month(), date.day());
        Self::parse(&text).expect("four, two and two digits")
    }

    /// The date, if there is such a day.
    pub fn date(self) -> Option<NaiveDate> {
        let number = |text: &str| text.parse::<u32>().ok();
        NaiveDate::from_ymd_opt(
            number(self.year())?.try_into().ok()?,
            number(self.month())?,
            number(self.day())?,
        )
    }

    /// So many days before; `None` when this is no day of the calendar.
    #[must_use]
    pub fn minus_days(self, days: u32) -> Option<Self> {
        let date = self.date()?.checked_sub_days(Days::new(days.into()))?;
        Some(Self::from_date(date))
    }

    /// `yyyy/MM/dd`.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("digits and slashes")
    }

    /// `yyyy`.
    pub fn year(&self) -> &str {
        &self.as_str()[..4]
    }

    /// `MM`.
    pub fn month(&self) -> &str {
        &self.as_str()[5..7]
    }

    /// `dd`.
    pub fn day(&self) -> &str {
        &self.as_str()[8..]
    }
}

impl fmt::Display for DeliveryDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for DeliveryDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeliveryDay({self})")
    }
}

impl FromStr for DeliveryDay {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or(())
    }
}

impl serde::Serialize for DeliveryDay {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The part of a trail below which keys ascend by day: one account, folder and region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrailPrefix {
    /// What its keys begin with, up to and with the slash after the region.
    pub prefix: String,
    /// The account that the folder names: text, since ids may begin with zero or be masked.
    pub account_id: AccountId,
    /// Which kind of file.
    pub folder: TrailFolder,
    /// The region that delivered: any text.
    pub region: String,
}

impl TrailPrefix {
    /// Reads `…AWSLogs/[o-…/]<account>/<folder>/<region>/`; `None` when it is not that of a trail.
    ///
    /// Whatever stands before `AWSLogs` does not matter. It may be lacking, for folders that were
    /// copied from below it: then the account, or the organisation, comes first.
    pub fn parse(prefix: &str) -> Option<Self> {
        let mut parts = prefix.strip_suffix('/')?.rsplit('/');
        let region = parts.next().filter(|region| is_region(region))?;
        let folder = parts.next()?.parse().ok()?;
        let account = parts.next().filter(|account| is_account(account))?;
        let mut above = parts.next();
        if above.is_some_and(is_organisation) {
            above = parts.next();
        }
        let is_start = above.is_none() || above == Some("") && parts.next().is_none();
        (is_start || above == Some("AWSLogs")).then(|| Self {
            prefix: prefix.to_owned(),
            account_id: AccountId::new(account),
            folder,
            region: region.to_owned(),
        })
    }

    /// What the keys of a day begin with.
    pub fn day(&self, day: DeliveryDay) -> String {
        format!("{}{day}/", self.prefix)
    }

    /// The delivery day and the file's name of what follows the prefix in a key; `None` when that is no
    /// CloudTrail file.
    pub fn split_name(name: &str) -> Option<(DeliveryDay, &str)> {
        let (day, file) = name.rsplit_once('/')?;
        let is_file = |suffix| file.len() > str::len(suffix) && file.ends_with(suffix);
        if !is_file(".json.gz") && !is_file(".json") {
            return None;
        }
        Some((DeliveryDay::parse(day)?, file))
    }
}

impl fmt::Display for TrailPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prefix)
    }
}

/// Whether a folder's name is an account's: digits, twelve unless they are masked.
pub fn is_account(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a folder's name is an organisation's: `o-` and letters or digits.
pub fn is_organisation(text: &str) -> bool {
    text.strip_prefix("o-")
        .is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn is_region(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && !text.contains(char::is_control)
}

/// A CloudTrail file, as its key tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrailKey {
    /// Account, folder and region.
    pub prefix: TrailPrefix,
    /// The day of delivery (UTC), which is not always that of the events.
    pub day: DeliveryDay,
    /// The last part of the key.
    pub file_name: String,
}

impl TrailKey {
    /// Reads a key; `None` when it is not that of a CloudTrail file.
    ///
    /// A file's name ends with `.json.gz` or `.json`. Folder markers (`…/`), files of other services and
    /// test files are none.
    pub fn parse(key: &str) -> Option<Self> {
        let (folder, _) = key.rsplit_once('/')?;
        let (prefix, name) = key.split_at_checked(folder.len().checked_sub(10)?)?;
        let (day, file_name) = TrailPrefix::split_name(name)?;
        Some(Self {
            prefix: TrailPrefix::parse(prefix)?,
            day,
            file_name: file_name.to_owned(),
        })
    }

    /// When it was delivered, for ordering: the day, and the `20260302T0710Z` of the file's name or nothing.
    pub fn delivered(&self) -> (DeliveryDay, &str) {
        let is_time = |part: &&str| {
            let fits = |(index, byte): (usize, u8)| match index {
                8 => byte == b'T',
                13 => byte == b'Z',
                _ => byte.is_ascii_digit(),
            };
            part.len() == 14 && part.bytes().enumerate().all(fits)
        };
        let time = self.file_name.split('_').find(is_time);
        (self.day, time.unwrap_or_default())
    }
}

impl fmt::Display for TrailKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", self.prefix, self.day, self.file_name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "012345678901_CloudTrail_eu-west-1_20260302T0710Z_AbCdEfGhIjKlMnOp.json.gz";

    #[test]
    fn every_layout_in_use_is_read() {
        for above in [
            "AWSLogs/",
            "/AWSLogs/",
            "some/prefix/AWSLogs/",
            "AWSLogs/o-abc1234567/",
            "o-abc1234567/AWSLogs/o-abc1234567/",
            "AWSLogs/AWSLogs/",
            "",
            "/",
            "o-abc1234567/",
        ] {
            let key = format!("{above}012345678901/CloudTrail-Insight/eu-west-1/2026/03/02/{FILE}");
            let read = TrailKey::parse(&key).expect(&key);
            assert_eq!(read.prefix.account_id.as_str(), "012345678901");
            assert_eq!(read.prefix.folder, TrailFolder::Insight);
            assert_eq!(read.prefix.region, "eu-west-1");
            assert_eq!(
                (read.day.year(), read.day.month(), read.day.day()),
                ("2026", "03", "02")
            );
            assert_eq!(read.file_name, FILE);
            assert_eq!(read.to_string(), key);
        }
    }

    #[test]
    fn strangers_are_no_cloudtrail_files() {
        let account = "AWSLogs/111122223333";
        for key in [
            "".to_owned(),
            FILE.to_owned(),
            format!("{account}/CloudTrail/eu-west-1/2026/03/02/"),
            format!("{account}/CloudTrail/eu-west-1/2026/03/{FILE}"),
            format!("{account}/CloudTrail/eu-west-1/2026/3/02/{FILE}"),
            format!("{account}/CloudTrail/eu-west-1/2026/03/02/12/{FILE}"),
            format!("{account}/CloudTrail/2026/03/02/{FILE}"),
            format!("{account}/CloudTrail//2026/03/02/{FILE}"),
            format!("{account}/CloudTrail/eu-west-1/2026/03/02/.json.gz"),
            format!("{account}/CloudTrail/eu-west-1/2026/03/02/test"),
            format!("{account}/Config/eu-west-1/2026/03/02/{FILE}"),
            format!("{account}/vpcflowlogs/eu-west-1/2026/03/02/x.log.gz"),
            format!("{account}/elasticloadbalancing/eu-west-1/2026/03/02/x.json.gz"),
            format!("AWSLogs/org/111122223333/CloudTrail/eu-west-1/2026/03/02/{FILE}"),
            format!("AWSLogs/x1/CloudTrail/eu-west-1/2026/03/02/{FILE}"),
            format!("copy/111122223333/CloudTrail/eu-west-1/2026/03/02/{FILE}"),
            format!("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}x/{FILE}"),
        ] {
            assert_eq!(TrailKey::parse(&key), None, "{key}");
        }
    }

    #[test]
    fn masked_accounts_and_impossible_days_are_text() {
        let read = TrailKey::parse("AWSLogs/0000/CloudTrail/aws-iso-x/2026/02/31/x.json").unwrap();
        assert_eq!(read.prefix.account_id.as_str(), "0000");
        assert_eq!(read.day.date(), None);
        assert_eq!(read.day.minus_days(2), None);
    }

    #[test]
    fn the_time_of_delivery_is_in_the_name() {
        let read = |file: &str| {
            let key = format!("AWSLogs/1/CloudTrail/eu-west-1/2026/03/02/{file}");
            TrailKey::parse(&key).unwrap().delivered().1.to_owned()
        };
        assert_eq!(read(FILE), "20260302T0710Z");
        assert_eq!(
            read("1_CloudTrail_2026\u{e9}302T071_20260302X0710Z_x.json"),
            ""
        );
    }

    #[test]
    fn days_are_counted_over_the_ends_of_months_and_years() {
        let back = |day: &str| DeliveryDay::parse(day).unwrap().minus_days(2).unwrap();
        assert_eq!(back("2024/03/01").as_str(), "2024/02/28");
        assert_eq!(back("2025/01/01").as_str(), "2024/12/30");
        assert_eq!(
            DeliveryDay::from_date(NaiveDate::MAX).as_str(),
            "9999/12/31"
        );
    }

    proptest! {
        #[test]
        fn a_key_reads_back_what_it_prints(
            above in "([a-z.]{0,6}/){0,2}AWSLogs/(o-[a-z0-9]{10,12}/)?",
            account in "[0-9]{1,13}",
            folder in prop::sample::select(TrailFolder::ALL.to_vec()),
            region in "[a-z\u{e9} -]{1,12}",
            days in 0_u64..20_000,
            file in "[A-Za-z0-9_\u{e9}-]{1,20}\\.json(\\.gz)?",
        ) {
            let date = NaiveDate::from_ymd_opt(1990, 1, 1).unwrap() + Days::new(days);
            let day = DeliveryDay::from_date(date);
            prop_assert_eq!(day.date(), Some(date));
            let prefix = format!("{above}{account}/{folder}/{region}/");
            let read = TrailPrefix::parse(&prefix).unwrap();
            prop_assert_eq!(
                (read.account_id.as_str(), read.folder, read.region.as_str()),
                (account.as_str(), folder, region.as_str())
            );
            let key = TrailKey { prefix: read.clone(), day, file_name: file.clone() };
            prop_assert_eq!(format!("{}{file}", read.day(day)), key.to_string());
            prop_assert_eq!(TrailKey::parse(&key.to_string()), Some(key));
        }

        #[test]
        fn any_text_is_read_or_refused(key in "\\PC{0,40}", tail in "[0-9/a-z.]{0,30}") {
            for text in [format!("{key}{tail}"), format!("AWSLogs/1/CloudTrail/{key}/2026/01/01/{tail}.json")] {
                if let Some(read) = TrailKey::parse(&text) {
                    prop_assert_eq!(read.to_string(), text);
                }
            }
        }

        #[test]
        fn days_are_ordered_as_dates(a in 0_u64..30_000, b in 0_u64..30_000) {
            let day = |days| DeliveryDay::from_date(NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + Days::new(days));
            prop_assert_eq!(day(a).cmp(&day(b)), a.cmp(&b));
        }
    }
}
