//! Ctrl-C and SIGTERM while a shell runs: the first cancels a query, the second ends the shell.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

use crate::signals::{self, Heard};

/// Hears signals in the background.
#[derive(Clone)]
pub(super) struct Watch {
    heard: Arc<Notify>,
    is_over: Arc<AtomicBool>,
    /// What the editor looks at while it waits for keys.
    pub(super) leave_editor: Arc<AtomicBool>,
}

impl Watch {
    /// Begins to listen; needs a runtime.
    pub(super) fn start() -> Self {
        let watch = Self {
            heard: Arc::default(),
            is_over: Arc::default(),
            leave_editor: Arc::default(),
        };
        let mut interrupts = signals::listen();
        let listener = watch.clone();
        tokio::spawn(async move {
            loop {
                if interrupts.which().await == Heard::Terminate {
                    listener.is_over.store(true, Ordering::SeqCst);
                    listener.leave_editor.store(true, Ordering::SeqCst);
                }
                listener.heard.notify_waiters();
            }
        });
        watch
    }

    /// Returns at the next Ctrl-C or SIGTERM, and at once after SIGTERM.
    pub(super) async fn interrupted(&self) {
        let heard = self.heard.notified();
        if !self.is_over() {
            heard.await;
        }
    }

    /// Whether the shell has to end.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }
}
