//! Gzip, all members of it, within limits.
//!
//! A reader that takes the first member for the whole would lose what users joined; one that trusts the
//! stated length would let a few bytes fill the memory.

use flate2::{Crc, Decompress, FlushDecompress, Status};
use libdeflater::Decompressor;

/// Why compressed bytes cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum GzipError {
    /// The bytes end inside a member.
    #[error("gzip is cut off: it ends after {length} bytes inside member {member}")]
    Truncated {
        /// How many bytes there are.
        length: usize,
        /// The member, from 1.
        member: u32,
    },
    /// A member's header, data, checksum or length is wrong.
    #[error("gzip is damaged at byte {at} (member {member}): {what}")]
    Damaged {
        /// Where.
        at: usize,
        /// The member, from 1.
        member: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// More comes out than is allowed.
    #[error("{length} bytes hold more than {max_expanded_bytes} bytes of text")]
    TooLarge {
        /// How many bytes the object has.
        length: usize,
        /// The limit.
        max_expanded_bytes: u64,
    },
}

/// Whether bytes begin like gzip: the name's suffix and the content encoding prove nothing.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Expands an object of one member in one step, when its text is not larger than this; whether it did.
///
/// `text` is then what it expands to, checksum and length compared. It is left to [`Inflater`] to say what is wrong with
/// an object, and to read one that might have several members.
pub(crate) fn expand_at_once(
    object: &[u8],
    most_bytes: usize,
    decompressor: &mut Decompressor,
    text: &mut Vec<u8>,
) -> bool {
    const MEMBER: [u8; 3] = [0x1f, 0x8b, 8];
    let length = stated_length(object);
    let may_go_on = || memchr::memmem::find(&object[MEMBER.len()..], &MEMBER).is_some();
    if length == 0 || length > most_bytes || !object.starts_with(&MEMBER) || may_go_on() {
        return false;
    }
    // What the object before left is overwritten: clearing it would take as long as copying it.
    text.resize(length, 0);
    // What follows the member would have to end with its length to go unnoticed.
    decompressor.gzip_decompress(object, text) == Ok(length)
}

/// What the last member says of its length: a hint, not to be trusted.
fn stated_length(object: &[u8]) -> usize {
    object
        .last_chunk::<4>()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
        // No deflate stream expands more than this.
        .min(object.len().saturating_mul(1032))
}

/// Reads gzip piece by piece.
pub(crate) struct Inflater<'a> {
    input: &'a [u8],
    at: usize,
    state: Decompress,
    crc: Crc,
    is_in_member: bool,
    /// Members begun.
    pub(crate) members: u32,
    /// Bytes that came out so far.
    pub(crate) expanded_bytes: u64,
    max_expanded_bytes: u64,
}

impl<'a> Inflater<'a> {
    /// `state` is handed in, so that a worker allocates it once; [`Self::into_state`] gives it back.
    pub(crate) fn new(input: &'a [u8], mut state: Decompress, max_expanded_bytes: u64) -> Self {
        state.reset(false);
        Self {
            input,
            at: 0,
            state,
            crc: Crc::new(),
            is_in_member: false,
            members: 0,
            expanded_bytes: 0,
            max_expanded_bytes,
        }
    }

    pub(crate) fn into_state(self) -> Decompress {
        self.state
    }

    /// What the last member says of its length: a hint, not to be trusted.
    pub(crate) fn stated_length(&self) -> usize {
        stated_length(self.input)
    }

    /// Appends up to `room` bytes (at least one unless the end is reached). Whether the end is reached.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, room: usize) -> Result<bool, GzipError> {
        let full = out.len().saturating_add(room);
        // `decompress_vec` fills what is allocated: it may be more than asked for, and is never more
        // than the vector would hold anyway.
        while out.len() < full {
            if !self.is_in_member {
                if !self.begin_member()? {
                    return Ok(true);
                }
                self.is_in_member = true;
            }
            if out.len() == out.capacity() {
                out.reserve(room.clamp(1, 64 * 1024));
            }
            self.inflate(out)?;
        }
        Ok(false)
    }

    fn inflate(&mut self, out: &mut Vec<u8>) -> Result<(), GzipError> {
        let (before_in, before_out) = (self.state.total_in(), out.len());
        let status = self
            .state
            .decompress_vec(&self.input[self.at..], out, FlushDecompress::None)
            .map_err(|_| self.damaged("the data is no deflate stream"))?;
        self.at += usize::try_from(self.state.total_in() - before_in).unwrap_or(usize::MAX);
        self.crc.update(&out[before_out..]);
        self.expanded_bytes += (out.len() - before_out) as u64;
        if self.expanded_bytes > self.max_expanded_bytes {
            return Err(GzipError::TooLarge {
                length: self.input.len(),
                max_expanded_bytes: self.max_expanded_bytes,
            });
        }
        match status {
            Status::StreamEnd => self.end_member(),
            Status::Ok | Status::BufError if out.len() > before_out => Ok(()),
            Status::Ok | Status::BufError if self.at == self.input.len() => Err(self.truncated()),
            // Input is left, output has room, and nothing moved.
            Status::Ok if self.state.total_in() > before_in => Ok(()),
            Status::Ok | Status::BufError => Err(self.damaged("the data does not go on")),
        }
    }

    /// Reads a header; false when nothing but zeros follow, with which some tools pad.
    fn begin_member(&mut self) -> Result<bool, GzipError> {
        let rest = &self.input[self.at..];
        if self.members > 0 && rest.iter().all(|byte| *byte == 0) {
            return Ok(false);
        }
        self.members += 1;
        if rest.len() < 10 {
            return Err(self.truncated());
        }
        if !is_gzip(rest) || rest[2] != 8 {
            return Err(self.damaged("no header of a member"));
        }
        let flags = rest[3];
        let mut length = 10;
        if flags & 0b100 != 0 {
            let extra = rest.get(10..12).ok_or_else(|| self.truncated())?;
            length += 2 + usize::from(u16::from_le_bytes([extra[0], extra[1]]));
        }
        // A name and a comment, each ended by a zero.
        for flag in [0b1000, 0b1_0000] {
            if flags & flag != 0 {
                let text = rest.get(length..).ok_or_else(|| self.truncated())?;
                let end = text.iter().position(|byte| *byte == 0);
                length += end.ok_or_else(|| self.truncated())? + 1;
            }
        }
        if flags & 0b10 != 0 {
            length += 2;
        }
        if length >= rest.len() {
            return Err(self.truncated());
        }
        self.at += length;
        Ok(true)
    }

    /// Compares a member's checksum and length, and makes ready for the next.
    fn end_member(&mut self) -> Result<(), GzipError> {
        let Some(trailer) = self.input[self.at..].first_chunk::<8>() else {
            return Err(self.truncated());
        };
        let word = |at: usize| {
            u32::from_le_bytes([
                trailer[at],
                trailer[at + 1],
                trailer[at + 2],
                trailer[at + 3],
            ])
        };
        if word(0) != self.crc.sum() || word(4) != self.crc.amount() {
            return Err(self.damaged("checksum or length does not match the data"));
        }
        self.at += 8;
        self.is_in_member = false;
        self.crc.reset();
        self.state.reset(false);
        Ok(())
    }

    fn truncated(&self) -> GzipError {
        GzipError::Truncated {
            length: self.input.len(),
            member: self.members,
        }
    }

    fn damaged(&self, what: &'static str) -> GzipError {
        GzipError::Damaged {
            at: self.at,
            member: self.members,
            what,
        }
    }
}
