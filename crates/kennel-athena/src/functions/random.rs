//! Random numbers without a clock: seeded by the standard library's own random state.

use std::hash::{BuildHasher, RandomState};

/// A small generator (xorshift), good enough to shuffle and to sample.
pub(super) struct Random {
    state: u64,
}

impl Random {
    /// A generator with a seed of its own.
    pub(super) fn new() -> Self {
        Self {
            state: RandomState::new().hash_one(0_u8) | 1,
        }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// A number from 0 to `limit` − 1; 0 for no limit.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        match limit as u64 {
            0 => 0,
            limit => (self.next() % limit) as usize,
        }
    }

    /// A number from 0 to 1, without 1.
    pub(super) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
