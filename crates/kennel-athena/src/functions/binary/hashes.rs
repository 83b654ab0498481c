//! Digests, checksums and keyed digests of bytes.

use std::sync::Arc;

use datafusion::{
    arrow::array::ArrayRef, common::exec_datafusion_err, error::Result, logical_expr::ScalarUDF,
};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::spooky;
use crate::functions::scalar::{Call, Kind, Spec, bigint, varbinary};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const BYTES: &[Kind] = &[Kind::Binary];
    const KEYED: &[Kind] = &[Kind::Binary, Kind::Binary];
    /// A keyed digest of argument 0 by the key in argument 1.
    macro_rules! keyed {
        ($digest:ty) => {
            |call| {
                let (bytes, keys) = (call.bytes(0), call.bytes(1));
                call.to_bytes(|row| {
                    let mut mac = Hmac::<$digest>::new_from_slice(keys.value(row))
                        .map_err(|error| exec_datafusion_err!("{error}"))?;
                    mac.update(bytes.value(row));
                    Ok(Some(mac.finalize().into_bytes()))
                })
            }
        };
    }
    [
        Spec::new("md5", BYTES, varbinary, |call| {
            digest(call, |bytes| Md5::digest(bytes).to_vec())
        }),
        Spec::new("sha1", BYTES, varbinary, |call| {
            digest(call, |bytes| Sha1::digest(bytes).to_vec())
        }),
        Spec::new("sha256", BYTES, varbinary, |call| {
            digest(call, |bytes| Sha256::digest(bytes).to_vec())
        }),
        Spec::new("sha512", BYTES, varbinary, |call| {
            digest(call, |bytes| Sha512::digest(bytes).to_vec())
        }),
        Spec::new("xxhash64", BYTES, varbinary, |call| {
            digest(call, |bytes| {
                twox_hash::XxHash64::oneshot(0, bytes)
                    .to_be_bytes()
                    .to_vec()
            })
        }),
        Spec::new("murmur3", BYTES, varbinary, |call| {
            digest(call, |bytes| murmur3(bytes).to_vec())
        }),
        Spec::new("spooky_hash_v2_32", BYTES, varbinary, |call| {
            digest(call, |bytes| {
                let low = spooky::hash64(bytes) as u32;
                low.to_be_bytes().to_vec()
            })
        }),
        Spec::new("spooky_hash_v2_64", BYTES, varbinary, |call| {
            digest(call, |bytes| spooky::hash64(bytes).to_be_bytes().to_vec())
        }),
        Spec::new("crc32", BYTES, bigint, |call| {
            let bytes = call.bytes(0);
            let algorithm = crc_fast::CrcAlgorithm::Crc32IsoHdlc;
            call.to_integers(|row| {
                Ok(i64::try_from(crc_fast::checksum(algorithm, bytes.value(row))).ok())
            })
        }),
        Spec::new("hmac_md5", KEYED, varbinary, keyed!(Md5)),
        Spec::new("hmac_sha1", KEYED, varbinary, keyed!(Sha1)),
        Spec::new("hmac_sha256", KEYED, varbinary, keyed!(Sha256)),
        Spec::new("hmac_sha512", KEYED, varbinary, keyed!(Sha512)),
    ]
    .map(Spec::build)
    .into()
}

fn digest(call: &Call, each: impl Fn(&[u8]) -> Vec<u8>) -> Result<ArrayRef> {
    let bytes = call.bytes(0);
    call.to_bytes(|row| Ok(Some(each(bytes.value(row)))))
}

/// The first 64 bits of Murmur3's 128: what Trino's sketches hash with.
pub(in crate::functions) fn hash64(bytes: &[u8]) -> u64 {
    let digest = murmur3(bytes);
    digest[..8]
        .iter()
        .rev()
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// Murmur3 for 64-bit machines, 128 bits, seed 0.
fn murmur3(bytes: &[u8]) -> [u8; 16] {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let mix1 = |k: u64| k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let mix2 = |k: u64| k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let end = |mut k: u64| {
        k ^= k >> 33;
        k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
        k ^= k >> 33;
        k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        k ^ k >> 33
    };
    let number = |bytes: &[u8]| {
        let mut block = [0; 8];
        block[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(block)
    };
    let (mut h1, mut h2) = (0_u64, 0_u64);
    let blocks = bytes.chunks_exact(16);
    let tail = blocks.remainder();
    for block in blocks {
        h1 ^= mix1(number(&block[..8]));
        h1 = h1.rotate_left(27).wrapping_add(h2);
        h1 = h1.wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 ^= mix2(number(&block[8..]));
        h2 = h2.rotate_left(31).wrapping_add(h1);
        h2 = h2.wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let (first, second) = tail.split_at(tail.len().min(8));
    h2 ^= mix2(number(second));
    h1 ^= mix1(number(first));
    h1 ^= bytes.len() as u64;
    h2 ^= bytes.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    (h1, h2) = (end(h1), end(h2));
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    let mut result = [0; 16];
    result[..8].copy_from_slice(&h1.to_le_bytes());
    result[8..].copy_from_slice(&h2.to_le_bytes());
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur3_gives_the_published_digests() {
        let hex = |bytes: [u8; 16]| {
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        assert_eq!(hex(murmur3(b"")), "0".repeat(32));
        assert_eq!(
            hex(murmur3(b"The quick brown fox jumps over the lazy dog")),
            "6c1b07bc7bbc4be347939ac4a93c437a"
        );
    }
}
