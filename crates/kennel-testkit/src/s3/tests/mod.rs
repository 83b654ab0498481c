//! The server looked at from outside, through a plain socket: what is on the wire is what counts.

mod faults;
mod honest;

use super::request::Call;
use super::signature::{self, Credentials};
use super::*;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

const NOTHING_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn noon() -> DateTime<Utc> {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

fn start() -> S3Server {
    S3Server::start(S3Options {
        now: noon,
        ..S3Options::default()
    })
}

fn credentials(server: &S3Server) -> Credentials {
    let options = server.options();
    Credentials {
        access_key_id: options.access_key_id.clone(),
        secret_access_key: options.secret_access_key.clone(),
        session_token: options.session_token.clone(),
    }
}

/// A request as a test states it; the defaults are what the server accepts.
struct Request {
    method: &'static str,
    target: String,
    headers: BTreeMap<String, String>,
    unsigned_headers: Vec<(String, String)>,
    credentials: Option<Credentials>,
    signed_at: DateTime<Utc>,
    region: String,
}

/// What came back, and how the connection ended.
#[derive(Debug)]
struct Response {
    status: Option<u16>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
    is_reset: bool,
}

impl Response {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn elements(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let parts = self.text().split(&open).skip(1);
        parts
            .map(|part| part.split(&close).next().unwrap().to_owned())
            .collect()
    }

    fn element(&self, name: &str) -> String {
        self.elements(name).into_iter().next().unwrap_or_default()
    }
}

fn request(server: &S3Server, method: &'static str, target: &str) -> Request {
    Request {
        method,
        target: target.to_owned(),
        headers: BTreeMap::from([
            ("host".to_owned(), server.address().to_string()),
            ("x-amz-content-sha256".to_owned(), NOTHING_SHA256.to_owned()),
        ]),
        unsigned_headers: Vec::new(),
        credentials: Some(credentials(server)),
        signed_at: (server.options().now)(),
        region: server.options().region.clone(),
    }
}

impl Request {
    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    fn call(&self) -> Call {
        let mut builder = http::Request::builder()
            .method(self.method)
            .uri(&self.target);
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        Call::parse(&parts, NOTHING_SHA256.to_owned(), None).unwrap()
    }

    fn send(mut self, server: &S3Server) -> Response {
        let signed_at = self.signed_at.format("%Y%m%dT%H%M%SZ").to_string();
        self.headers.insert("x-amz-date".to_owned(), signed_at);
        if let Some(credentials) = self.credentials.clone() {
            if let Some(token) = &credentials.session_token {
                self.headers
                    .insert("x-amz-security-token".to_owned(), token.clone());
            }
            let authorization = signature::authorize(&self.call(), &credentials, &self.region);
            self.headers
                .insert("authorization".to_owned(), authorization);
        }
        let mut text = format!(
            "{} {} HTTP/1.1\r\nconnection: close\r\n",
            self.method, self.target
        );
        for (name, value) in self
            .headers
            .iter()
            .chain(self.unsigned_headers.iter().map(|(n, v)| (n, v)))
        {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        exchange(server, text.as_bytes())
    }
}

fn exchange(server: &S3Server, request: &[u8]) -> Response {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream.write_all(request).unwrap();
    let mut bytes = Vec::new();
    let is_reset = match stream.read_to_end(&mut bytes) {
        Ok(_) => false,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => true,
        Err(error) => panic!("{error}"),
    };
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        assert!(bytes.is_empty(), "half a head");
        return Response {
            status: None,
            headers: BTreeMap::new(),
            body: bytes,
            is_reset,
        };
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .ok();
    let headers = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Response {
        status,
        headers,
        body: bytes[end + 4..].to_vec(),
        is_reset,
    }
}

fn get(server: &S3Server, target: &str) -> Response {
    request(server, "GET", target).send(server)
}
