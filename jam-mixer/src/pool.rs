//! Worker threads for the jobs of a tick.
//!
//! Work moves by ownership: a boxed job goes to a worker and comes back, so there is nothing to lock. Handing a job
//! to a parked worker and getting it back takes 14 to 16 µs, which is why the engine makes one job per worker and
//! phase, and why a small room is better served by [`Inline`](crate::job::Inline).

use crate::job::{Executor, Job};
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// The most workers a pool has. One room needs five or six at most.
pub const WORKERS_MAX: usize = 64;

/// Another thread joins above this share of a tick, and leaves below that one.
const ADD_ABOVE: f32 = 0.5;
const LEAVE_BELOW: f32 = 0.2;
/// Ticks between two changes.
const STEADY_TICKS: u32 = 375;

type Done = (Box<dyn Job>, thread::Result<()>);

/// A fixed number of parked threads. The calling thread works too.
///
/// All threads are used until [`adapt`](Executor::adapt) has told for a second that the work of a tick needs fewer;
/// the others stay parked and cost nothing. Dropping the pool ends its threads. No queue allocates once the pool
/// stands.
#[derive(Debug)]
pub struct Pool {
    workers: Vec<Worker>,
    /// Threads in use, the caller's included.
    width: usize,
    /// Calls of `adapt` since the width changed.
    since_change: u32,
}

impl Pool {
    /// Starts `workers` threads, at most [`WORKERS_MAX`]. With 0 everything runs on the calling thread.
    ///
    /// # Errors
    ///
    /// What the operating system says if it cannot start a thread.
    pub fn new(workers: usize) -> io::Result<Self> {
        Self::with_start(workers, || {})
    }

    /// As [`Pool::new`]; each thread calls `start` first, for instance to ask for real-time priority.
    ///
    /// # Errors
    ///
    /// As [`Pool::new`].
    pub fn with_start(workers: usize, start: impl Fn() + Clone + Send + 'static) -> io::Result<Self> {
        (0..workers.min(WORKERS_MAX))
            .map(|number| Worker::start(number, start.clone()))
            .collect::<io::Result<Vec<_>>>()
            .map(|workers| Self { width: workers.len() + 1, workers, since_change: 0 })
    }

    /// The number of worker threads, without the caller's.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers.len()
    }
}

impl Executor for Pool {
    fn width(&self) -> usize {
        self.width
    }

    fn adapt(&mut self, share: f32) {
        self.since_change = self.since_change.saturating_add(1);
        if self.since_change < STEADY_TICKS {
            return;
        }
        // A thread leaves well below the share at which it would join again, so that the number does not flutter.
        if share > ADD_ABOVE && self.width <= self.workers.len() {
            self.width += 1;
            self.since_change = 0;
        } else if share < LEAVE_BELOW && self.width > 1 {
            self.width -= 1;
            self.since_change = 0;
        }
    }

    fn run(&mut self, jobs: &mut Vec<Box<dyn Job>>) {
        let mut panicked = None;
        let width = self.width();
        for start in (0..jobs.len()).step_by(width) {
            // The caller keeps the first job of the round; the others move up meanwhile.
            let handed_over = (jobs.len() - start - 1).min(width - 1);
            for worker in self.workers.iter().take(handed_over) {
                worker.hand_over(jobs.remove(start + 1));
            }
            if let Some(job) = jobs.get_mut(start) {
                panicked = run_caught(job.as_mut()).err().or(panicked);
            }
            for (index, worker) in self.workers.iter().take(handed_over).enumerate() {
                let (job, result) = worker.take_back();
                jobs.insert(start + 1 + index, job);
                panicked = result.err().or(panicked);
            }
        }
        if let Some(payload) = panicked {
            panic::resume_unwind(payload);
        }
    }
}

#[derive(Debug)]
struct Worker {
    /// `None` only while dropping: the closed queue ends the thread.
    jobs: Option<SyncSender<Box<dyn Job>>>,
    done: Receiver<Done>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start(number: usize, begin: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (jobs, inbox) = sync_channel::<Box<dyn Job>>(1);
        let (outbox, done) = sync_channel::<Done>(1);
        let thread = thread::Builder::new().name(format!("mix-{number}")).spawn(move || {
            begin();
            while let Ok(mut job) = inbox.recv() {
                let result = run_caught(job.as_mut());
                if outbox.send((job, result)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { jobs: Some(jobs), done, thread: Some(thread) })
    }

    #[expect(
        clippy::expect_used,
        reason = "the thread ends only when the pool is dropped: it catches its jobs' panics"
    )]
    fn hand_over(&self, job: Box<dyn Job>) {
        self.jobs
            .as_ref()
            .and_then(|jobs| jobs.send(job).ok())
            .expect("the worker listens as long as the pool lives");
    }

    #[expect(clippy::expect_used, reason = "as above")]
    fn take_back(&self) -> Done {
        self.done.recv().expect("the worker answers every job")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // The thread catches the panics of its jobs, so there is no result to lose.
            let _ = thread.join();
        }
    }
}

fn run_caught(job: &mut dyn Job) -> thread::Result<()> {
    panic::catch_unwind(AssertUnwindSafe(|| job.run()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::any::Any;

    struct Count {
        start: u64,
        sum: u64,
        runs: u32,
    }

    impl Job for Count {
        fn run(&mut self) {
            assert_ne!(self.start, 13, "unlucky");
            self.sum = (self.start..self.start + 1000).sum();
            self.runs += 1;
        }
    }

    fn jobs(starts: impl IntoIterator<Item = u64>) -> Vec<Box<dyn Job>> {
        starts.into_iter().map(|start| Box::new(Count { start, sum: 0, runs: 0 }) as Box<dyn Job>).collect()
    }

    fn sums(jobs: Vec<Box<dyn Job>>) -> Vec<(u64, u64)> {
        let back = |job: Box<dyn Job>| *(job as Box<dyn Any>).downcast::<Count>().unwrap();
        jobs.into_iter().map(back).map(|job| (job.start, job.sum * u64::from(job.runs))).collect()
    }

    #[test]
    fn any_number_of_jobs_comes_back_done_and_in_order() {
        for workers in 0..4 {
            let mut pool = Pool::new(workers).unwrap();
            for count in 0..30 {
                // Fewer and fewer threads are used.
                (0..STEADY_TICKS / 8).for_each(|_| pool.adapt(0.0));
                let mut work = jobs(100..100 + count);
                pool.run(&mut work);
                let expected: Vec<_> = (100..100 + count).map(|n| (n, (n..n + 1000).sum())).collect();
                assert_eq!(sums(work), expected, "{workers} workers, {count} jobs");
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_survives_it() {
        let mut pool = Pool::new(2).unwrap();
        for starts in [[13, 1, 2], [1, 13, 2], [1, 2, 13]] {
            let mut work = jobs(starts);
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| pool.run(&mut work)));
            assert!(outcome.is_err());
            assert_eq!(work.len(), 3);
        }
        let mut work = jobs([1, 2, 3]);
        pool.run(&mut work);
        assert!(sums(work).iter().all(|&(_, sum)| sum > 0));
    }

    #[test]
    fn as_many_threads_are_used_as_the_work_of_a_tick_demands() {
        let mut pool = Pool::new(3).unwrap();
        assert_eq!(pool.width(), 4);
        let mut widths = |work: f32, seconds: u32| -> Vec<usize> {
            let second = |_| {
                // What a tick takes is its work divided among the threads.
                (0..STEADY_TICKS).for_each(|_| pool.adapt(work / pool.width() as f32));
                pool.width()
            };
            (0..seconds).map(second).collect()
        };
        assert_eq!(widths(0.1, 4), [3, 2, 1, 1]);
        assert_eq!(widths(0.45, 2), [1, 1]);
        assert_eq!(widths(1.4, 4), [2, 3, 3, 3]);
        assert_eq!(widths(9.0, 3), [4, 4, 4]);
        assert_eq!(widths(0.9, 2), [4, 4]);
        assert_eq!(widths(0.7, 3), [3, 3, 3]);
    }

    #[test]
    fn the_number_of_workers_is_bounded() {
        assert_eq!(Pool::new(1000).unwrap().workers(), WORKERS_MAX);
    }
}
