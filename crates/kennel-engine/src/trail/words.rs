//! Short texts, compared eight bytes at a time.

/// The last eight bytes of a text that has them.
#[inline]
pub(super) fn last_word(text: &[u8]) -> u64 {
    text.last_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// A text of less than eight bytes; with its length, it can be told from it.
#[inline]
pub(super) fn short_word(text: &[u8]) -> u64 {
    match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        _ => text
            .iter()
            .fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Whether two texts are equal. Most are short: calling for each a function that is made for long ones is half of the work.
#[inline]
pub(super) fn is_same(a: &[u8], b: &[u8]) -> bool {
    const LONG: usize = 64;
    if a.len() != b.len() {
        return false;
    }
    if a.len() >= LONG {
        return a == b;
    }
    let ((a_words, a_rest), (b_words, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    a_words.iter().zip(b_words).all(|(a, b)| a == b)
        && match a_words.is_empty() {
            true => short_word(a_rest) == short_word(b_rest),
            false => last_word(a) == last_word(b),
        }
}
