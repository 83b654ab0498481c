//! A client that fills buckets of servers other than ours, for contract runs: plain HTTP, one connection a request,
//! signed by the code that checks signatures here.

use super::request::Call;
use super::signature::{Credentials, UNRESERVED_AND_SLASH, authorize};
use super::wall_clock;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::utf8_percent_encode;
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The longest that a server may take to say anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Puts and deletes. Addresses are path-style, such as `http://127.0.0.1:8333/bucket/key`.
pub struct S3Client {
    authority: String,
    credentials: Credentials,
    region: String,
}

impl S3Client {
    /// For a server at `http://host:port`.
    ///
    /// # Panics
    /// When the endpoint is no plain HTTP address: a contract run cannot begin.
    pub fn new(
        endpoint_url: &str,
        access_key_id: &str,
        secret_access_key: &str,
        region: &str,
    ) -> Self {
        let authority = endpoint_url
            .strip_prefix("http://")
            .map(|rest| rest.trim_end_matches('/'))
            .unwrap_or_else(|| panic!("`{endpoint_url}` does not begin with http://"));
        Self {
            authority: authority.to_owned(),
            credentials: Credentials {
                access_key_id: access_key_id.to_owned(),
                secret_access_key: secret_access_key.to_owned(),
                session_token: None,
            },
            region: region.to_owned(),
        }
    }

    /// Makes a bucket; gives back the server's status.
    ///
    /// # Errors
    /// When the server cannot be talked to.
    pub fn create_bucket(&self, bucket: &str) -> io::Result<u16> {
        self.send(Method::PUT, bucket, None, &[])
    }

    /// Stores an object; gives back the server's status.
    ///
    /// # Errors
    /// When the server cannot be talked to.
    pub fn put(&self, bucket: &str, key: &str, body: &[u8]) -> io::Result<u16> {
        self.send(Method::PUT, bucket, Some(key), body)
    }

    /// Removes an object; gives back the server's status.
    ///
    /// # Errors
    /// When the server cannot be talked to.
    pub fn delete(&self, bucket: &str, key: &str) -> io::Result<u16> {
        self.send(Method::DELETE, bucket, Some(key), &[])
    }

    fn send(
        &self,
        method: Method,
        bucket: &str,
        key: Option<&str>,
        body: &[u8],
    ) -> io::Result<u16> {
        let mut raw_path = format!("/{bucket}");
        if let Some(key) = key {
            raw_path.push('/');
            raw_path.extend(utf8_percent_encode(key, UNRESERVED_AND_SLASH));
        }
        let body_sha256 = hex::encode(Sha256::digest(body));
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: &str| {
            let value = HeaderValue::from_str(value).map_err(io::Error::other)?;
            headers.insert(HeaderName::from_static(name), value);
            Ok::<_, io::Error>(())
        };
        set("host", &self.authority)?;
        set("x-amz-content-sha256", &body_sha256)?;
        set(
            "x-amz-date",
            &wall_clock().format("%Y%m%dT%H%M%SZ").to_string(),
        )?;
        let call = Call {
            method,
            raw_path,
            query: Vec::new(),
            headers,
            bucket: bucket.to_owned(),
            key: key.map(str::to_owned),
            body_sha256,
        };
        self.exchange(&call, body)
    }

    fn exchange(&self, call: &Call, body: &[u8]) -> io::Result<u16> {
        let mut request = format!("{} {} HTTP/1.1\r\n", call.method, call.raw_path);
        for (name, value) in &call.headers {
            let value = value.to_str().map_err(io::Error::other)?;
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        let authorization = authorize(call, &self.credentials, &self.region);
        let length = body.len();
        request.push_str(&format!(
            "authorization: {authorization}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        ));
        let mut stream = TcpStream::connect(&self.authority)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        // "HTTP/1.1 200 OK"
        let status = answer
            .get(9..12)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        status
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| io::Error::other("the answer has no status"))
    }
}
