//! What the server was asked: one record per request, in order of arrival, and counters.

use super::request::{Call, Operation};
use std::time::Duration;

/// One request and what came of it.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// What was asked for.
    pub operation: Operation,
    /// The method, such as `GET`.
    pub method: String,
    /// The bucket named by path or host.
    pub bucket: String,
    /// The key, of an object's request.
    pub key: Option<String>,
    /// Decoded query parameters, in the order sent.
    pub query: Vec<(String, String)>,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Time since the server's start.
    pub received_after: Duration,
    /// The status sent; absent while the request is worked on, or when nothing was sent.
    pub status: Option<u16>,
    /// Whether a fault touched it.
    pub is_faulted: bool,
}

impl RequestRecord {
    pub(super) fn new(call: &Call, received_after: Duration) -> Self {
        let headers = call
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        Self {
            operation: call.operation(),
            method: call.method.to_string(),
            bucket: call.bucket.clone(),
            key: call.key.clone(),
            query: call.query.clone(),
            headers,
            received_after,
            status: None,
            is_faulted: false,
        }
    }

    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// How often the server was asked for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// Listings.
    pub list: u64,
    /// `GetObject`.
    pub get: u64,
    /// `HeadObject`.
    pub head: u64,
    /// Everything else.
    pub other: u64,
    /// Requests that a fault touched.
    pub faulted: u64,
    /// The most requests that were worked on at one time.
    pub max_in_flight: u64,
}

#[derive(Default)]
pub(super) struct Log {
    first_id: u64,
    records: Vec<RequestRecord>,
    counts: RequestCounts,
    in_flight: u64,
}

impl Log {
    pub(super) fn begin(&mut self, record: RequestRecord) -> u64 {
        match record.operation {
            Operation::List => self.counts.list += 1,
            Operation::Get => self.counts.get += 1,
            Operation::Head => self.counts.head += 1,
            _ => self.counts.other += 1,
        }
        self.in_flight += 1;
        self.counts.max_in_flight = self.counts.max_in_flight.max(self.in_flight);
        self.records.push(record);
        self.first_id + self.records.len() as u64 - 1
    }

    pub(super) fn set_faulted(&mut self, id: u64) {
        self.counts.faulted += 1;
        if let Some(record) = self.record(id) {
            record.is_faulted = true;
        }
    }

    pub(super) fn set_status(&mut self, id: u64, status: u16) {
        if let Some(record) = self.record(id) {
            record.status = Some(status);
        }
    }

    pub(super) fn end(&mut self) {
        self.in_flight -= 1;
    }

    pub(super) fn records(&self) -> Vec<RequestRecord> {
        self.records.clone()
    }

    pub(super) fn counts(&self) -> RequestCounts {
        self.counts
    }

    pub(super) fn clear(&mut self) {
        self.first_id += self.records.len() as u64;
        self.records.clear();
        self.counts = RequestCounts {
            max_in_flight: self.in_flight,
            ..RequestCounts::default()
        };
    }

    fn record(&mut self, id: u64) -> Option<&mut RequestRecord> {
        let index = usize::try_from(id.checked_sub(self.first_id)?).ok()?;
        self.records.get_mut(index)
    }
}
