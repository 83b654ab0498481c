//! How entries of objects begin, so that one comparison tells whether the next entry is the one that was next before.

/// How an entry of an object begins when another stands before it and nothing is between: `,"name":`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening {
    /// Its bytes, then zeros.
    words: [u128; 2],
    /// All bits of its bytes.
    masks: [u128; 2],
    /// How many bytes; zero when there are more than the words hold.
    length: usize,
}

impl Opening {
    /// So many bytes are compared.
    pub(super) const BYTES: usize = 32;

    /// Of a name that is written without escapes.
    pub(crate) const fn of(name: &str) -> Self {
        let name = name.as_bytes();
        let length = name.len() + 4;
        if length > Self::BYTES {
            return Self {
                words: [0; 2],
                masks: [0; 2],
                length: 0,
            };
        }
        let (mut bytes, mut mask) = ([[0; 16]; 2], [[0; 16]; 2]);
        let mut at = 0;
        while at < length {
            bytes[at / 16][at % 16] = match at {
                0 => b',',
                1 => b'"',
                _ if at == length - 2 => b'"',
                _ if at == length - 1 => b':',
                _ => name[at - 2],
            };
            mask[at / 16][at % 16] = u8::MAX;
            at += 1;
        }
        Self {
            words: [u128::from_le_bytes(bytes[0]), u128::from_le_bytes(bytes[1])],
            masks: [u128::from_le_bytes(mask[0]), u128::from_le_bytes(mask[1])],
            length,
        }
    }

    /// How many bytes it has.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Whether the bytes begin like this.
    #[inline]
    pub(super) fn begins(&self, bytes: &[u8; Self::BYTES]) -> bool {
        let (halves, _) = bytes.as_chunks::<16>();
        let differing =
            |nth: usize| (u128::from_le_bytes(halves[nth]) ^ self.words[nth]) & self.masks[nth];
        differing(0) | differing(1) == 0 && self.length > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begins(name: &str, text: &str) -> bool {
        let mut bytes = [b'x'; Opening::BYTES];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Opening::of(name).begins(&bytes)
    }

    #[test]
    fn an_entry_begins_with_its_comma_name_and_colon_and_nothing_between() {
        assert!(begins("arn", ",\"arn\":"));
        assert_eq!(Opening::of("arn").length(), 7);
        for other in [
            "\"arn\":",
            ",\"arn\" :",
            ", \"arn\":",
            ",\"ARN\":",
            ",\"arns\":",
            ",\"ar\":",
            "",
        ] {
            assert!(!begins("arn", other), "{other}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_never_found_like_this() {
        for length in 26..32 {
            let name = "n".repeat(length);
            let text = format!(",\"{name}\":");
            let text = &text[..text.len().min(Opening::BYTES)];
            assert_eq!(begins(&name, text), length <= 28, "{length}");
        }
    }
}
