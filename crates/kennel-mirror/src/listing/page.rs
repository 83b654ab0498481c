//! One page of ListObjectsV2: read event by event, and believed only when it agrees with itself.
//!
//! XML 1.0 has no place for most control characters, yet keys may hold them: S3 writes them as character
//! references, or percent-encoded when asked to. Both are read.

use chrono::{DateTime, Utc};
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use quick_xml::{
    Reader,
    events::{BytesRef, Event},
};

use super::RemoteObject;
use crate::transport::{Refusal, error_in_success, looks_like};

/// What one answer to a listing holds.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) objects: Vec<RemoteObject>,
    /// Common prefixes, each with its slash.
    pub(super) folders: Vec<String>,
    /// Where the next page begins; `None` on the last.
    pub(super) next_token: Option<String>,
}

/// Why an answer is no page.
#[derive(Debug)]
pub(super) enum NoPage {
    /// It was cut or lost on its way.
    Broken(String),
    /// It is an S3 error that claims success.
    Refused(Refusal),
    /// It is something else, or contradicts itself.
    Nonsense(String),
}

/// Names of elements that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Root,
    CommonPrefixes,
    Contents,
    EncodingType,
    ETag,
    IsRestoreInProgress,
    IsTruncated,
    Key,
    KeyCount,
    LastModified,
    NextContinuationToken,
    Prefix,
    RestoreExpiryDate,
    RestoreStatus,
    Size,
    StorageClass,
    Other,
}

impl Name {
    fn of(name: &[u8]) -> Self {
        match name {
            b"ListBucketResult" => Self::Root,
            b"CommonPrefixes" => Self::CommonPrefixes,
            b"Contents" => Self::Contents,
            b"EncodingType" => Self::EncodingType,
            b"ETag" => Self::ETag,
            b"IsRestoreInProgress" => Self::IsRestoreInProgress,
            b"IsTruncated" => Self::IsTruncated,
            b"Key" => Self::Key,
            b"KeyCount" => Self::KeyCount,
            b"LastModified" => Self::LastModified,
            b"NextContinuationToken" => Self::NextContinuationToken,
            b"Prefix" => Self::Prefix,
            b"RestoreExpiryDate" => Self::RestoreExpiryDate,
            b"RestoreStatus" => Self::RestoreStatus,
            b"Size" => Self::Size,
            b"StorageClass" => Self::StorageClass,
            _ => Self::Other,
        }
    }
}

#[derive(Default)]
struct Entry {
    key: String,
    size_bytes: Option<u64>,
    etag: String,
    modified_at: Option<DateTime<Utc>>,
    storage_class: Option<String>,
    is_being_restored: bool,
    has_copy: bool,
}

/// A page while it is read.
#[derive(Default)]
struct Draft {
    page: Page,
    entry: Entry,
    is_truncated: Option<bool>,
    key_count: Option<u64>,
    is_encoded: bool,
}

/// Reads one page.
pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Page, NoPage> {
    if body.is_empty() {
        return Err(NoPage::Broken("the answer is empty".into()));
    }
    if let Some(refusal) = error_in_success(headers, body) {
        return Err(NoPage::Refused(refusal));
    }
    let mut reader = Reader::from_reader(body);
    let mut draft = Draft::default();
    let mut path: Vec<Name> = Vec::with_capacity(4);
    let mut has_root = false;
    let mut text = String::new();
    let broken =
        |why: &dyn std::fmt::Display| NoPage::Broken(format!("it is not well-formed XML: {why}"));
    let foreign = || NoPage::Nonsense(format!("it is {}", looks_like(body)));
    loop {
        let event = reader
            .read_event()
            .map_err(|error| if has_root { broken(&error) } else { foreign() })?;
        match event {
            Event::Start(start) => {
                let name = Name::of(start.local_name().as_ref());
                if path.is_empty() && (has_root || name != Name::Root) {
                    return Err(foreign());
                }
                has_root = true;
                path.push(name);
                text.clear();
            }
            Event::Empty(start) => {
                if path.is_empty() {
                    return Err(foreign());
                }
                path.push(Name::of(start.local_name().as_ref()));
                draft.element(&path, "")?;
                path.pop();
            }
            Event::End(_) => {
                draft.element(&path, &text)?;
                path.pop();
                text.clear();
            }
            Event::Text(part) => text.push_str(&part.decode().map_err(|e| broken(&e))?),
            Event::CData(part) => text.push_str(&part.decode().map_err(|e| broken(&e))?),
            Event::GeneralRef(reference) => {
                text.push(resolve(&reference).ok_or_else(|| broken(&"an unknown reference"))?);
            }
            Event::Eof => break,
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    if !has_root {
        return Err(foreign());
    }
    if !path.is_empty() {
        return Err(NoPage::Broken("it is cut off".into()));
    }
    draft.finish().map_err(NoPage::Nonsense)
}

/// The character of `&#x1;` or `&amp;`; also those that XML forbids and keys may hold.
fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    let name = reference.decode().ok()?;
    match name.as_ref() {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        name => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

impl Draft {
    /// Takes the text of an element that has just ended.
    fn element(&mut self, path: &[Name], text: &str) -> Result<(), NoPage> {
        use Name::{
            CommonPrefixes, Contents, ETag, EncodingType, IsRestoreInProgress, IsTruncated, Key,
            KeyCount, LastModified, NextContinuationToken, Prefix, RestoreExpiryDate,
            RestoreStatus, Root, Size, StorageClass,
        };
        let wrong =
            |what: &str| NoPage::Nonsense(format!("`{}` is not {what}", text.escape_debug()));
        match path {
            [Root, IsTruncated] => {
                self.is_truncated = Some(text.parse().map_err(|_| wrong("true or false"))?);
            }
            [Root, NextContinuationToken] if !text.is_empty() => {
                self.page.next_token = Some(text.to_owned());
            }
            [Root, KeyCount] => {
                self.key_count = Some(text.parse().map_err(|_| wrong("a number of keys"))?);
            }
            [Root, EncodingType] => self.is_encoded = text == "url",
            [Root, CommonPrefixes, Prefix] => self.page.folders.push(text.to_owned()),
            [Root, Contents, Key] => text.clone_into(&mut self.entry.key),
            [Root, Contents, Size] => {
                self.entry.size_bytes = Some(text.parse().map_err(|_| wrong("a size"))?);
            }
            [Root, Contents, ETag] => text.trim_matches('"').clone_into(&mut self.entry.etag),
            [Root, Contents, LastModified] => {
                let instant = DateTime::parse_from_rfc3339(text).map_err(|_| wrong("a time"))?;
                self.entry.modified_at = Some(instant.to_utc());
            }
            [Root, Contents, StorageClass] if !text.is_empty() => {
                self.entry.storage_class = Some(text.to_owned());
            }
            [Root, Contents, RestoreStatus, IsRestoreInProgress] => {
                self.entry.is_being_restored = text == "true";
            }
            [Root, Contents, RestoreStatus, RestoreExpiryDate] => self.entry.has_copy = true,
            [Root, Contents] => {
                let entry = std::mem::take(&mut self.entry);
                self.page.objects.push(entry.object()?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks what the page says about itself, and undoes the encoding of keys.
    fn finish(mut self) -> Result<Page, String> {
        match (self.is_truncated, &self.page.next_token) {
            (None, _) => return Err("it does not say whether more follows".into()),
            (Some(true), None) => {
                return Err("it says that more follows, and not where: its rest is unknown".into());
            }
            (Some(false), Some(_)) => {
                return Err("it names a continuation, and says that nothing follows".into());
            }
            (Some(true), Some(_)) | (Some(false), None) => {}
        }
        let entries = (self.page.objects.len() + self.page.folders.len()) as u64;
        if let Some(count) = self.key_count.filter(|count| *count != entries) {
            return Err(format!("it says {count} keys and has {entries}"));
        }
        // Some servers claim the encoding and send keys as they are.
        let keys = self.page.objects.iter().map(|object| &object.key);
        let is_encoded = self.is_encoded
            && keys
                .chain(&self.page.folders)
                .all(|key| may_be_encoded(key));
        if is_encoded {
            for object in &mut self.page.objects {
                decode(&mut object.key)?;
            }
            for folder in &mut self.page.folders {
                decode(folder)?;
            }
        }
        Ok(self.page)
    }
}

impl Entry {
    fn object(self) -> Result<RemoteObject, NoPage> {
        let missing = |what: &str| NoPage::Nonsense(format!("an entry has no {what}"));
        if self.key.is_empty() {
            return Err(missing("key"));
        }
        if self.etag.is_empty() {
            return Err(missing("ETag"));
        }
        Ok(RemoteObject {
            key: self.key,
            size_bytes: self.size_bytes.ok_or_else(|| missing("size"))?,
            etag: self.etag,
            modified_at: self.modified_at.ok_or_else(|| missing("LastModified"))?,
            is_restored: self.has_copy && !self.is_being_restored,
            storage_class: self.storage_class,
            version_id: None,
        })
    }
}

/// Whether `encoding-type=url` can have written this text. S3 leaves fewer characters as they are; SeaweedFS the colon, too.
fn may_be_encoded(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => bytes
            .get(at + 1..at + 3)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
        b'-' | b'_' | b'.' | b'~' | b'*' | b'/' | b':' | b'+' | b'!' | b'\'' | b'(' | b')' => true,
        byte => byte.is_ascii_alphanumeric(),
    })
}

/// Undoes `encoding-type=url`, in which a space is `+`.
fn decode(text: &mut String) -> Result<(), String> {
    if !text.contains(['+', '%']) {
        return Ok(());
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    *text = decoded
        .map_err(|_| format!("key `{text}` is not UTF-8"))?
        .into_owned();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Name>b</Name><Prefix/>{inner}</ListBucketResult>"
        )
    }

    fn entry(key: &str) -> String {
        format!(
            "<Contents><Key>{key}</Key><LastModified>2026-03-02T07:30:00.000Z</LastModified>\
             <ETag>&quot;abc&quot;</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )
    }

    fn last(inner: &str) -> Result<Page, NoPage> {
        parse(
            &HeaderMap::new(),
            page(&format!("<IsTruncated>false</IsTruncated>{inner}")).as_bytes(),
        )
    }

    fn keys(inner: &str) -> Vec<String> {
        let page = last(inner).unwrap();
        page.objects.into_iter().map(|object| object.key).collect()
    }

    #[test]
    fn an_entry_is_read_whole() {
        let page = last(&entry("a/b")).unwrap();
        let object = &page.objects[0];
        assert_eq!(
            (object.key.as_str(), object.etag.as_str(), object.size_bytes),
            ("a/b", "abc", 7)
        );
        assert_eq!(object.modified_at.to_rfc3339(), "2026-03-02T07:30:00+00:00");
        assert_eq!(object.storage_class.as_deref(), Some("STANDARD"));
        assert_eq!(page.next_token, None);
    }

    #[test]
    fn keys_come_out_as_they_are_in_the_bucket() {
        let encoded = format!(
            "<EncodingType>url</EncodingType><KeyCount>2</KeyCount>{}{}",
            entry("a%2Fb+c%25%0A%01"),
            entry("caf%C3%A9")
        );
        assert_eq!(keys(&encoded), ["a/b c%\n\u{1}", "caf\u{e9}"]);
        let mixed = format!("<EncodingType>url</EncodingType>{}", entry("c:/caf%C3%A9"));
        assert_eq!(keys(&mixed), ["c:/caf\u{e9}"], "as SeaweedFS encodes");
        let plain = entry("a+b&#x1;&#13;&amp;%2F");
        assert_eq!(
            keys(&plain),
            ["a+b\u{1}\r&%2F"],
            "it does not say that it encodes"
        );
        let claimed = format!(
            "<EncodingType>url</EncodingType>{}{}",
            entry("a+b"),
            entry("x=1/%zz")
        );
        assert_eq!(
            keys(&claimed),
            ["a+b", "x=1/%zz"],
            "it says so, and does not"
        );
        let data = "<Contents><Key><![CDATA[<k>]]></Key><LastModified>2026-03-02T07:30:00Z</LastModified><ETag>e</ETag><Size>1</Size></Contents>";
        assert_eq!(keys(data), ["<k>"]);
    }

    #[test]
    fn a_restored_copy_is_seen() {
        let object = |status: &str| {
            let inner = entry("k").replace(
                "</Contents>",
                &format!("<RestoreStatus>{status}</RestoreStatus></Contents>"),
            );
            last(&inner).unwrap().objects.remove(0).is_restored
        };
        assert!(object(
            "<IsRestoreInProgress>false</IsRestoreInProgress><RestoreExpiryDate>2038-01-01T00:00:00Z</RestoreExpiryDate>"
        ));
        assert!(!object("<IsRestoreInProgress>true</IsRestoreInProgress>"));
    }

    #[test]
    fn nonsense_is_never_an_empty_page() {
        let cut = page(&format!("<IsTruncated>false</IsTruncated>{}", entry("a")));
        for (body, expected) in [
            ("".to_owned(), "Broken"),
            ("<html><body>Sign in</body></html>".to_owned(), "HTML page"),
            (" \n<!DOCTYPE html><p>x".to_owned(), "HTML page"),
            (
                "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code></Error>".to_owned(),
                "Refused",
            ),
            ("{\"a\": 1}".to_owned(), "Nonsense"),
            ("<Other/>".to_owned(), "Nonsense"),
            ("<ListBucketResult/>".to_owned(), "Nonsense"),
            (
                "<ListBucketResult></ListBucketResult>".to_owned(),
                "whether more follows",
            ),
            (
                page("<IsTruncated>true</IsTruncated>"),
                "more follows, and not where",
            ),
            (
                page(
                    "<IsTruncated>false</IsTruncated><NextContinuationToken>t</NextContinuationToken>",
                ),
                "nothing follows",
            ),
            (
                page("<KeyCount>3</KeyCount><IsTruncated>false</IsTruncated>"),
                "3 keys and has 0",
            ),
            (page("<IsTruncated>perhaps</IsTruncated>"), "true or false"),
            (cut[..cut.len() - 30].to_owned(), "Broken"),
            (cut.replace("<Size>7</Size>", ""), "no size"),
            (cut.replace("&quot;abc&quot;", ""), "no ETag"),
            (cut.replace("<Key>a</Key>", "<Key/>"), "no key"),
            (format!("{cut}{cut}"), "Nonsense"),
        ] {
            let error = parse(&HeaderMap::new(), body.as_bytes()).unwrap_err();
            let error = format!("{error:?}");
            assert!(error.contains(expected), "{body}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), text in "[<>/a-zA-Z&;#x0-9]{0,60}") {
            let _ = parse(&HeaderMap::new(), &bytes);
            let _ = last(&text);
        }

        #[test]
        fn any_key_survives_the_encoding(key in "\\PC{1,20}|[\\x00-\\x7f]{1,20}") {
            let encoded = percent_encoding::utf8_percent_encode(&key, percent_encoding::NON_ALPHANUMERIC).to_string();
            let found = keys(&format!("<EncodingType>url</EncodingType>{}", entry(&encoded)));
            proptest::prop_assert_eq!(found, vec![key]);
        }
    }
}
