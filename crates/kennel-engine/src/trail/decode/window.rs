//! The text of an object, as far as it is in memory.
//!
//! An object up to [`DecodeLimits::max_held_bytes`] is held whole. A larger one is expanded twice: once to
//! learn that all of it can be read, because rows once given cannot be taken back, and once to read it in
//! pieces. So damaged gzip is always told before the first row, and memory is bounded for any object.

use flate2::Decompress;
use libdeflater::Decompressor;

use super::{
    DecodeLimits,
    gzip::{GzipError, Inflater, expand_at_once, is_gzip},
};

/// Texts up to this are expanded in one step: nearly all. The length is the object's word for it.
const AT_ONCE_BYTES: usize = 8 << 20;

/// How much more is read at a time when a value goes on.
const PIECE_BYTES: usize = 256 * 1024;

/// What a worker keeps from object to object.
pub(crate) struct Buffers {
    at_once: Decompressor,
    state: Option<Decompress>,
    text: Vec<u8>,
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Self {
            at_once: Decompressor::new(),
            state: None,
            text: Vec::new(),
        }
    }
}

/// How an object came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Packing {
    pub(crate) members: u32,
    pub(crate) expanded_bytes: u64,
}

/// A part of an object's text, and the way to the next part.
pub(crate) struct Window<'a> {
    /// An object that is not compressed.
    plain: Option<&'a [u8]>,
    text: Vec<u8>,
    feed: Option<Inflater<'a>>,
    idle: Option<Decompress>,
    max_held_bytes: usize,
    pub(crate) packing: Packing,
}

impl<'a> Window<'a> {
    pub(crate) fn open(
        object: &'a [u8],
        limits: &DecodeLimits,
        buffers: &mut Buffers,
    ) -> Result<Self, GzipError> {
        let mut window = Self {
            plain: None,
            text: std::mem::take(&mut buffers.text),
            feed: None,
            idle: None,
            max_held_bytes: limits.max_held_bytes,
            packing: Packing::default(),
        };
        if !is_gzip(object) {
            if object.len() as u64 > limits.max_expanded_bytes {
                window.close(buffers);
                return Err(GzipError::TooLarge {
                    length: object.len(),
                    max_expanded_bytes: limits.max_expanded_bytes,
                });
            }
            window.plain = Some(object);
            window.packing.expanded_bytes = object.len() as u64;
            return Ok(window);
        }
        let most_bytes = usize::try_from(limits.max_expanded_bytes).unwrap_or(usize::MAX);
        let most_bytes = most_bytes.min(limits.max_held_bytes).min(AT_ONCE_BYTES);
        if expand_at_once(object, most_bytes, &mut buffers.at_once, &mut window.text) {
            window.packing = Packing {
                members: 1,
                expanded_bytes: window.text.len() as u64,
            };
            return Ok(window);
        }
        window.text.clear();
        let state = buffers
            .state
            .take()
            .unwrap_or_else(|| Decompress::new(false));
        let mut inflater = Inflater::new(object, state, limits.max_expanded_bytes);
        let result = window.hold(&mut inflater, limits);
        window.packing = Packing {
            members: inflater.members,
            expanded_bytes: inflater.expanded_bytes,
        };
        let state = inflater.into_state();
        match result {
            Ok(true) => window.idle = Some(state),
            Ok(false) => window.feed = Some(Inflater::new(object, state, u64::MAX)),
            Err(error) => {
                buffers.state = Some(state);
                window.close(buffers);
                return Err(error);
            }
        }
        Ok(window)
    }

    /// Expands all; whether all of it is held.
    fn hold(
        &mut self,
        inflater: &mut Inflater<'_>,
        limits: &DecodeLimits,
    ) -> Result<bool, GzipError> {
        let expected = inflater.stated_length().min(limits.max_held_bytes);
        // One byte more than stated, so that the end is seen without another allocation.
        self.text.reserve(expected + 1);
        while self.text.len() <= limits.max_held_bytes {
            let room = limits.max_held_bytes + 1 - self.text.len();
            if inflater.fill(&mut self.text, room.min(PIECE_BYTES))? {
                return Ok(true);
            }
        }
        self.text = Vec::new();
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        while !inflater.fill(&mut piece, PIECE_BYTES)? {
            piece.clear();
        }
        Ok(false)
    }

    /// Gives the buffers back; those that a large object blew up are let go.
    pub(crate) fn close(mut self, buffers: &mut Buffers) {
        const KEPT_BYTES: usize = 8 << 20;
        if self.text.capacity() <= KEPT_BYTES {
            buffers.text = self.text;
        }
        if let Some(state) = self
            .idle
            .take()
            .or_else(|| self.feed.map(Inflater::into_state))
        {
            buffers.state = Some(state);
        }
    }

    /// The text from where it was last cut.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.plain.unwrap_or(&self.text)
    }

    /// Whether the text ends where this window ends.
    pub(crate) fn is_at_end(&self) -> bool {
        self.feed.is_none()
    }

    /// Reads on, and forgets what lies before `at`. `None` when the text ends here, or when what would have
    /// to be held is too much; else how far positions have moved.
    pub(crate) fn more(&mut self, at: usize) -> Result<Option<usize>, GzipError> {
        let Some(feed) = &mut self.feed else {
            return Ok(None);
        };
        if self.text.len() - at > self.max_held_bytes {
            return Ok(None);
        }
        self.text.drain(..at);
        let before = self.text.len();
        // Doubled when one value fills it, so that reading it again and again stays linear.
        let piece = PIECE_BYTES.min(self.max_held_bytes).max(before).max(1);
        let is_end = feed.fill(&mut self.text, piece)?;
        if is_end && self.text.len() == before {
            self.idle = self.feed.take().map(Inflater::into_state);
            return Ok((at > 0).then_some(at));
        }
        Ok(Some(at))
    }
}
