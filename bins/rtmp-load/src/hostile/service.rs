//! Those who must notice nothing: viewers that verify every frame, some of whom come and go.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::args::{Args, Join};
use crate::clock::{instant, wait};
use crate::run::Viewing;
use crate::tally::Tally;
use crate::target::Place;

/// Viewers that leave and come per second, unless the command line says otherwise.
const CHURN: f64 = 2.0;
/// Who comes during an attack may be on the way when it ends.
pub(super) const UNDER_WAY_MAX: u64 = 4;

/// Viewers of one attack.
#[derive(Debug)]
pub(super) struct Service {
    viewing: Viewing,
    asked: u64,
    unsettled: u64,
}

/// What they saw.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) tally: Tally,
    /// Who was there when the attack began.
    pub(super) asked: u64,
    /// Who of them had no picture then.
    pub(super) unsettled: u64,
    /// Time to the first picture of somebody who comes after the attack.
    pub(super) afterwards: Option<Duration>,
}

impl Service {
    /// Lets the viewers in and waits until all have their picture.
    pub(super) fn begin(args: &Args, places: &[Place]) -> Result<Self, String> {
        let churn = if args.churn > 0.0 { args.churn } else { CHURN };
        let args = Args { join: Join::AllAtOnce, churn, ..args.clone() };
        let viewing = Viewing::start(&args, places).map_err(|error| format!("viewers: {error}"))?;
        let unsettled = viewing.wait_settled(&args);
        viewing.shared.measuring.store(true, Ordering::Relaxed);
        Ok(Self { viewing, asked: u64::from(args.viewers), unsettled })
    }

    /// Ends, after somebody new has come to see whether the server still serves.
    pub(super) fn end(self, args: &Args, places: &[Place]) -> Result<Served, String> {
        let last = Args { viewers: 1, join: Join::AllAtOnce, churn: 0.0, threads: Some(1), ..args.clone() };
        let begun = instant();
        let newcomer = Viewing::start(&last, places).map_err(|error| format!("newcomer: {error}"))?;
        newcomer.wait_settled(&last);
        let took = begun.elapsed();
        let afterwards = (newcomer.stop()?.started > 0).then_some(took);
        // Those who came last have their picture by now.
        wait(Duration::from_millis(200));
        let (asked, unsettled) = (self.asked, self.unsettled);
        Ok(Served { tally: self.viewing.stop()?, asked, unsettled, afterwards })
    }
}
