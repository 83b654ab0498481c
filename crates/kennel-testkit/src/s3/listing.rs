//! `ListObjectsV2` (and the older `ListObjects`): which keys a page holds, and its XML.
//!
//! A page is a value before it is text, so that a fault can bend it.

use super::answer::{Answer, ErrorAnswer, element};
use super::request::Call;
use super::store::{Object, Store};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::ops::Bound;
use std::sync::Arc;

const MAX_KEYS: usize = 1000;
/// What `encoding-type=url` leaves as it is; a space becomes a plus sign.
const LISTED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'*')
    .remove(b'/')
    .remove(b' ');

/// What a listing asks for.
#[derive(Debug)]
pub(super) struct ListQuery {
    is_v2: bool,
    prefix: String,
    delimiter: Option<String>,
    start_after: Option<String>,
    max_keys: usize,
    is_url_encoded: bool,
    wants_restore_status: bool,
    token: Option<Token>,
}

/// Where a page ended: the number of the next page, and the last key or common prefix shown.
#[derive(Clone, Debug)]
pub(super) struct Token {
    raw: String,
    page: u64,
    last: String,
}

impl Token {
    fn new(page: u64, last: &str) -> Self {
        let raw = URL_SAFE_NO_PAD.encode(format!("{page}:{last}"));
        Self {
            raw,
            page,
            last: last.to_owned(),
        }
    }

    fn parse(raw: &str) -> Result<Self, ErrorAnswer> {
        let text = URL_SAFE_NO_PAD
            .decode(raw)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let parsed = text
            .as_deref()
            .and_then(|text| text.split_once(':'))
            .and_then(|(page, last)| {
                Some(Self {
                    raw: raw.to_owned(),
                    page: page.parse().ok()?,
                    last: last.to_owned(),
                })
            });
        parsed.ok_or_else(|| invalid("The continuation token provided is incorrect"))
    }
}

fn invalid(message: &str) -> ErrorAnswer {
    ErrorAnswer::new(400, "InvalidArgument", message)
}

/// Which page of its listing a request asks for, from 1.
pub(super) fn page_number(call: &Call) -> u64 {
    let token = call
        .query("continuation-token")
        .and_then(|raw| Token::parse(raw).ok());
    token.map_or(1, |token| token.page)
}

impl ListQuery {
    pub(super) fn parse(call: &Call) -> Result<Self, ErrorAnswer> {
        let max_keys = match call.query("max-keys") {
            None => MAX_KEYS,
            Some(text) => text
                .parse::<u32>()
                .map_err(|_| invalid("Provided max-keys not an integer or within integer range"))?
                .min(MAX_KEYS as u32) as usize,
        };
        let is_v2 = call.query("list-type") == Some("2");
        let owned = |name| call.query(name).map(str::to_owned);
        Ok(Self {
            is_v2,
            prefix: owned("prefix").unwrap_or_default(),
            delimiter: owned("delimiter").filter(|delimiter| !delimiter.is_empty()),
            start_after: owned(if is_v2 { "start-after" } else { "marker" }),
            max_keys,
            is_url_encoded: call.query("encoding-type") == Some("url"),
            wants_restore_status: call
                .header("x-amz-optional-object-attributes")
                .is_some_and(|wanted| wanted.split(',').any(|name| name.trim() == "RestoreStatus")),
            token: call
                .query("continuation-token")
                .map(Token::parse)
                .transpose()?,
        })
    }

    /// The same listing from its beginning, numbered as the page that was asked for.
    pub(super) fn restarted(mut self) -> Self {
        if let Some(token) = &mut self.token {
            token.last.clear();
        }
        self
    }

    /// The key or common prefix after which this page begins; empty: at the beginning.
    fn after(&self) -> &str {
        match &self.token {
            Some(token) => &token.last,
            None => self.start_after.as_deref().unwrap_or_default(),
        }
    }

    pub(super) fn page(self, store: &Store) -> Page {
        let mut page = Page::default();
        let after = self.after().to_owned();
        let mut cursor = if self.prefix.as_str() > after.as_str() {
            Bound::Included(self.prefix.clone())
        } else {
            Bound::Excluded(past(&after, self.delimiter.as_deref()))
        };
        let mut last = String::new();
        'listing: loop {
            let mut jump = None;
            for (key, object) in store.iter_from(cursor.as_ref().map(String::as_str)) {
                if !key.starts_with(&self.prefix) {
                    break;
                }
                if page.entries.len() + page.prefixes.len() == self.max_keys {
                    page.is_truncated = self.max_keys > 0;
                    break 'listing;
                }
                match self.common_prefix(&key) {
                    Some(common) => {
                        last = common.to_owned();
                        page.prefixes.push(last.clone());
                        jump = Some(past(common, self.delimiter.as_deref()));
                        break;
                    }
                    None => {
                        last.clone_from(&key);
                        page.entries.push(Entry { key, object });
                    }
                }
            }
            match jump {
                Some(past_prefix) => cursor = Bound::Excluded(past_prefix),
                None => break,
            }
        }
        page.key_count = (page.entries.len() + page.prefixes.len()) as i64;
        if page.is_truncated {
            let number = self.token.as_ref().map_or(1, |token| token.page);
            page.next_token = Some(Token::new(number + 1, &last));
        }
        page.query = Some(self);
        page
    }

    fn common_prefix<'a>(&self, key: &'a str) -> Option<&'a str> {
        let delimiter = self.delimiter.as_deref()?;
        let at = key[self.prefix.len()..].find(delimiter)?;
        Some(&key[..self.prefix.len() + at + delimiter.len()])
    }
}

/// The place after `last`, and after all that a common prefix stands for.
fn past(last: &str, delimiter: Option<&str>) -> String {
    match delimiter {
        // No key of a test has the last code point, so this sorts after each key with the prefix.
        Some(delimiter) if last.ends_with(delimiter) => format!("{last}\u{10FFFF}"),
        _ => last.to_owned(),
    }
}

/// One key of a page.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) object: Arc<Object>,
}

/// One page, before it is text.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    pub(super) prefixes: Vec<String>,
    pub(super) is_truncated: bool,
    pub(super) key_count: i64,
    pub(super) next_token: Option<Token>,
    query: Option<ListQuery>,
}

impl Page {
    /// Hands out again the token that the request came with.
    pub(super) fn repeat_token(&mut self) {
        if let Some(token) = self.query.as_ref().and_then(|query| query.token.clone()) {
            self.is_truncated = true;
            self.next_token = Some(token);
        }
    }

    pub(super) fn answer(&self, bucket: &str) -> Answer {
        let query = self
            .query
            .as_ref()
            .expect("a page is made by ListQuery::page");
        let encode = |text: &str| match query.is_url_encoded {
            true => utf8_percent_encode(text, LISTED)
                .to_string()
                .replace(' ', "+"),
            false => text.to_owned(),
        };
        let mut xml = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
        );
        element(&mut xml, "Name", bucket);
        element(&mut xml, "Prefix", &encode(&query.prefix));
        self.paging(&mut xml, query, &encode);
        element(&mut xml, "MaxKeys", &query.max_keys.to_string());
        if let Some(delimiter) = &query.delimiter {
            element(&mut xml, "Delimiter", &encode(delimiter));
        }
        if query.is_url_encoded {
            element(&mut xml, "EncodingType", "url");
        }
        element(
            &mut xml,
            "IsTruncated",
            if self.is_truncated { "true" } else { "false" },
        );
        for entry in &self.entries {
            entry.write(&mut xml, query.wants_restore_status, &encode);
        }
        for prefix in &self.prefixes {
            xml.push_str("<CommonPrefixes>");
            element(&mut xml, "Prefix", &encode(prefix));
            xml.push_str("</CommonPrefixes>");
        }
        xml.push_str("</ListBucketResult>");
        Answer::xml(xml)
    }

    fn paging(&self, xml: &mut String, query: &ListQuery, encode: &dyn Fn(&str) -> String) {
        let start_after = query.start_after.as_deref();
        if !query.is_v2 {
            element(xml, "Marker", &encode(start_after.unwrap_or_default()));
            if let Some(next) = &self.next_token {
                element(xml, "NextMarker", &encode(&next.last));
            }
            return;
        }
        if let Some(start_after) = start_after {
            element(xml, "StartAfter", &encode(start_after));
        }
        if let Some(token) = &query.token {
            element(xml, "ContinuationToken", &token.raw);
        }
        if let Some(next) = &self.next_token {
            element(xml, "NextContinuationToken", &next.raw);
        }
        element(xml, "KeyCount", &self.key_count.to_string());
    }
}

impl Entry {
    fn write(&self, xml: &mut String, wants_restore_status: bool, encode: &dyn Fn(&str) -> String) {
        let object = &self.object;
        xml.push_str("<Contents>");
        element(xml, "Key", &encode(&self.key));
        let modified_at = object
            .modified_at
            .format("%Y-%m-%dT%H:%M:%S.000Z")
            .to_string();
        element(xml, "LastModified", &modified_at);
        element(xml, "ETag", &format!("\"{}\"", object.etag));
        element(xml, "Size", &object.body.len().to_string());
        element(xml, "StorageClass", object.storage_class());
        if wants_restore_status && object.options.restored {
            xml.push_str("<RestoreStatus>");
            element(xml, "IsRestoreInProgress", "false");
            element(xml, "RestoreExpiryDate", "2038-01-01T00:00:00.000Z");
            xml.push_str("</RestoreStatus>");
        }
        xml.push_str("</Contents>");
    }
}
