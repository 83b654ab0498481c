//! The least and the greatest text of a page or a column, cut short where they are long.

/// A text at most as large as `text`, and whether it is the same.
pub(super) fn cut_least(text: &[u8], most_bytes: usize) -> (&[u8], bool) {
    if text.len() <= most_bytes {
        return (text, true);
    }
    (&text[..floor(text, most_bytes)], false)
}

/// A text at least as large as `text`, and whether it is the same: the beginning with its last letter replaced by the
/// next one. A text without one that could be replaced stays.
pub(super) fn cut_greatest(text: &[u8], most_bytes: usize) -> (Vec<u8>, bool) {
    if text.len() > most_bytes {
        let beginning = &text[..floor(text, most_bytes)];
        // The next of these has one byte, too, and is no control character.
        let can_grow = |byte: &u8| (b' '..b'~').contains(byte);
        if let Some(last) = beginning.iter().rposition(can_grow) {
            let mut greater = beginning[..=last].to_vec();
            greater[last] += 1;
            return (greater, false);
        }
    }
    (text.to_vec(), true)
}

/// The longest beginning of so many bytes that does not cut a character.
fn floor(text: &[u8], most_bytes: usize) -> usize {
    let is_start = |at: &usize| text[*at] & 0b1100_0000 != 0b1000_0000;
    (0..=most_bytes).rev().find(is_start).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_that_cannot_grow_stays_whole() {
        assert!(cut_greatest("é".repeat(20).as_bytes(), 8).1);
        assert_eq!(
            cut_greatest("aé~~~~~~~".as_bytes(), 5),
            (b"b".to_vec(), false)
        );
        assert_eq!(cut_least("aéé".as_bytes(), 4), ("aé".as_bytes(), false));
    }

    proptest! {
        #[test]
        fn what_is_cut_still_bounds(text in "[ -~é\u{1f600}]{0,40}", most in 1..20_usize) {
            let text = text.as_bytes();
            let (least, is_least) = cut_least(text, most);
            let (greatest, is_greatest) = cut_greatest(text, most);
            prop_assert!(least <= text && text <= greatest.as_slice());
            prop_assert!(least.len() <= most);
            prop_assert_eq!(is_least, least == text);
            prop_assert_eq!(is_greatest, greatest.as_slice() == text);
            prop_assert!(std::str::from_utf8(least).is_ok());
            prop_assert!(std::str::from_utf8(&greatest).is_ok());
        }
    }
}
