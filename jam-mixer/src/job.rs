//! Where the independent work of a tick runs.

use std::any::Any;

/// A share of a tick's work that depends on nothing else being done at the same time.
///
/// A job owns everything it needs, so it can run on any thread and hands back what it owns by staying alive.
pub trait Job: Any + Send {
    /// Does the work.
    fn run(&mut self);
}

/// Runs the jobs of a tick. Results do not depend on the executor, nor on how many jobs the work is cut into.
///
/// # For implementers
///
/// `run` returns when all jobs have run, with the same jobs in the same order. A tick calls it twice, for decoding
/// and for mixing with encoding; jobs of one call are independent of each other. A panic of a job is passed on.
pub trait Executor: Send {
    /// Jobs worth making of the work at hand: the number of threads that can run at once, the caller's included.
    fn width(&self) -> usize;

    /// Tells how much of a tick is spent working, 0 to 1 and beyond: a pool need not wake anybody for little work.
    fn adapt(&mut self, _share: f32) {}

    /// Runs all jobs.
    fn run(&mut self, jobs: &mut Vec<Box<dyn Job>>);
}

/// Runs everything on the calling thread: no lock, no hand-over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl Executor for Inline {
    fn width(&self) -> usize {
        1
    }

    fn run(&mut self, jobs: &mut Vec<Box<dyn Job>>) {
        for job in jobs {
            job.run();
        }
    }
}
