//! Rows become Parquet: each field goes from its record's text into the dictionary and the pages of its column.
//!
//! The writer of the parquet crate takes Arrow arrays, for which every text of a hundred columns would be copied, hashed
//! by a slower hash and compared twice more. What is written is the same: data pages of version 2, dictionaries, page
//! index, Bloom filters; headers and footers are the crate's. Compaction reads and writes such files through it.

mod bounds;
mod chunk;
mod delta;
mod derived;
mod dictionary;
mod extra;
mod hybrid;
mod leaf;
mod rows;
mod spare;

pub(super) use dictionary::Dictionary;
pub(super) use leaf::LeafSettings;
pub(super) use rows::{BLOCK_ROWS, EventColumns, NewRow, RowFacts};
pub use spare::SpareColumns;

/// Makes a buffer ready to be used again, unless it became unusually large.
fn empty<T>(buffer: &mut Vec<T>) {
    const KEPT_BYTES: usize = 4 << 20;
    buffer.clear();
    buffer.shrink_to(KEPT_BYTES / size_of::<T>().max(1));
}

/// Appends a number, seven bits a byte, lowest first.
fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
