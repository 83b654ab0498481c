//! Exit codes: the contract of `kennel --help`.

use std::process::ExitCode;

/// How a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    #[default]
    Done,
    /// Done, and `--check` or `diff` found rows, or `verify` damage.
    Findings,
    /// Usage error or failure: nothing was produced.
    Failure,
    /// Some objects or accounts failed; the rest is there.
    Partial,
    /// Data is absent, or older than `--max-age`.
    Absent,
    /// Ctrl-C or SIGTERM; the cache is whole.
    Interrupted,
}

/// The table that every help page ends with.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    done, and --check, diff, verify or policy check found something
  2    usage error or failure: nothing was produced
  3    partial: some objects or accounts failed, the rest is there
  4    data absent, or older than --max-age
  130  interrupted; the cache is whole
Where several apply: 2, then 4, then 3, then 1. All reasons stand on stderr.";

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Findings => 1,
            Self::Failure => 2,
            Self::Partial => 3,
            Self::Absent => 4,
            Self::Interrupted => 130,
        }
    }

    /// Of two outcomes the one that is told: 130, 2, 4, 3, 1, 0.
    pub(crate) fn and(self, other: Self) -> Self {
        if other.rank() > self.rank() {
            other
        } else {
            self
        }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Findings => 1,
            Self::Partial => 2,
            Self::Absent => 3,
            Self::Failure => 4,
            Self::Interrupted => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_outcomes_the_gravest_is_told_in_either_order() {
        let order = [
            Exit::Done,
            Exit::Findings,
            Exit::Partial,
            Exit::Absent,
            Exit::Failure,
            Exit::Interrupted,
        ];
        assert_eq!(order.map(Exit::code), [0, 1, 3, 4, 2, 130]);
        for (i, low) in order.into_iter().enumerate() {
            for high in &order[i..] {
                assert_eq!(low.and(*high), *high);
                assert_eq!(high.and(low), *high);
            }
        }
    }
}
