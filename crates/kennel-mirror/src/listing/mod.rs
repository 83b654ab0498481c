//! ListObjectsV2, read and checked page by page: what is no listing is an error, never an empty one.

mod page;

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::{sync::mpsc, task::JoinSet};

use self::page::{NoPage, Page, parse};
use crate::{
    MirrorError,
    ahead::pieces,
    transport::{Ask, Failed, Transport},
};

/// Pages read ahead while the one before is looked at.
const PAGES_AHEAD: usize = 2;
/// A page of 1,000 keys of 1,024 bytes each, encoded, is about 4 MB.
const LONGEST_PAGE: usize = 32 * 1024 * 1024;
/// Asks whether archived objects have a copy that can be read.
const ATTRIBUTES: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-amz-optional-object-attributes"),
    HeaderValue::from_static("RestoreStatus"),
);

/// An object as its source lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteObject {
    /// The key: any text.
    pub key: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// ETag, without quotes.
    pub etag: String,
    /// `LastModified`.
    pub modified_at: DateTime<Utc>,
    /// Storage class, if listed.
    pub storage_class: Option<String>,
    /// Whether an archived object has a copy that can be read.
    pub is_restored: bool,
    /// Version id, if known.
    pub version_id: Option<String>,
}

/// All objects whose keys begin with `prefix`, ascending by the bytes of their keys.
pub(crate) fn list(
    transport: Arc<Transport>,
    prefix: &str,
    start_after: Option<&str>,
) -> impl Stream<Item = Result<RemoteObject, MirrorError>> + Send + use<> {
    let lister = Lister::new(transport, prefix, start_after, None);
    // The next page is on its way while this one is compared with the manifest.
    stream::once(async move { lister.run_ahead() })
        .flatten()
        .map_ok(|page| stream::iter(page.objects.into_iter().map(Ok)))
        .try_flatten()
}

/// The folders directly below `prefix`.
pub(crate) async fn list_folders(
    transport: Arc<Transport>,
    prefix: &str,
) -> Result<Vec<String>, MirrorError> {
    let mut lister = Lister::new(transport, prefix, None, Some("/"));
    let mut folders = Vec::new();
    while let Some(page) = lister.next().await? {
        folders.extend(page.folders);
    }
    Ok(folders)
}

/// One listing under way.
struct Lister {
    transport: Arc<Transport>,
    prefix: String,
    start_after: Option<String>,
    delimiter: Option<&'static str>,
    /// Tokens used so far: one that comes again would lead round in circles.
    tokens: HashSet<String>,
    token: Option<String>,
    last_key: Option<String>,
    is_done: bool,
}

impl Lister {
    fn new(
        transport: Arc<Transport>,
        prefix: &str,
        start_after: Option<&str>,
        delimiter: Option<&'static str>,
    ) -> Self {
        let start_after = start_after.map(str::to_owned);
        Self {
            transport,
            prefix: prefix.to_owned(),
            last_key: start_after.clone(),
            start_after,
            delimiter,
            tokens: HashSet::new(),
            token: None,
            is_done: false,
        }
    }

    /// The pages, read by a task of their own, which ends when nobody wants them any more.
    fn run_ahead(mut self) -> impl Stream<Item = Result<Page, MirrorError>> + Send {
        let (sender, receiver) = mpsc::channel(PAGES_AHEAD);
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let page = self.next().await;
                let is_last = !matches!(page, Ok(Some(_)));
                if sender.send(page).await.is_err() || is_last {
                    return;
                }
            }
        });
        pieces(task, receiver)
    }

    fn place(&self) -> String {
        let prefix = self.prefix.escape_debug();
        format!("s3://{}/{prefix}", self.transport.bucket())
    }

    /// The next page; `None` after the last.
    async fn next(&mut self) -> Result<Option<Page>, MirrorError> {
        if self.is_done {
            return Ok(None);
        }
        let page = self.fetch().await?;
        if let Err(what) = self.check(&page) {
            let place = self.place();
            return Err(MirrorError::Listing { place, what });
        }
        if let Some(last) = page.objects.last() {
            self.last_key = Some(last.key.clone());
        }
        self.token.clone_from(&page.next_token);
        self.is_done = page.next_token.is_none();
        Ok(Some(page))
    }

    /// Keys begin with the prefix, ascend strictly, follow those of the page before, and lead on.
    fn check(&mut self, page: &Page) -> Result<(), String> {
        let mut last = self.last_key.as_deref();
        for object in &page.objects {
            let key = object.key.as_str();
            if !key.starts_with(&self.prefix) {
                return Err(format!(
                    "key `{}` does not begin with the prefix",
                    key.escape_debug()
                ));
            }
            if last.is_some_and(|last| key <= last) {
                return Err(format!(
                    "key `{}` is out of order or listed twice",
                    key.escape_debug()
                ));
            }
            last = Some(key);
        }
        let is_foreign = |folder: &&String| !folder.starts_with(&self.prefix);
        if let Some(folder) = page.folders.iter().find(is_foreign) {
            return Err(format!(
                "folder `{}` does not begin with the prefix",
                folder.escape_debug()
            ));
        }
        if let Some(token) = &page.next_token
            && !self.tokens.insert(token.clone())
        {
            return Err("its continuation token came before: it would never end".into());
        }
        Ok(())
    }

    async fn fetch(&self) -> Result<Page, MirrorError> {
        let mut query = vec![("list-type", "2"), ("encoding-type", "url")];
        if let Some(token) = &self.token {
            query.push(("continuation-token", token));
        } else if let Some(start_after) = &self.start_after {
            query.push(("start-after", start_after));
        }
        if let Some(delimiter) = self.delimiter {
            query.push(("delimiter", delimiter));
        }
        if !self.prefix.is_empty() {
            query.push(("prefix", &self.prefix));
        }
        let ask = Ask {
            method: Method::GET,
            key: "",
            query: &query,
            headers: HeaderMap::from_iter([ATTRIBUTES]),
            action: "cannot list",
            place: self.place(),
        };
        let mut attempts = self.transport.attempts();
        loop {
            match self.fetch_once(&ask).await {
                Ok(page) => return Ok(page),
                Err(failed) => attempts.after(failed, &ask, |_, _| {}).await?,
            }
        }
    }

    /// Cut in the middle, a page is worth nothing: it is read whole or asked for again.
    async fn fetch_once(&self, ask: &Ask<'_>) -> Result<Page, Failed> {
        let mut answer = self.transport.send_once(ask).await?;
        let body = answer.whole(LONGEST_PAGE).await?;
        parse(&answer.headers, &body).map_err(|no_page| match no_page {
            NoPage::Broken(what) => Failed::again(what),
            NoPage::Refused(refusal) => self.transport.failed(ask, refusal),
            NoPage::Nonsense(what) => Failed::Final(MirrorError::Listing {
                place: self.place(),
                what,
            }),
        })
    }
}
