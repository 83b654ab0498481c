//! Parquet's hybrid of runs and bit-packed groups, in which levels, dictionary indices and booleans are written.
//!
//! Source: Parquet format, "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)".

use super::varint;

/// Values that are packed together; runs of fewer are not worth their own header.
const GROUP: usize = 8;

/// Bits that a number up to `most` needs.
pub(super) fn bit_width(most: u32) -> u8 {
    (u32::BITS - most.leading_zeros()) as u8
}

/// Appends values, each of at most `width` bits.
pub(super) fn encode<T>(values: &[T], width: u8, out: &mut Vec<u8>)
where
    T: Copy + PartialEq + Into<u32>,
{
    // Where the groups begin that are not written yet.
    let mut packed_from = 0;
    let mut at = 0;
    while let Some(&first) = values.get(at) {
        let rest = &values[at..];
        let is_run = rest.len() >= GROUP && rest[..GROUP].iter().all(|value| *value == first);
        if !is_run {
            at += GROUP.min(rest.len());
            continue;
        }
        let other = rest[GROUP..].iter().position(|value| *value != first);
        let length = other.map_or(rest.len(), |other| GROUP + other);
        pack(&values[packed_from..at], width, out);
        varint((length as u64) << 1, out);
        let bytes = first.into().to_le_bytes();
        out.extend_from_slice(&bytes[..usize::from(width.div_ceil(8))]);
        at += length;
        packed_from = at;
    }
    pack(&values[packed_from..], width, out);
}

/// Appends groups of eight values, the last one filled up with zeros.
fn pack<T: Copy + Into<u32>>(values: &[T], width: u8, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(GROUP);
    varint(((groups as u64) << 1) | 1, out);
    pack_bits(
        values.iter().map(|value| u64::from((*value).into())),
        groups * GROUP,
        width,
        out,
    );
}

/// Appends `count` numbers of `width` bits each, lowest bits first; those that `values` does not have are zeros.
/// Together they fill whole bytes.
pub(super) fn pack_bits(
    values: impl Iterator<Item = u64>,
    count: usize,
    width: u8,
    out: &mut Vec<u8>,
) {
    let bytes = count * usize::from(width) / 8;
    let end = out.len() + bytes;
    out.reserve(bytes + 8);
    let (mut bits, mut filled) = (0_u128, 0);
    for value in values {
        bits |= u128::from(value) << filled;
        filled += u32::from(width);
        if filled >= 64 {
            out.extend_from_slice(&(bits as u64).to_le_bytes());
            bits >>= 64;
            filled -= 64;
        }
    }
    out.extend_from_slice(&(bits as u64).to_le_bytes());
    out.resize(end, 0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads `count` values, as the format describes it.
    fn decode(bytes: &[u8], width: u8, count: usize) -> Vec<u32> {
        let mut at = 0;
        let mut values = Vec::new();
        while values.len() < count {
            let mut header = 0_u64;
            let mut shift = 0;
            loop {
                let byte = bytes[at];
                at += 1;
                header |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            if header & 1 == 0 {
                let length = usize::from(width.div_ceil(8));
                let mut value = [0; 4];
                value[..length].copy_from_slice(&bytes[at..at + length]);
                at += length;
                let run = std::iter::repeat_n(u32::from_le_bytes(value), (header >> 1) as usize);
                values.extend(run);
            } else {
                let count = (header >> 1) as usize * GROUP;
                for index in 0..count {
                    let bit = |bit: usize| {
                        let bit = index * usize::from(width) + bit;
                        u32::from(bytes[at + bit / 8] >> (bit % 8) & 1)
                    };
                    values.push((0..usize::from(width)).map(|n| bit(n) << n).sum());
                }
                at += count * usize::from(width) / 8;
            }
        }
        assert_eq!(at, bytes.len(), "nothing is left");
        values.truncate(count);
        values
    }

    #[test]
    fn bit_widths_are_those_of_the_largest_number() {
        assert_eq!(
            [0, 1, 2, 3, 4, 255, 256, u32::MAX].map(bit_width),
            [0, 1, 2, 2, 3, 8, 9, 32]
        );
    }

    proptest! {
        #[test]
        fn values_come_back_whatever_their_runs(
            runs in prop::collection::vec((any::<u32>(), 1..40_usize), 0..40),
            width in 0..=32_u8,
        ) {
            let mask = ((1_u64 << width) - 1) as u32;
            let values = runs
                .iter()
                .flat_map(|(value, length)| std::iter::repeat_n(value & mask, *length))
                .collect::<Vec<_>>();
            let mut out = Vec::new();
            encode(&values, width, &mut out);
            prop_assert_eq!(decode(&out, width, values.len()), values);
        }
    }
}
