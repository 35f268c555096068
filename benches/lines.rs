//! What writing a line and reading it back takes: by the character device, and by a Raspberry Pi's registers.
//!
//! On the board, with a line that nothing hangs on: `cargo bench --bench lines -- GPIO17`. It is driven, fast.
#![allow(clippy::unwrap_used)] // whoever runs it is here to see what goes wrong

use embedded_hal::digital::{OutputPin, StatefulOutputPin};
use halyard::bus::{Loads, open};
use halyard::config::{Board, LineName, parse};
use std::time::{Duration, Instant};

/// How often a line is written and read back.
const TIMES: usize = 20_000;

fn main() {
    // `cargo bench` adds options of its own.
    let Some(line) = std::env::args().skip(1).find(|argument| !argument.starts_with('-')) else {
        println!("lines: skipped: name a line that may be driven, as in `cargo bench --bench lines -- GPIO17`");
        return;
    };
    println!("{TIMES} times written and read back, in ns{:>16}{:>9}{:>9}{:>12}", "min", "median", "p99", "per second");
    for (board, name) in [(Board::Linux, "character device"), (Board::RaspberryPi, "registers")] {
        match measure(board, &line) {
            Ok(mut times) => {
                times.sort();
                let at = |part: usize| times[(times.len() - 1) * part / 100].as_nanos();
                let per_second = TIMES as f64 / times.iter().sum::<Duration>().as_secs_f64();
                println!("{name:<42}{:>9}{:>9}{:>9}{per_second:>12.0}", at(0), at(50), at(99));
            }
            Err(error) => println!("{name:<42} {error}"),
        }
    }
}

fn measure(board: Board, line: &str) -> Result<Vec<Duration>, halyard_drivers::port::PortError> {
    let config = parse("agent: { id: bench }", "bench.yaml").unwrap();
    let mut port = open(board, &config, Loads::default())?.output(&LineName::Name(line.to_owned()))?;
    port.set_low()?;
    let mut times = Vec::with_capacity(TIMES);
    for round in 0..TIMES {
        let high = round % 2 == 0;
        let start = Instant::now();
        port.set_state(high.into())?;
        let found = port.is_set_high()?;
        times.push(start.elapsed());
        assert_eq!(found, high, "the line is held by something else");
    }
    port.set_low()?;
    Ok(times)
}
