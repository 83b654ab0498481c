//! How many requests run at once, and how many bytes a second they may bring.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Successful requests after which one more may run at a time, when the server had been asking for less.
const SUCCESSES_PER_PERMIT: u64 = 16;
/// Answers of requests that were on their way together count as one call for less.
const HALVING_PAUSE: Duration = Duration::from_millis(100);

/// Fewer at once when the server throttles, slowly more when it does not.
pub(crate) struct Pace {
    permits: Semaphore,
    most: usize,
    state: Mutex<State>,
    bytes_per_second: Option<u64>,
}

struct State {
    /// Permits there are now, those in use included.
    current: usize,
    /// Permits to take away as soon as they come back.
    owed: usize,
    successes: u64,
    halved_at: Option<Instant>,
    pause_until: Option<Instant>,
    /// When the bytes so far are paid for.
    paid_until: Option<Instant>,
}

/// The right to one request, until its body is read.
pub(crate) struct Permit<'p> {
    pace: &'p Pace,
    permit: Option<SemaphorePermit<'p>>,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.pace.state();
        if state.owed > 0
            && let Some(permit) = self.permit.take()
        {
            state.owed -= 1;
            permit.forget();
        }
    }
}

impl Pace {
    pub(crate) fn new(concurrency: usize, bytes_per_second: Option<u64>) -> Self {
        let most = concurrency.clamp(1, 1024);
        Self {
            permits: Semaphore::new(most),
            most,
            state: Mutex::new(State {
                current: most,
                owed: 0,
                successes: 0,
                halved_at: None,
                pause_until: None,
                paid_until: None,
            }),
            bytes_per_second: bytes_per_second.filter(|limit| *limit > 0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn permit(&self) -> Permit<'_> {
        // The semaphore is never closed.
        let permit = self.permits.acquire().await.ok();
        let permit = Permit { pace: self, permit };
        loop {
            let until = self.state().pause_until;
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(pause) if !pause.is_zero() => tokio::time::sleep(pause).await,
                _ => return permit,
            }
        }
    }

    /// The server asks for less: half as many at once, and nothing new for a while.
    pub(crate) fn throttled(&self, pause: Duration) {
        let mut state = self.state();
        let now = Instant::now();
        let until = now + pause;
        state.pause_until = Some(state.pause_until.map_or(until, |known| known.max(until)));
        state.successes = 0;
        if state.halved_at.is_some_and(|at| now < at + HALVING_PAUSE) {
            return;
        }
        state.halved_at = Some(now);
        let fewer = (state.current / 2).max(1);
        let surplus = state.current - fewer;
        state.current = fewer;
        state.owed += surplus - self.permits.forget_permits(surplus);
    }

    pub(super) fn succeeded(&self) {
        let mut state = self.state();
        state.successes += 1;
        if state.current < self.most && state.successes >= SUCCESSES_PER_PERMIT {
            state.successes = 0;
            state.current += 1;
            if state.owed > 0 {
                state.owed -= 1;
            } else {
                self.permits.add_permits(1);
            }
        }
    }

    /// Waits as long as these bytes take at the limit.
    pub(super) async fn pay(&self, bytes: usize) {
        let Some(limit) = self.bytes_per_second else {
            return;
        };
        let now = Instant::now();
        let until = {
            let mut state = self.state();
            let from = state.paid_until.map_or(now, |paid| paid.max(now));
            let until = from + Duration::from_secs_f64(bytes as f64 / limit as f64);
            state.paid_until = Some(until);
            until
        };
        tokio::time::sleep(until.saturating_duration_since(now)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn throttling_halves_and_success_restores_slowly() {
        let pace = Pace::new(8, None);
        pace.throttled(Duration::ZERO);
        assert_eq!(pace.permits.available_permits(), 4);
        pace.throttled(Duration::ZERO);
        assert_eq!(pace.permits.available_permits(), 4, "one wave, one halving");
        for _ in 0..SUCCESSES_PER_PERMIT {
            pace.succeeded();
        }
        assert_eq!(pace.permits.available_permits(), 5);
    }

    #[tokio::test]
    async fn permits_in_use_are_taken_away_when_they_come_back() {
        let pace = Pace::new(4, None);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(pace.permit().await);
        }
        pace.throttled(Duration::ZERO);
        drop(held);
        assert_eq!(pace.permits.available_permits(), 2);
    }

    #[tokio::test]
    async fn bytes_take_their_time() {
        let pace = Pace::new(1, Some(1_000_000));
        let began = Instant::now();
        for _ in 0..10 {
            pace.pay(10_000).await;
        }
        assert!(began.elapsed() >= Duration::from_millis(95));
    }
}
