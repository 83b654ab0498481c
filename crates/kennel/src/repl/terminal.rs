//! The terminal between two prompts.
//!
//! Terminals make whole lines of what is typed, and a line feed of Enter. The editor reads keys: to it a line feed is
//! Ctrl-J, and it drops the keys behind one that ends a statement. So what is typed while a statement runs stays as it
//! was typed, and unseen, until the editor reads it.

#[cfg(unix)]
use std::io;

#[cfg(unix)]
use rustix::termios::{InputModes, LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Keeps keys for the editor; drop it to give the terminal back as it was found.
pub(super) struct KeptKeys {
    /// `None` where there is no such terminal: nothing is kept then.
    #[cfg(unix)]
    found: Option<Termios>,
}

impl KeptKeys {
    pub(super) fn new() -> Self {
        let kept = Self {
            #[cfg(unix)]
            found: tcgetattr(io::stdin()).ok(),
        };
        kept.keep();
        kept
    }

    /// Runs what is to find the terminal as it was.
    pub(super) fn lend<T>(&self, run: impl FnOnce() -> T) -> T {
        self.give_back();
        let ran = run();
        self.keep();
        ran
    }

    #[cfg(unix)]
    fn keep(&self) {
        if let Some(mut modes) = self.found.clone() {
            modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
            modes.input_modes -= InputModes::ICRNL;
            set(&modes);
        }
    }

    #[cfg(unix)]
    fn give_back(&self) {
        if let Some(modes) = &self.found {
            set(modes);
        }
    }

    #[cfg(not(unix))]
    fn keep(&self) {}

    #[cfg(not(unix))]
    fn give_back(&self) {}
}

impl Drop for KeptKeys {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// A terminal that went away has nothing to set.
#[cfg(unix)]
fn set(modes: &Termios) {
    let _set = tcsetattr(io::stdin(), OptionalActions::Now, modes);
}
