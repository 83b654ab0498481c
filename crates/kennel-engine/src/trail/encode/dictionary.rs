//! The texts of a column, each with a number: what Parquet calls a dictionary.

use std::hash::{BuildHasher, Hasher, RandomState};

use super::empty;
use crate::trail::words::{is_same, last_word, short_word};

/// Texts in the order in which they first came.
pub(crate) struct Dictionary {
    /// As a dictionary page holds them: the length of each in four bytes, then the text.
    page: Vec<u8>,
    /// Where each text begins and ends in the page.
    places: Vec<(u32, u32)>,
    /// At the place that the hash of a text names, or after it: the hash, and the number of the text plus one. Zero where
    /// there is none.
    table: Vec<u64>,
    /// The last text that was asked for: neighbours are often equal.
    last: u32,
    seed: [u64; 2],
}

impl Dictionary {
    /// Without texts. Hashes differ from one to the next, so that nobody can choose texts that collide.
    pub(crate) fn new() -> Self {
        let random = RandomState::new();
        let seed = [0, 1].map(|number| {
            let mut hasher = random.build_hasher();
            hasher.write_u64(number);
            hasher.finish() | 1
        });
        Self {
            page: Vec::new(),
            places: Vec::new(),
            table: vec![0; 64],
            last: 0,
            seed,
        }
    }

    /// Forgets all texts, and keeps what memory another column of this kind needs.
    pub(crate) fn clear(&mut self) {
        const KEPT_ENTRIES: usize = 8 << 10;
        empty(&mut self.page);
        empty(&mut self.places);
        self.last = 0;
        match self.table.len() <= KEPT_ENTRIES {
            true => self.table.fill(0),
            false => self.table = vec![0; 64],
        }
    }

    /// How many texts there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The texts as a dictionary page.
    pub(super) fn page(&self) -> &[u8] {
        &self.page
    }

    /// The text of a number.
    pub(crate) fn text(&self, number: u32) -> &[u8] {
        let (start, end) = self.places[number as usize];
        &self.page[start as usize..end as usize]
    }

    /// Bytes of the text of a number.
    #[inline]
    pub(super) fn length(&self, number: u32) -> usize {
        let (start, end) = self.places[number as usize];
        (end - start) as usize
    }

    /// The number of a text, which is a new one if there was none.
    #[inline]
    pub(crate) fn number(&mut self, text: &[u8]) -> u32 {
        if !self.places.is_empty() && is_same(self.text(self.last), text) {
            return self.last;
        }
        self.last = self.look_up(text);
        self.last
    }

    fn look_up(&mut self, text: &[u8]) -> u32 {
        let hash = self.hash(text);
        let mask = self.table.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let entry = self.table[at];
            if entry == 0 {
                break;
            }
            if (entry >> 32) as u32 == hash {
                let number = entry as u32 - 1;
                if is_same(self.text(number), text) {
                    return number;
                }
            }
            at = (at + 1) & mask;
        }
        let number = self.places.len() as u32;
        self.table[at] = entry(hash, number);
        self.page
            .extend_from_slice(&(text.len() as u32).to_le_bytes());
        let start = self.page.len() as u32;
        self.page.extend_from_slice(text);
        self.places.push((start, self.page.len() as u32));
        if self.places.len() * 2 > self.table.len() {
            self.grow();
        }
        number
    }

    fn grow(&mut self) {
        let mask = self.table.len() * 2 - 1;
        let entries = std::mem::replace(&mut self.table, vec![0; mask + 1]);
        for entry in entries.into_iter().filter(|entry| *entry != 0) {
            let mut at = (entry >> 32) as usize & mask;
            while self.table[at] != 0 {
                at = (at + 1) & mask;
            }
            self.table[at] = entry;
        }
    }

    #[inline]
    fn hash(&self, text: &[u8]) -> u32 {
        let mut hash = self.seed[0] ^ text.len() as u64;
        let (pairs, rest) = text.as_chunks::<16>();
        for pair in pairs {
            let [first, second] = halves(pair);
            hash = fold(hash ^ first, self.seed[1] ^ second);
        }
        // Of a text that is long enough the last word, whether or not a part of it was taken before.
        let (first, second) = match (text.last_chunk::<16>(), rest.first_chunk::<8>()) {
            _ if rest.is_empty() => (0, 0),
            (Some(last), _) => halves(last).into(),
            (None, Some(first)) => (u64::from_le_bytes(*first), last_word(rest)),
            (None, None) => (short_word(rest), 0),
        };
        hash = fold(hash ^ first, self.seed[1] ^ second);
        (hash >> 32) as u32 ^ hash as u32
    }
}

fn halves(pair: &[u8; 16]) -> [u64; 2] {
    let pair = u128::from_le_bytes(*pair);
    [pair as u64, (pair >> 64) as u64]
}

fn entry(hash: u32, number: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(number + 1)
}

/// Both halves of the product, so that each bit of the one factor reaches each bit of the result.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_their_numbers_and_come_back() {
        let mut dictionary = Dictionary::new();
        let texts = (0..5_000).map(|n| format!("{}-{n}", "x".repeat(n % 79)));
        let texts = texts.chain([String::new()]).collect::<Vec<_>>();
        for _ in 0..2 {
            for (number, text) in (0..).zip(&texts) {
                assert_eq!(dictionary.number(text.as_bytes()), number);
                assert_eq!(dictionary.number(text.as_bytes()), number);
            }
        }
        assert_eq!(dictionary.len(), texts.len());
        let mut page = Vec::new();
        for (number, text) in (0..).zip(&texts) {
            assert_eq!(dictionary.text(number), text.as_bytes());
            page.extend((text.len() as u32).to_le_bytes());
            page.extend(text.as_bytes());
        }
        assert_eq!(dictionary.page(), page);
    }

    #[test]
    fn texts_that_differ_in_one_byte_are_different() {
        for length in 0..100 {
            let text = vec![b'a'; length];
            let mut dictionary = Dictionary::new();
            assert_eq!(dictionary.number(&text), 0);
            for at in 0..length {
                let mut other = text.clone();
                other[at] = b'b';
                assert!(!is_same(&text, &other), "{length} {at}");
                assert_eq!(dictionary.number(&other), 1 + at as u32);
            }
            assert!(is_same(&text, &vec![b'a'; length]));
            assert!(!is_same(&text, &vec![b'a'; length + 1]));
            assert_eq!(dictionary.number(&text), 0);
        }
    }
}
