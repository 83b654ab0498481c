//! Connections: hyper speaks HTTP until a fault takes the socket out of its hands.
//!
//! hyper would neither reset a connection nor send a wrong length. So the service leaves a script and fails; hyper then
//! gives the socket back with nothing written, and the script is played by hand.

use super::answer::Answer;
use super::service::Service;
use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

/// What becomes of an answer.
pub(super) enum Reply {
    /// hyper sends it.
    Whole { answer: Answer, is_head: bool },
    /// It is sent by hand.
    Scripted(Script),
}

/// Bytes, pauses, and how the connection ends.
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    pub(super) ending: Ending,
}

pub(super) enum Step {
    Send(Bytes),
    Wait(Duration),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    Fin,
    Reset,
}

impl Script {
    /// Ends without a byte.
    pub(super) fn silent(ending: Ending) -> Self {
        Self {
            steps: Vec::new(),
            ending,
        }
    }
}

/// The status line and headers, ready to send.
pub(super) fn head(answer: &Answer) -> Bytes {
    let reason = http::StatusCode::from_u16(answer.status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Unknown");
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", answer.status);
    for (name, value) in &answer.headers {
        write!(head, "{name}: {value}\r\n").expect("writing to a String cannot fail");
    }
    head.push_str("\r\n");
    head.into()
}

/// A body in two chunks and the end mark, as `Transfer-Encoding: chunked` wants them.
pub(super) fn chunked(body: &Bytes) -> Bytes {
    let mut bytes = BytesMut::new();
    let (first, second) = body.split_at(body.len() / 2);
    for chunk in [first, second]
        .into_iter()
        .filter(|chunk| !chunk.is_empty())
    {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes.freeze()
}

/// Takes connections until the runtime ends.
pub(super) async fn accept(listener: TcpListener, service: Arc<Service>) {
    loop {
        // A client that is gone before it was accepted, or a moment without file descriptors, ends nothing.
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, Arc::clone(&service)))),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

async fn serve(stream: TcpStream, service: Arc<Service>) {
    // Without this a small answer waits for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let left = Arc::new(Mutex::new(None));
    let handler = service_fn(|request| {
        let (service, left) = (Arc::clone(&service), Arc::clone(&left));
        async move {
            match service.reply(request).await {
                Reply::Whole { answer, is_head } => to_response(answer, is_head),
                Reply::Scripted(script) => {
                    *left.lock().unwrap_or_else(PoisonError::into_inner) = Some(script);
                    Err(io::Error::other("the socket is taken"))
                }
            }
        }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), handler);
    // Errors of a connection are the client's to notice: a test looks at the client.
    let _ = (&mut connection).await;
    let script = left.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(script) = script {
        let _ = play(connection.into_parts().io.into_inner(), script).await;
    }
}

fn to_response(mut answer: Answer, is_head: bool) -> io::Result<http::Response<Full<Bytes>>> {
    let mut response = http::Response::builder().status(answer.status);
    if is_head {
        answer.set_header("content-length", answer.body.len().to_string());
        answer.body = Bytes::new();
    }
    for (name, value) in answer.headers {
        response = response.header(name, value.into_bytes());
    }
    response
        .body(Full::new(answer.body))
        .map_err(io::Error::other)
}

async fn play(mut stream: TcpStream, script: Script) -> io::Result<()> {
    for step in script.steps {
        match step {
            Step::Send(bytes) => stream.write_all(&bytes).await?,
            Step::Wait(pause) => tokio::time::sleep(pause).await,
        }
    }
    match script.ending {
        Ending::Fin => stream.shutdown().await,
        Ending::Reset => {
            // A reset throws away what is still to be sent: give the bytes before it time to leave.
            tokio::time::sleep(Duration::from_millis(10)).await;
            stream.set_zero_linger()
        }
    }
}
