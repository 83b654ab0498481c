//! An S3 server inside the test process: real sockets, real signatures, and every fault on cue.
//!
//! It listens on a free loopback port and runs on a thread of its own, so tests without a runtime and child processes
//! can use it. It reads only: objects are put through [`Bucket`]. Signatures are checked by code that shares nothing
//! with any client. Where it differs from S3 it is stricter, never laxer.
//!
//! ```
//! use kennel_testkit::s3::{Fault, FaultKind, Matcher, S3Options, S3Server};
//!
//! let server = S3Server::start(S3Options::default());
//! let bucket = server.bucket("inbox");
//! bucket.put("hive/report.parquet", "PAR1…PAR1");
//! server.fault(Fault { on: Matcher::get("*.parquet").times(2), kind: FaultKind::slow_down() });
//! server.fault(Fault { on: Matcher::list_page(2), kind: FaultKind::TruncatedWithoutToken });
//! // … run the client against server.endpoint_url() and server.url("inbox") …
//! assert_eq!(server.counts().get, 0);
//! ```

mod answer;
mod bucket;
mod client;
mod fault;
mod listing;
mod log;
mod object;
mod request;
mod service;
mod signature;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod wire;

pub use answer::ErrorAnswer;
pub use bucket::Bucket;
pub use client::S3Client;
pub use fault::{Change, Fault, FaultKind, FaultPlan, Matcher};
pub use log::{RequestCounts, RequestRecord};
pub use request::Operation;
pub use store::{Checksum, Encryption, Generated, ObjectOptions};

use chrono::{DateTime, Utc};
use fault::ArmedFault;
use service::Service;
use signature::{Credentials, Keyring};
use state::{Inner, State};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How the server behaves. The default asks for signatures with made-up keys in `us-east-1`.
#[derive(Clone)]
pub struct S3Options {
    /// The access key id that clients must use.
    pub access_key_id: String,
    /// The secret that belongs to it.
    pub secret_access_key: String,
    /// The session token that must come with it.
    pub session_token: Option<String>,
    /// The region that requests must be signed for.
    pub region: String,
    /// Whether unsigned and wrongly signed requests are refused.
    pub require_signatures: bool,
    /// The domain of virtual-host style: with `localhost`, the host `inbox.localhost` means bucket `inbox`.
    pub virtual_host_domain: Option<String>,
    /// How long each request waits before it is looked at.
    pub latency: Duration,
    /// The server's clock.
    pub now: fn() -> DateTime<Utc>,
}

impl Default for S3Options {
    fn default() -> Self {
        Self {
            access_key_id: "AKIDTESTKIT".to_owned(),
            secret_access_key: "testkit-secret".to_owned(),
            session_token: None,
            region: "us-east-1".to_owned(),
            require_signatures: true,
            virtual_host_domain: None,
            latency: Duration::ZERO,
            now: wall_clock,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "clients sign with the real time, so the server that checks them has to know it"
)]
fn wall_clock() -> DateTime<Utc> {
    Utc::now()
}

/// A running server; it stops when dropped, and cuts what connections are left.
pub struct S3Server {
    state: Arc<State>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl S3Server {
    /// Starts a server on a free loopback port.
    ///
    /// # Panics
    /// When no port or thread can be had: no test could go on.
    pub fn start(options: S3Options) -> Self {
        let current = Credentials {
            access_key_id: options.access_key_id.clone(),
            secret_access_key: options.secret_access_key.clone(),
            session_token: options.session_token.clone(),
        };
        let keyring = Keyring {
            current,
            expired: Vec::new(),
        };
        let inner = Inner {
            keyring,
            latency: options.latency,
            ..Inner::default()
        };
        let state = Arc::new(State {
            options,
            started: Instant::now(),
            inner: Mutex::new(inner),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let (stop, stopped) = oneshot::channel();
        let service = Arc::new(Service {
            state: Arc::clone(&state),
        });
        let thread = std::thread::Builder::new()
            .name("testkit-s3".to_owned())
            .spawn(move || run(listener, service, stopped).expect("a runtime for the S3 server"))
            .expect("a thread for the S3 server");
        Self {
            state,
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Where the server listens, such as `http://127.0.0.1:41234`.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same as an address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The options that the server was started with.
    pub fn options(&self) -> &S3Options {
        &self.state.options
    }

    /// What a child process needs in its environment to reach the server and be let in.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let options = self.options();
        let mut variables = vec![
            ("AWS_ACCESS_KEY_ID", options.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", options.secret_access_key.clone()),
            ("AWS_REGION", options.region.clone()),
            ("AWS_ENDPOINT_URL_S3", self.endpoint_url()),
        ];
        variables.extend(
            options
                .session_token
                .clone()
                .map(|token| ("AWS_SESSION_TOKEN", token)),
        );
        variables
    }

    /// A source URL, `s3://name`.
    pub fn url(&self, bucket: &str) -> String {
        format!("s3://{bucket}")
    }

    /// A handle on a bucket, which is made if it is not there.
    pub fn bucket(&self, name: &str) -> Bucket {
        self.state
            .lock()
            .buckets
            .entry(name.to_owned())
            .or_default();
        Bucket {
            state: Arc::clone(&self.state),
            name: name.to_owned(),
        }
    }

    /// A bucket holding the files below a folder, see [`Bucket::put_folder`].
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn serve_folder(&self, bucket: &str, folder: &Path) -> io::Result<Bucket> {
        let bucket = self.bucket(bucket);
        bucket.put_folder(folder)?;
        Ok(bucket)
    }

    /// Takes other credentials from now on; the ones before are answered with `ExpiredToken`.
    pub fn rotate_credentials(
        &self,
        access_key_id: &str,
        secret_access_key: &str,
        session_token: Option<&str>,
    ) {
        let next = Credentials {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: secret_access_key.to_owned(),
            session_token: session_token.map(str::to_owned),
        };
        let keyring = &mut self.state.lock().keyring;
        let last = std::mem::replace(&mut keyring.current, next);
        keyring.expired.push(last);
    }

    /// Arms a fault.
    pub fn fault(&self, fault: Fault) {
        self.state.lock().faults.push(ArmedFault::new(fault));
    }

    /// Sends faults by chance.
    pub fn fault_plan(&self, plan: FaultPlan) {
        self.state.lock().plan = Some(plan);
    }

    /// Disarms all faults, those by chance too.
    pub fn clear_faults(&self) {
        let mut inner = self.state.lock();
        inner.faults.clear();
        inner.plan = None;
    }

    /// Lets each request wait from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.state.lock().latency = latency;
    }

    /// All requests since the start or the last [`S3Server::clear_requests`], in order of arrival.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.state.lock().log.records()
    }

    /// How often the server was asked, over the same time.
    pub fn counts(&self) -> RequestCounts {
        self.state.lock().log.counts()
    }

    /// Forgets requests and counts.
    pub fn clear_requests(&self) {
        self.state.lock().log.clear();
    }

    /// Waits until the counts are as wished, so that a test can act in the middle of a run; false when `bound` passes.
    pub fn wait_until(&self, wished: impl Fn(RequestCounts) -> bool, bound: Duration) -> bool {
        let started = Instant::now();
        loop {
            if wished(self.counts()) {
                return true;
            }
            if started.elapsed() >= bound {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    listener: TcpListener,
    service: Arc<Service>,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::select! {
            () = wire::accept(listener, service) => {}
            _ = stopped => {}
        }
        Ok(())
    })
}
