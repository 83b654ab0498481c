//! Ctrl-C and SIGTERM.
//!
//! A handler is set the moment [`listen`] is called, not when somebody first waits: work that keeps its
//! thread busy must not leave the process to the signal's own doing.

use kennel_mirror::CancelFlag;

use crate::exit::Exit;

/// Hears the signals from now on.
pub(crate) struct Interrupts {
    #[cfg(unix)]
    signals: Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>,
}

/// Which signal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    #[cfg_attr(not(unix), expect(dead_code, reason = "there is no SIGTERM"))]
    Terminate,
}

/// Begins to listen; needs a runtime.
pub(crate) fn listen() -> Interrupts {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = signal(SignalKind::interrupt())
            .and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
        Interrupts {
            signals: signals.ok(),
        }
    }
    #[cfg(not(unix))]
    Interrupts {}
}

impl Interrupts {
    /// Returns at the next Ctrl-C or SIGTERM.
    pub(crate) async fn next(&mut self) {
        self.which().await;
    }

    /// Returns at the next Ctrl-C or SIGTERM, and says which it was.
    #[cfg(unix)]
    pub(crate) async fn which(&mut self) -> Heard {
        match &mut self.signals {
            Some((interrupt, terminate)) => {
                tokio::select! {
                    _ = interrupt.recv() => Heard::Interrupt,
                    _ = terminate.recv() => Heard::Terminate,
                }
            }
            // No handler could be set: the signal does what it always does.
            None => std::future::pending().await,
        }
    }

    /// Returns at the next Ctrl-C.
    #[cfg(not(unix))]
    pub(crate) async fn which(&mut self) -> Heard {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Heard::Interrupt
    }
}

/// In the background: the first signal asks to stop, the second ends the process.
pub(crate) fn cancel_on_signal(cancel: CancelFlag) {
    let mut interrupts = listen();
    tokio::spawn(async move {
        interrupts.next().await;
        cancel.cancel();
        interrupts.next().await;
        end();
    });
}

/// In the background: the first signal ends the process.
pub(crate) fn end_on_signal() {
    let mut interrupts = listen();
    tokio::spawn(async move {
        interrupts.next().await;
        end();
    });
}

fn end() {
    #[expect(
        clippy::exit,
        reason = "the cache is whole at any moment, and nobody else would stop the work"
    )]
    std::process::exit(i32::from(Exit::Interrupted.code()));
}
