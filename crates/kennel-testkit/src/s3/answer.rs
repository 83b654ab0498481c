//! What the server says: headers, bodies and S3's error documents, before a fault may spoil them.

use bytes::Bytes;
use std::fmt::Write as _;

/// One complete answer; for a HEAD request `body` tells the length and is not sent.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub(super) fn xml(body: String) -> Self {
        Self::new(200, body).header("content-type", "application/xml")
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn set_header(&mut self, name: &str, value: impl Into<String>) {
        self.headers
            .retain(|(existing, _)| !existing.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.into()));
    }
}

/// An S3 error: its status, its code, its sentence, and what else the document and headers carry.
#[derive(Clone, Debug)]
pub struct ErrorAnswer {
    /// HTTP status.
    pub status: u16,
    /// S3's code, such as `SlowDown`.
    pub code: String,
    /// S3's sentence.
    pub message: String,
    /// Further headers, such as `retry-after` or `location`.
    pub headers: Vec<(String, String)>,
    /// Further elements of the document, such as `Region` or `BucketName`.
    pub details: Vec<(String, String)>,
}

impl ErrorAnswer {
    /// An error without further headers or elements.
    pub fn new(status: u16, code: &str, message: &str) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
            headers: Vec::new(),
            details: Vec::new(),
        }
    }

    /// 503 `SlowDown`, what S3 says when it throttles.
    pub fn slow_down() -> Self {
        Self::new(503, "SlowDown", "Please reduce your request rate.")
    }

    /// 500 `InternalError`.
    pub fn internal_error() -> Self {
        let message = "We encountered an internal error. Please try again.";
        Self::new(500, "InternalError", message)
    }

    /// 400 `RequestTimeout`, which S3 sends when a socket stood idle.
    pub fn request_timeout() -> Self {
        let message = "Your socket connection to the server was not read from or written to \
                       within the timeout period.";
        Self::new(400, "RequestTimeout", message)
    }

    /// 403 `AccessDenied`.
    pub fn access_denied() -> Self {
        Self::new(403, "AccessDenied", "Access Denied")
    }

    /// 400 `ExpiredToken`.
    pub fn expired_token() -> Self {
        Self::new(400, "ExpiredToken", "The provided token has expired.")
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds an element to the document.
    #[must_use]
    pub fn detail(mut self, name: &str, value: &str) -> Self {
        self.details.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds `retry-after`.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.header("retry-after", &seconds.to_string())
    }

    pub(super) fn document(&self) -> String {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
        element(&mut xml, "Code", &self.code);
        element(&mut xml, "Message", &self.message);
        for (name, value) in &self.details {
            element(&mut xml, name, value);
        }
        element(&mut xml, "RequestId", REQUEST_ID);
        element(&mut xml, "HostId", HOST_ID);
        xml.push_str("</Error>");
        xml
    }

    pub(super) fn answer(&self) -> Answer {
        let mut answer = Answer::xml(self.document());
        answer.status = self.status;
        answer.headers.extend(self.headers.iter().cloned());
        answer
    }
}

pub(super) const REQUEST_ID: &str = "TESTKIT000000001";
pub(super) const HOST_ID: &str = "testkit-host-id";

/// Appends `<name>text</name>`.
pub(super) fn element(xml: &mut String, name: &str, text: &str) {
    xml.push('<');
    xml.push_str(name);
    xml.push('>');
    escape(xml, text);
    xml.push_str("</");
    xml.push_str(name);
    xml.push('>');
}

/// Escapes as S3 does: control characters become character references, although XML 1.0 has no place for most of them.
fn escape(xml: &mut String, text: &str) {
    let is_special = |c: char| c.is_ascii_control() || matches!(c, '&' | '<' | '>' | '"' | '\'');
    if !text.contains(is_special) {
        xml.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\'' => xml.push_str("&#39;"),
            c if c.is_ascii_control() => {
                write!(xml, "&#x{:x};", u32::from(c)).expect("writing to a String cannot fail");
            }
            c => xml.push(c),
        }
    }
}
