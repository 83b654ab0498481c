//! Are these the bytes that were promised? The strongest check that the answer allows.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use crc_fast::{CrcAlgorithm, Digest as CrcDigest};
use http::HeaderMap;
use kennel_cache::Sha256;
use md5::{Digest, Md5};

/// What an answer says about its content, and what was computed so far.
pub(crate) struct Verifier {
    promise: Promise,
    crc: Option<CrcDigest>,
    md5: Option<Md5>,
    sha1: Option<sha1::Sha1>,
}

enum Promise {
    /// A checksum of the whole object: algorithm, bytes.
    Crc {
        name: &'static str,
        expected: Vec<u8>,
    },
    Sha256 {
        expected: Vec<u8>,
    },
    Sha1 {
        expected: Vec<u8>,
    },
    /// The ETag is an MD5.
    Md5 {
        expected: Vec<u8>,
    },
    /// Only the length.
    Nothing,
}

/// The verdict on content.
pub(crate) enum Verdict {
    /// It is what was promised; by which check.
    Proved(&'static str),
    /// It is not.
    Wrong(String),
}

impl Verifier {
    /// Chooses by the headers of the answer that carries the content.
    pub(crate) fn new(headers: &HeaderMap, etag: &str) -> Self {
        let promise = promise(headers, etag);
        let crc = match &promise {
            Promise::Crc {
                name: "crc64nvme", ..
            } => Some(CrcDigest::new(CrcAlgorithm::Crc64Nvme)),
            Promise::Crc { name: "crc32c", .. } => Some(CrcDigest::new(CrcAlgorithm::Crc32Iscsi)),
            Promise::Crc { .. } => Some(CrcDigest::new(CrcAlgorithm::Crc32IsoHdlc)),
            _ => None,
        };
        let md5 = matches!(promise, Promise::Md5 { .. }).then(Md5::new);
        let sha1 = matches!(promise, Promise::Sha1 { .. }).then(sha1::Sha1::new);
        Self {
            promise,
            crc,
            md5,
            sha1,
        }
    }

    /// For a file: its length is all there is to check.
    pub(crate) fn of_nothing() -> Self {
        Self {
            promise: Promise::Nothing,
            crc: None,
            md5: None,
            sha1: None,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if let Some(crc) = &mut self.crc {
            crc.update(bytes);
        }
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some(sha1) = &mut self.sha1 {
            sha1.update(bytes);
        }
    }

    /// Compares; `sha256` is the hash of all bytes.
    pub(crate) fn finish(self, sha256: Sha256) -> Verdict {
        let verdict = |name: &'static str, expected: &[u8], found: &[u8]| {
            if expected == found {
                Verdict::Proved(name)
            } else {
                Verdict::Wrong(format!(
                    "its {name} is {}, the server promised {}",
                    hex::encode(found),
                    hex::encode(expected)
                ))
            }
        };
        match self.promise {
            Promise::Crc { name, expected } => {
                let crc = self
                    .crc
                    .map(|crc| crc.finalize())
                    .unwrap_or_default()
                    .to_be_bytes();
                let found = &crc[crc.len() - expected.len().min(crc.len())..];
                verdict(name, &expected, found)
            }
            Promise::Sha256 { expected } => verdict("sha256", &expected, &sha256.0),
            Promise::Sha1 { expected } => verdict(
                "sha1",
                &expected,
                &self.sha1.map(|h| h.finalize().to_vec()).unwrap_or_default(),
            ),
            Promise::Md5 { expected } => {
                let found = self
                    .md5
                    .map(|md5| md5.finalize().to_vec())
                    .unwrap_or_default();
                verdict("md5", &expected, &found)
            }
            Promise::Nothing => Verdict::Proved("length"),
        }
    }
}

fn promise(headers: &HeaderMap, etag: &str) -> Promise {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // A composite value is a checksum of the parts' checksums, whose sizes are not known here.
    let is_whole = text("x-amz-checksum-type").is_none_or(|kind| kind == "FULL_OBJECT");
    let checksum = |name: &str, size: usize| {
        let value = text(name).filter(|value| is_whole && !value.contains('-'))?;
        STANDARD
            .decode(value)
            .ok()
            .filter(|bytes| bytes.len() == size)
    };
    if let Some(expected) = checksum("x-amz-checksum-crc64nvme", 8) {
        return Promise::Crc {
            name: "crc64nvme",
            expected,
        };
    }
    if let Some(expected) = checksum("x-amz-checksum-sha256", 32) {
        return Promise::Sha256 { expected };
    }
    if let Some(expected) = checksum("x-amz-checksum-crc32c", 4) {
        return Promise::Crc {
            name: "crc32c",
            expected,
        };
    }
    if let Some(expected) = checksum("x-amz-checksum-crc32", 4) {
        return Promise::Crc {
            name: "crc32",
            expected,
        };
    }
    if let Some(expected) = checksum("x-amz-checksum-sha1", 20) {
        return Promise::Sha1 { expected };
    }
    // With a key of KMS or of the customer the ETag looks like an MD5 and is none; other servers than
    // S3 do not say how they encrypt, and their ETags are MD5s.
    let is_plain = text("x-amz-server-side-encryption").is_none_or(|how| how == "AES256")
        && text("x-amz-server-side-encryption-customer-algorithm").is_none();
    match hex::decode(etag) {
        Ok(expected) if expected.len() == 16 && is_plain => Promise::Md5 { expected },
        _ => Promise::Nothing,
    }
}

/// Looks at the ends of a file that should be Parquet or gzip: what was checked, or what is wrong.
pub(crate) fn shape(key: &str, file: &mut File) -> io::Result<Result<&'static str, String>> {
    let size = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    if key.ends_with(".parquet") {
        return parquet(file, size);
    }
    if key.ends_with(".gz") {
        return gzip(file, size);
    }
    Ok(Ok(""))
}

fn gzip(file: &mut File, size: u64) -> io::Result<Result<&'static str, String>> {
    // Header and trailer without anything between.
    if size < 18 {
        return Ok(Err(format!("{size} bytes are too few for gzip")));
    }
    let mut magic = [0; 2];
    file.read_exact(&mut magic)?;
    Ok(match magic {
        [0x1f, 0x8b] => Ok("+gzip"),
        _ => Err("it does not begin like gzip".into()),
    })
}

fn parquet(file: &mut File, size: u64) -> io::Result<Result<&'static str, String>> {
    const MAGIC: &[u8] = b"PAR1";
    if size < 12 {
        return Ok(Err(format!("{size} bytes are too few for Parquet")));
    }
    let mut head = [0; 12];
    file.read_exact(&mut head)?;
    if !head.starts_with(MAGIC) {
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let looks = match text.trim_start() {
            t if t.starts_with("<!doctype") || t.starts_with("<html") => {
                "; it looks like an HTML page"
            }
            t if t.starts_with("<?xml") || t.starts_with("<error") => {
                "; it looks like an XML error document"
            }
            _ => "",
        };
        return Ok(Err(format!("it does not begin like Parquet{looks}")));
    }
    let mut tail = [0; 8];
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut tail)?;
    let footer = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    Ok(match &tail[4..] {
        MAGIC if footer > 0 && footer + 12 <= size => Ok("+parquet"),
        MAGIC => Err(format!(
            "its footer of {footer} bytes does not fit into {size}"
        )),
        _ => Err("it does not end like Parquet: it is cut off".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn check(pairs: &[(&'static str, &str)], etag: &str, body: &[u8]) -> Verdict {
        let mut verifier = Verifier::new(&headers(pairs), etag);
        verifier.update(body);
        verifier.finish(Sha256::of(body))
    }

    const BODY: &[u8] = b"123456789";
    const MD5: &str = "25f9e794323b453885f5181f1b624d0b";

    #[test]
    fn each_checksum_proves_the_right_bytes_and_refuses_wrong_ones() {
        // Catalogue check values of "123456789" for each algorithm.
        for (name, value, by) in [
            ("x-amz-checksum-crc64nvme", "rosUhgp5mIg=", "crc64nvme"),
            ("x-amz-checksum-crc32", "y/Q5Jg==", "crc32"),
            ("x-amz-checksum-crc32c", "4waSgw==", "crc32c"),
            (
                "x-amz-checksum-sha1",
                "98O8HYCOBHMq32eZZczDTKeuNEE=",
                "sha1",
            ),
        ] {
            let verdict = check(&[(name, value)], "no-md5", BODY);
            assert!(
                matches!(verdict, Verdict::Proved(found) if found == by),
                "{name}"
            );
            assert!(
                matches!(
                    check(&[(name, value)], MD5, b"123456780"),
                    Verdict::Wrong(_)
                ),
                "{name}"
            );
        }
        let sha256 = STANDARD.encode(Sha256::of(BODY).0);
        let verdict = check(&[("x-amz-checksum-sha256", &sha256)], "", BODY);
        assert!(matches!(verdict, Verdict::Proved(by) if by == "sha256"));
        let verdict = check(&[("x-amz-checksum-sha256", &sha256)], "", b"wrong");
        assert!(matches!(verdict, Verdict::Wrong(_)));
    }

    #[test]
    fn an_etag_is_an_md5_unless_a_key_is_in_play() {
        assert!(matches!(check(&[], MD5, BODY), Verdict::Proved(by) if by == "md5"));
        assert!(matches!(check(&[], MD5, b"wrong"), Verdict::Wrong(_)));
        let kms = [("x-amz-server-side-encryption", "aws:kms")];
        assert!(matches!(check(&kms, MD5, b"wrong"), Verdict::Proved(by) if by == "length"));
        let own_key = [("x-amz-server-side-encryption-customer-algorithm", "AES256")];
        assert!(matches!(check(&own_key, MD5, b"wrong"), Verdict::Proved(by) if by == "length"));
        let plain = [("x-amz-server-side-encryption", "AES256")];
        assert!(matches!(check(&plain, MD5, b"wrong"), Verdict::Wrong(_)));
        assert!(
            matches!(check(&[], &format!("{MD5}-2"), b"wrong"), Verdict::Proved(by) if by == "length")
        );
        let composite = [
            ("x-amz-checksum-crc32", "y/Q5Jg==-3"),
            ("x-amz-checksum-type", "COMPOSITE"),
        ];
        assert!(
            matches!(check(&composite, "x-3", b"whatever"), Verdict::Proved(by) if by == "length")
        );
    }

    fn look(key: &str, bytes: &[u8]) -> Result<&'static str, String> {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, bytes).unwrap();
        shape(key, &mut file).unwrap()
    }

    #[test]
    fn what_is_not_parquet_is_seen() {
        let look = |bytes| look("a/x.parquet", bytes);
        assert_eq!(look(b"PAR1.\x01\x00\x00\x00PAR1"), Ok("+parquet"));
        for (bytes, said) in [
            (&b"PAR1\xff\x00\x00\x00PAR1"[..], "footer"),
            (b"PAR1\x00\x00\x00\x00PAR1", "footer"),
            (b"<html><body>sign in</body></html>", "HTML"),
            (b"<?xml version=\"1.0\"?><Error/>", "XML"),
            (b"PAR1 and then it is cut", "cut off"),
            (b"", "too few"),
        ] {
            assert!(look(bytes).unwrap_err().contains(said), "{said}");
        }
    }

    #[test]
    fn what_is_not_gzip_is_seen() {
        let look = |bytes| look("x.json.gz", bytes);
        assert_eq!(
            look(b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0"),
            Ok("+gzip")
        );
        assert!(look(b"{\"Records\": [          ]}").is_err());
        assert!(look(b"\x1f\x8b").is_err());
    }

    #[test]
    fn other_keys_may_hold_anything() {
        assert_eq!(look("x.csv", b""), Ok(""));
        assert_eq!(look("parquet", b"<html>"), Ok(""));
    }
}
