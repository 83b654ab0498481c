//! Parquet's delta encoding of whole numbers: each as its difference from the one before.
//!
//! Source: Parquet format, "Delta Encoding (DELTA_BINARY_PACKED = 5)".

use super::{hybrid::pack_bits, varint};

/// Differences of a block.
const BLOCK: usize = 128;
/// Differences that have a bit width of their own.
const PART: usize = 32;

/// Appends all values of a page.
pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint((BLOCK / PART) as u64, out);
    varint(values.len() as u64, out);
    varint(zigzag(values.first().copied().unwrap_or_default()), out);
    let differences = values
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect::<Vec<_>>();
    for block in differences.chunks(BLOCK) {
        let least = block.iter().copied().min().unwrap_or_default();
        varint(zigzag(least), out);
        let above = |part: &[i64]| {
            let above = part
                .iter()
                .map(|difference| difference.wrapping_sub(least) as u64);
            above.collect::<Vec<_>>()
        };
        let parts = block.chunks(PART).map(above).collect::<Vec<_>>();
        let width = |part: &Vec<u64>| {
            let most = part.iter().copied().max().unwrap_or_default();
            (u64::BITS - most.leading_zeros()) as u8
        };
        let mut widths = [0; BLOCK / PART];
        for (slot, part) in widths.iter_mut().zip(&parts) {
            *slot = width(part);
        }
        out.extend_from_slice(&widths);
        for (part, width) in parts.iter().zip(widths) {
            pack_bits(part.iter().copied(), PART, width, out);
        }
    }
}

/// Small numbers of either sign become small ones without.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}
