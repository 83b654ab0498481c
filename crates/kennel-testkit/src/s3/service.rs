//! One request after another: log it, let faults at it, check its signature, answer it, let faults at the answer.

use super::answer::{Answer, ErrorAnswer, HOST_ID, REQUEST_ID};
use super::fault::{FaultKind, Sighting};
use super::listing::{self, ListQuery, Page};
use super::log::RequestRecord;
use super::object::{self, Bends};
use super::request::{Call, Operation};
use super::signature;
use super::state::{Inner, State};
use super::wire::{self, Ending, Reply, Script, Step};
use super::{Bucket, answer};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

const LOGIN_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\
    <body><form action=\"/login\"><input name=\"user\"></form></body></html>\n";

/// The server's side of one request; shared by all connections.
pub(super) struct Service {
    pub(super) state: Arc<State>,
}

/// Counts a request as worked on, also when its client goes away.
struct InFlight<'a>(&'a State);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.lock().log.end();
    }
}

impl Service {
    pub(super) async fn reply(&self, request: http::Request<Incoming>) -> Reply {
        let (parts, body) = request.into_parts();
        let is_head = parts.method == http::Method::HEAD;
        let Ok(body) = body.collect().await else {
            return Reply::Scripted(Script::silent(Ending::Fin));
        };
        let body_sha256 = hex::encode(Sha256::digest(body.to_bytes()));
        let domain = self.state.options.virtual_host_domain.as_deref();
        let call = match Call::parse(&parts, body_sha256, domain) {
            Ok(call) => call,
            Err(error) => {
                return Reply::Whole {
                    answer: finish(error.answer()),
                    is_head,
                };
            }
        };
        let (id, faults, latency) = self.begin(&call);
        let _in_flight = InFlight(&self.state);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        for fault in &faults {
            self.prepare(&call, fault).await;
        }
        let reply = self.decide(&call, &faults, is_head);
        let status = match &reply {
            Reply::Whole { answer, .. } => Some(answer.status),
            Reply::Scripted(script) => script.steps.first().and_then(|step| match step {
                Step::Send(head) => std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok(),
                Step::Wait(_) => None,
            }),
        };
        if let Some(status) = status {
            self.state.lock().log.set_status(id, status);
        }
        reply
    }

    /// Logs a request and finds the faults that it meets.
    fn begin(&self, call: &Call) -> (u64, Vec<FaultKind>, Duration) {
        let operation = call.operation();
        let mut inner = self.state.lock();
        let id = inner
            .log
            .begin(RequestRecord::new(call, self.state.started.elapsed()));
        let Inner {
            buckets,
            faults,
            plan,
            log,
            latency,
            ..
        } = &mut *inner;
        let store = buckets.get(&call.bucket);
        let object = call.key.as_ref().and_then(|key| store?.get(key));
        let sighting = Sighting {
            operation,
            key: call
                .key
                .as_deref()
                .or(call.query("prefix"))
                .unwrap_or_default(),
            page: if operation == Operation::List {
                listing::page_number(call)
            } else {
                0
            },
            has_range: call.header("range").is_some(),
            size_bytes: object.map_or(0, |object| object.body.len()),
        };
        let mut met: Vec<FaultKind> = faults
            .iter_mut()
            .filter_map(|fault| fault.meet(&sighting))
            .collect();
        met.extend(plan.as_mut().and_then(|plan| plan.meet(&sighting)));
        if !met.is_empty() {
            log.set_faulted(id);
        }
        (id, met, *latency)
    }

    /// The part of a fault that happens before the answer is thought of.
    async fn prepare(&self, call: &Call, fault: &FaultKind) {
        let bucket = Bucket {
            state: Arc::clone(&self.state),
            name: call.bucket.clone(),
        };
        match (fault, &call.key) {
            (FaultKind::Delay(pause), _) => tokio::time::sleep(*pause).await,
            (FaultKind::Replace(body), Some(key)) => {
                bucket.try_replace(key, body.clone());
            }
            (FaultKind::Delete, Some(key)) => bucket.delete(key),
            (FaultKind::Before(change), _) => (change.0)(&bucket),
            _ => {}
        }
    }

    fn decide(&self, call: &Call, faults: &[FaultKind], is_head: bool) -> Reply {
        for fault in faults {
            match fault {
                FaultKind::Status(error) => {
                    return Reply::Whole {
                        answer: finish(error.answer()),
                        is_head,
                    };
                }
                FaultKind::CloseBeforeHeaders => {
                    return Reply::Scripted(Script::silent(Ending::Fin));
                }
                FaultKind::ResetBeforeHeaders => {
                    return Reply::Scripted(Script::silent(Ending::Reset));
                }
                _ => {}
            }
        }
        let answer = self
            .answer(call, faults)
            .unwrap_or_else(|error| error.answer());
        let answer = faults.iter().fold(finish(answer), spoil);
        match faults
            .iter()
            .find_map(|fault| script(&answer, fault, is_head))
        {
            Some(script) => Reply::Scripted(script),
            None => Reply::Whole { answer, is_head },
        }
    }

    /// The honest answer, but for the bends that faults ask for.
    fn answer(&self, call: &Call, faults: &[FaultKind]) -> Result<Answer, ErrorAnswer> {
        let inner = self.state.lock();
        let options = &self.state.options;
        let region = options.region.as_str();
        let operation = call.operation();
        let store = inner.buckets.get(&call.bucket);
        let bucket_region = store
            .and_then(|store| store.region.as_deref())
            .unwrap_or(region);
        let signed_region = if options.require_signatures {
            let regions = [bucket_region, region];
            signature::verify(call, &inner.keyring, &regions, (options.now)())?
        } else {
            bucket_region.to_owned()
        };
        if operation == Operation::Other {
            let message = "A header or query you provided implies functionality that is not \
                           implemented";
            return Err(ErrorAnswer::new(501, "NotImplemented", message));
        }
        let Some(store) = store else {
            let message = "The specified bucket does not exist";
            return Err(
                ErrorAnswer::new(404, "NoSuchBucket", message).detail("BucketName", &call.bucket)
            );
        };
        if signed_region != bucket_region && operation != Operation::Location {
            return Err(moved(&call.bucket, bucket_region));
        }
        let pays = call
            .header("x-amz-request-payer")
            .is_some_and(|payer| payer == "requester");
        if store.is_requester_pays && !pays {
            return Err(ErrorAnswer::access_denied());
        }
        let mut answer = match operation {
            Operation::HeadBucket => {
                Answer::new(200, "").header("x-amz-bucket-region", bucket_region)
            }
            Operation::Location => location(bucket_region),
            Operation::List => {
                let query = ListQuery::parse(call)?;
                let is_again = faults
                    .iter()
                    .any(|kind| matches!(kind, FaultKind::PageAgain));
                let query = if is_again { query.restarted() } else { query };
                let mut page = query.page(store);
                faults.iter().for_each(|fault| bend_page(&mut page, fault));
                page.answer(&call.bucket)
            }
            _ => {
                let key = call.key.as_deref().unwrap_or_default();
                let object = store.get(key).ok_or_else(|| {
                    ErrorAnswer::new(404, "NoSuchKey", "The specified key does not exist.")
                        .detail("Key", key)
                })?;
                object::read(call, &object, bends(faults))
            }
        };
        if store.is_requester_pays {
            answer.set_header("x-amz-request-charged", "requester");
        }
        Ok(answer)
    }
}

fn moved(bucket: &str, region: &str) -> ErrorAnswer {
    let message = "The bucket you are attempting to access must be addressed using the specified \
                   endpoint. Please send all future requests to this endpoint.";
    ErrorAnswer::new(301, "PermanentRedirect", message)
        .detail("Endpoint", &format!("{bucket}.s3.{region}.amazonaws.com"))
        .detail("Bucket", bucket)
        .header("x-amz-bucket-region", region)
}

fn location(region: &str) -> Answer {
    // The oldest region has no name here.
    let name = if region == "us-east-1" { "" } else { region };
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    answer::element(&mut xml, "LocationConstraint", name);
    Answer::xml(xml)
}

fn finish(mut answer: Answer) -> Answer {
    answer.set_header("server", "AmazonS3");
    answer.set_header("x-amz-request-id", REQUEST_ID);
    answer.set_header("x-amz-id-2", HOST_ID);
    answer
}

fn bends(faults: &[FaultKind]) -> Bends {
    let mut bends = Bends::default();
    for fault in faults {
        match fault {
            FaultKind::IgnoreRange => bends.ignore_range = true,
            FaultKind::IgnoreConditions => bends.ignore_conditions = true,
            FaultKind::ShiftRange(by) => bends.shift_range = *by,
            _ => {}
        }
    }
    bends
}

fn bend_page(page: &mut Page, fault: &FaultKind) {
    match fault {
        FaultKind::SameToken => page.repeat_token(),
        FaultKind::TruncatedWithoutToken => {
            page.is_truncated = true;
            page.next_token = None;
        }
        FaultKind::ReversedKeys => page.entries.reverse(),
        FaultKind::DuplicateKey => {
            page.entries.extend(page.entries.last().cloned());
            page.key_count += 1;
        }
        FaultKind::KeyCount(by) => page.key_count += by,
        FaultKind::MissingKey if !page.entries.is_empty() => {
            page.entries.remove(0);
            page.key_count -= 1;
        }
        _ => {}
    }
}

/// Faults that still leave an answer which hyper can send.
fn spoil(mut answer: Answer, fault: &FaultKind) -> Answer {
    match fault {
        FaultKind::ErrorWithStatus200(error) => {
            answer = finish(error.answer());
            answer.status = 200;
        }
        FaultKind::Html => {
            answer = Answer::new(200, LOGIN_PAGE).header("content-type", "text/html");
        }
        FaultKind::Empty => answer = Answer::new(200, ""),
        FaultKind::Body(body) => answer.body = body.clone(),
        FaultKind::FlipByte(at) => {
            let mut body = answer.body.to_vec();
            let last = body.len().saturating_sub(1);
            if let Some(byte) = body.get_mut((*at).min(last)) {
                *byte ^= 0x01;
            }
            answer.body = body.into();
        }
        FaultKind::Shorten(length) => answer.body.truncate(*length),
        _ => {}
    }
    answer
}

/// Faults that hyper would not commit.
fn script(answer: &Answer, fault: &FaultKind, is_head: bool) -> Option<Script> {
    let body = if is_head {
        Bytes::new()
    } else {
        answer.body.clone()
    };
    let length = answer.body.len();
    let mut answer = answer.clone();
    answer.set_header("content-length", length.to_string());
    let cut = |after: usize| body.slice(..after.min(body.len().saturating_sub(1)));
    let (steps, ending) = match fault {
        FaultKind::CloseAfter(after) => (vec![Step::Send(cut(*after))], Ending::Fin),
        FaultKind::ResetAfter(after) => (vec![Step::Send(cut(*after))], Ending::Reset),
        FaultKind::ContentLength(by) => {
            let wrong = (length as u64).saturating_add_signed(*by);
            answer.set_header("content-length", wrong.to_string());
            (vec![Step::Send(body)], Ending::Fin)
        }
        FaultKind::Chunked => {
            answer.headers.retain(|(name, _)| name != "content-length");
            answer.set_header("transfer-encoding", "chunked");
            answer.set_header("connection", "close");
            let body = if is_head { body } else { wire::chunked(&body) };
            (vec![Step::Send(body)], Ending::Fin)
        }
        FaultKind::CloseDelimited => {
            answer.headers.retain(|(name, _)| name != "content-length");
            answer.set_header("connection", "close");
            (vec![Step::Send(body)], Ending::Fin)
        }
        FaultKind::Trickle {
            bytes,
            pause,
            bound,
        } => (trickle(&body, *bytes, *pause, *bound), Ending::Reset),
        FaultKind::Stall { after, bound } => (
            vec![Step::Send(cut(*after)), Step::Wait(*bound)],
            Ending::Reset,
        ),
        _ => return None,
    };
    let head = Step::Send(wire::head(&answer));
    Some(Script {
        steps: std::iter::once(head).chain(steps).collect(),
        ending,
    })
}

fn trickle(body: &Bytes, bytes: usize, pause: Duration, bound: Duration) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut spent = Duration::ZERO;
    for start in (0..body.len()).step_by(bytes.max(1)) {
        if spent >= bound {
            break;
        }
        let end = start.saturating_add(bytes.max(1)).min(body.len());
        steps.push(Step::Send(body.slice(start..end)));
        steps.push(Step::Wait(pause));
        spent += pause;
    }
    steps
}
