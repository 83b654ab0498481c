//! SpookyHash, version 2.
//!
//! Source: Bob Jenkins, "SpookyHash: a 128-bit noncryptographic hash", whose functions are in the public
//! domain; Trino shows the first 32 or 64 bits in network order, with seed 0.

const FILL: u64 = 0xdead_beef_dead_beef;
/// Shorter messages are hashed in another way.
const SHORT: usize = 192;
const BLOCK: usize = 96;

/// The first 64 bits of the hash.
pub(super) fn hash64(message: &[u8]) -> u64 {
    if message.len() < SHORT {
        short(message)
    } else {
        long(message)
    }
}

/// Up to eight bytes as a number, the first of them the lowest.
fn number(bytes: &[u8]) -> u64 {
    let mut block = [0; 8];
    let length = bytes.len().min(8);
    block[..length].copy_from_slice(&bytes[..length]);
    u64::from_le_bytes(block)
}

/// One step of the mixer for short messages: which numbers take part, and the rotation.
const SHORT_MIX: [(usize, usize, usize, u32); 12] = [
    (2, 3, 0, 50),
    (3, 0, 1, 52),
    (0, 1, 2, 30),
    (1, 2, 3, 41),
    (2, 3, 0, 54),
    (3, 0, 1, 48),
    (0, 1, 2, 38),
    (1, 2, 3, 37),
    (2, 3, 0, 62),
    (3, 0, 1, 34),
    (0, 1, 2, 5),
    (1, 2, 3, 36),
];

fn short_mix(h: &mut [u64; 4]) {
    for (a, b, c, rotation) in SHORT_MIX {
        h[a] = h[a].rotate_left(rotation).wrapping_add(h[b]);
        h[c] ^= h[a];
    }
}

fn short_end(h: &mut [u64; 4]) {
    const ROTATIONS: [u32; 11] = [15, 52, 26, 51, 28, 9, 47, 54, 32, 25, 63];
    for (step, rotation) in ROTATIONS.into_iter().enumerate() {
        let (a, b) = ((step + 3) % 4, (step + 2) % 4);
        h[a] ^= h[b];
        h[b] = h[b].rotate_left(rotation);
        h[a] = h[a].wrapping_add(h[b]);
    }
}

fn short(message: &[u8]) -> u64 {
    let mut h = [0, 0, FILL, FILL];
    let add = |h: &mut [u64; 4], first: usize, bytes: &[u8]| {
        h[first] = h[first].wrapping_add(number(&bytes[..8]));
        h[first + 1] = h[first + 1].wrapping_add(number(&bytes[8..]));
    };
    let mut rest = message;
    if message.len() > 15 {
        let blocks = message.chunks_exact(32);
        rest = blocks.remainder();
        for block in blocks {
            add(&mut h, 2, &block[..16]);
            short_mix(&mut h);
            add(&mut h, 0, &block[16..]);
        }
        if rest.len() >= 16 {
            add(&mut h, 2, &rest[..16]);
            short_mix(&mut h);
            rest = &rest[16..];
        }
    }
    h[3] = h[3].wrapping_add((message.len() as u64) << 56);
    if rest.is_empty() {
        h[2] = h[2].wrapping_add(FILL);
        h[3] = h[3].wrapping_add(FILL);
    } else {
        let (first, second) = rest.split_at(rest.len().min(8));
        h[2] = h[2].wrapping_add(number(first));
        h[3] = h[3].wrapping_add(number(second));
    }
    short_end(&mut h);
    h[0]
}

fn mix(block: &[u8], h: &mut [u64; 12]) {
    const ROTATIONS: [u32; 12] = [11, 32, 43, 31, 17, 28, 39, 57, 55, 54, 22, 46];
    for (i, rotation) in ROTATIONS.into_iter().enumerate() {
        h[i] = h[i].wrapping_add(number(&block[i * 8..]));
        h[(i + 2) % 12] ^= h[(i + 10) % 12];
        h[(i + 11) % 12] ^= h[i];
        h[i] = h[i].rotate_left(rotation);
        h[(i + 11) % 12] = h[(i + 11) % 12].wrapping_add(h[(i + 1) % 12]);
    }
}

fn end(h: &mut [u64; 12]) {
    const ROTATIONS: [u32; 12] = [44, 15, 34, 21, 38, 33, 10, 13, 38, 53, 42, 54];
    for _ in 0..3 {
        for (i, rotation) in ROTATIONS.into_iter().enumerate() {
            let (a, b, c) = ((i + 11) % 12, (i + 1) % 12, (i + 2) % 12);
            h[a] = h[a].wrapping_add(h[b]);
            h[c] ^= h[a];
            h[b] = h[b].rotate_left(rotation);
        }
    }
}

fn long(message: &[u8]) -> u64 {
    let mut h = [0; 12];
    for fill in [2, 5, 8, 11] {
        h[fill] = FILL;
    }
    let blocks = message.chunks_exact(BLOCK);
    let rest = blocks.remainder();
    for block in blocks {
        mix(block, &mut h);
    }
    let mut last = [0; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    last[BLOCK - 1] = rest.len() as u8;
    for (i, value) in h.iter_mut().enumerate() {
        *value = value.wrapping_add(number(&last[i * 8..]));
    }
    end(&mut h);
    h[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_that_trino_shows() {
        assert_eq!(hash64(b"") as u32, 0x6bf5_0919);
        assert_eq!(hash64(b"hello"), 0x3768_826a_d382_e6ca);
    }

    #[test]
    fn every_byte_counts_at_every_length() {
        let message: Vec<u8> = (0..=255).cycle().take(500).collect();
        let mut seen = std::collections::HashSet::new();
        for length in 0..message.len() {
            assert!(seen.insert(hash64(&message[..length])), "{length}");
        }
        for at in [0, 95, 96, 191, 192, 499] {
            let mut other = message.clone();
            other[at] ^= 1;
            assert_ne!(hash64(&other), hash64(&message), "{at}");
        }
    }
}
