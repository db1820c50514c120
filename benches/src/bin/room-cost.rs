//! Prints what a room costs without sockets, as one line of JSON per room.
//!
//! ```text
//! room-cost [MUSICIANS...]
//! ```
//!
//! `ns` is the processor time of one tick per musician: datagrams in, decode, mix, encode, datagrams out. `ratio` is
//! that over the bare cost of the codec (one decode plus one encode by libopus as it is ordinarily compiled), the
//! figure load tests are judged by; there the sockets are added. Mono, normal quality, 128-sample blocks.

use std::process::ExitCode;

use benches::bare::{self, REFERENCE};
use benches::cpu;
use benches::room::{Mixes, Room};
use jam_mixer::Inline;
use jam_mixer::codec::CodecError;

const TICKS: usize = 100;

fn main() -> ExitCode {
    let mut rooms = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.parse() {
            Ok(musicians @ 1..=150) => rooms.push(musicians),
            _ => {
                eprintln!("room-cost: {argument:?} is no number of musicians from 1 to 150");
                return ExitCode::from(2);
            }
        }
    }
    if rooms.is_empty() {
        rooms = vec![10, 50, 150];
    }
    match run(&rooms) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("room-cost: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(rooms: &[usize]) -> Result<(), CodecError> {
    let reference = bare::reference_ns()?;
    for &musicians in rooms {
        for (name, mixes) in
            [("equal", Mixes::Equal), ("different", Mixes::Different), ("all_moved", Mixes::AllMoved)]
        {
            let mut room = Room::new(musicians, REFERENCE, mixes)?;
            let ns = cpu::best_ns_per_unit(10, TICKS * musicians, || {
                for _ in 0..TICKS {
                    room.tick(&mut Inline);
                }
            });
            let report = room.report();
            println!(
                "{{\"musicians\":{musicians},\"mixes\":\"{name}\",\"decoded\":{},\"concealed\":{},\"encodes\":{},\
                 \"groups\":{},\"ns\":{ns:.0},\"bare_ns\":{reference:.0},\"ratio\":{:.3}}}",
                report.decoded,
                report.concealed,
                report.encodes,
                report.groups,
                ns / reference,
            );
        }
    }
    Ok(())
}
