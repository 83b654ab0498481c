//! Identifiers as types, so that an account is never taken for a customer or for a number.

use std::{fmt, str::FromStr};

/// An identifier did not have its form.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct IdError {
    text: String,
    expected: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(Self::new(text))
            }
        }
    };
}

text_id! {
    /// An account of a cloud: text, since AWS account ids may start with zero.
    AccountId
}
text_id! {
    /// A k9 customer, for example `C123456`.
    CustomerId
}

/// The name of a configured source: lower-case letters, digits, `-`, `_`, `.`; 1 to 64 of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct SourceName(String);

impl SourceName {
    /// Checks the form.
    ///
    /// # Errors
    /// [`IdError`] for a name that is empty, too long, or has other characters.
    pub fn try_new(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        let fits = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
            && !text.starts_with('.');
        if fits {
            Ok(Self(text))
        } else {
            Err(IdError {
                text,
                expected: "a source name (1 to 64 letters, digits, `-`, `_`, `.`, not starting with a dot)",
            })
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SourceName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_new(text)
    }
}

/// What a source delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A k9 Security secure inbox.
    K9,
    /// A CloudTrail delivery.
    CloudTrail,
}

impl SourceKind {
    /// `k9` or `cloudtrail`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::K9 => "k9",
            Self::CloudTrail => "cloudtrail",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::K9, Self::CloudTrail]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A snapshot, in the order in which they were taken; written `s12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(pub(crate) i64);

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

impl FromStr for SnapshotId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix('s')
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .map(Self)
            .ok_or_else(|| IdError {
                text: text.into(),
                expected: "a snapshot id such as `s12`",
            })
    }
}

/// A SHA-256, printed as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// Hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest;
        Self(sha2::Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

impl FromStr for Sha256 {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError {
            text: text.into(),
            expected: "a SHA-256 in hex",
        })?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_id_reads_back_what_it_prints_and_nothing_else() {
        assert_eq!("s12".parse::<SnapshotId>().unwrap(), SnapshotId(12));
        assert_eq!(SnapshotId(12).to_string(), "s12");
        for text in [
            "12",
            "s",
            "s-1",
            "s+1",
            "S12",
            "s1x",
            "s99999999999999999999",
        ] {
            assert!(text.parse::<SnapshotId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_source_name_cannot_leave_its_folder() {
        for text in ["", "..", ".git", "a/b", "a\\b", "a b", "a\n"] {
            assert!(SourceName::try_new(text).is_err(), "{text:?}");
        }
        assert!(SourceName::try_new("k9-prod_2.eu").is_ok());
    }
}
