//! `lab-parts CONFIG`: connects the parts of a configuration to the lab's buses, until it is ended.
//!
//! What they measure, and whether they are there, is written to `/run/lab-parts`, a line each:
//!
//! ```text
//! stimulate climate temperature 30.5
//! absent climate on
//! ```

mod parts;

use halyard_drivers::sim::I2cFaults;
use parts::Parts;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode};

const DOOR: &str = "/run/lab-parts";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("lab-parts: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let [file] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else { return Err("which configuration?".into()) };
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let config = halyard::config::parse(&text, file).map_err(|report| report.to_string())?;
    let parts = Parts::connect(&config).map_err(|error| error.to_string())?;
    let made = Command::new("mkfifo").arg(DOOR).status();
    if !made.is_ok_and(|status| status.success()) {
        return Err(format!("cannot make {DOOR}"));
    }
    loop {
        // Its lines end when nobody has it open for writing any more.
        let door = fs::File::open(DOOR).map_err(|error| format!("{DOOR}: {error}"))?;
        for line in BufReader::new(door).lines().map_while(Result::ok) {
            if let Err(message) = obey(&parts, &line) {
                eprintln!("lab-parts: {line:?}: {message}");
            }
        }
    }
}

fn obey(parts: &Parts, line: &str) -> Result<(), String> {
    match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["stimulate", id, channel, value] => {
            let value = value.parse().map_err(|_| format!("{value} is no number"))?;
            parts.stimulate(id, channel, value)
        }
        ["absent", id, state @ ("on" | "off")] => {
            parts.set_faults(id, I2cFaults { absent: state == "on", ..I2cFaults::default() })
        }
        [] => Ok(()),
        _ => Err("say `stimulate ID CHANNEL VALUE` or `absent ID on|off`".into()),
    }
}
