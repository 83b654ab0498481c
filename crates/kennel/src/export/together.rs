//! Work on the rows of a batch that can be done side by side: each file has a writer of its own.

use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    thread,
};

use datafusion::arrow::record_batch::RecordBatch;

use crate::error::CliError;

/// A piece of work.
pub(super) type Task<'t> = Box<dyn FnOnce() -> Result<(), CliError> + Send + 't>;

/// Fewer rows are not worth another thread.
pub(super) const WORTH_A_THREAD: usize = 500;

/// Cores to work on.
fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// A batch cut for that: rows that are worth a thread each.
pub(super) fn slices(batch: &RecordBatch) -> Vec<RecordBatch> {
    let row_count = batch.num_rows();
    let length = row_count.div_ceil(threads()).max(WORTH_A_THREAD);
    let starts = (0..row_count).step_by(length);
    let slices = starts.map(|start| batch.slice(start, length.min(row_count - start)));
    slices.collect()
}

/// Does all tasks, the first ones first, on as many threads as there are cores; on this one when `is_little`.
///
/// # Errors
/// Of those that fail one.
pub(super) fn together(tasks: Vec<Task<'_>>, is_little: bool) -> Result<(), CliError> {
    let threads = match is_little {
        true => 1,
        false => threads().min(tasks.len()),
    };
    if threads < 2 {
        return tasks.into_iter().try_for_each(|task| task());
    }
    let queue = Mutex::new(VecDeque::from(tasks));
    let next = || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.pop_front()
    };
    let work = || {
        while let Some(task) = next() {
            task()?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let others = (1..threads).map(|_| scope.spawn(work));
        let others = others.collect::<Vec<_>>();
        let mut done = work();
        for other in others {
            let other = other.join();
            let other = other.unwrap_or_else(|_| Err(CliError::new("a file cannot be written")));
            done = done.and(other);
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_task_is_done_once_and_a_failure_is_told() {
        for is_little in [false, true] {
            let count = AtomicUsize::new(0);
            let task = || -> Task<'_> {
                Box::new(|| {
                    count.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                })
            };
            let tasks = (0..20).map(|_| task()).collect();
            together(tasks, is_little).unwrap();
            assert_eq!(count.load(Ordering::Relaxed), 20);
            let failing: Task<'_> = Box::new(|| Err(CliError::new("no")));
            assert!(together(vec![task(), failing, task()], is_little).is_err());
        }
    }
}
