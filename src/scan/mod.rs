//! Who is on the buses: found, and named where that is safe.
//!
//! What is sent to whom:
//!
//! 1. An address that a driver of the kernel has for itself is not touched.
//! 2. Whether anybody is at an address: one byte is read. Parts that have nothing to say, such as a SHT4x that has not been
//!    asked for anything, do not acknowledge that: where nobody did, the address is sent alone, with no data (SMBus' quick
//!    write), but not to 0x30 to 0x37 and 0x50 to 0x5F, where memories are that this has destroyed. The clock generators at
//!    0x69 hang when they are read, so nothing is read there. These exceptions are those of i2cdetect.
//! 3. Who it is: only at addresses that a part of the list of drivers can have, and only by its
//!    [identity](halyard_drivers::identity): one byte, the number of a register to read, and never a value to write.
//!    A part that takes that byte for its state, as switches of buses do, gets its state back at once.
//!
//! Where nothing that may be sent tells parts apart, all that it can be are named.

pub mod adapter;
pub mod one_wire;
#[cfg(test)]
mod tests;

use crate::bus::Bus;
use embedded_hal::i2c::I2c;
use halyard_drivers::port::{Delay, I2cPort, PortError};
use halyard_drivers::sort::sort_by;
use halyard_drivers::{Attachment, DRIVERS, Driver, FaultKind};
use std::ops::RangeInclusive;

/// The addresses of a bus that are not reserved by its specification.
const ADDRESSES: RangeInclusive<u8> = 0x08..=0x77;
/// Where clock generators are that hang the bus when they are read.
const NEVER_READ: u8 = 0x69;
/// Where memories are that an address alone has destroyed.
const MEMORIES: [RangeInclusive<u8>; 2] = [0x30..=0x37, 0x50..=0x5F];
/// So many failures of the bus itself, and no more is tried: each may have taken a second.
const PATIENCE: usize = 3;

/// Somebody at an address of an I2C bus.
#[derive(Clone, Debug)]
pub struct Found {
    /// N of `i2c-N`.
    pub bus: u8,
    /// The 7-bit address.
    pub address: u8,
    /// Who it is.
    pub who: Who,
}

/// Who is at an address.
#[derive(Clone, Debug)]
pub enum Who {
    /// The part of this driver: it says so itself. The text is what it said.
    Known(&'static Driver, String),
    /// One of these, by the address alone, or something that there is no driver for. The texts are what it said where it was
    /// asked whether it is one of the others.
    Possibly(Vec<&'static Driver>, Vec<String>),
    /// No part that there is a driver for. The texts are what it said where it was asked.
    Unknown(Vec<String>),
    /// Something that keeps a byte that is written to it, as a switch of buses (TCA9548A) does. It has its old one again.
    Latch,
    /// Whoever it is, this driver of the kernel has it.
    Taken(String),
}

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Ask those who may know what they are asked.
    Ask,
    /// Send nobody any data.
    Passive,
}

/// All that is on an I2C bus.
///
/// # Errors
/// When the bus cannot be opened, or fails as a whole.
pub fn bus(buses: &dyn Bus, bus: u8, mode: Mode) -> Result<Vec<Found>, PortError> {
    let mut all = Vec::new();
    let mut failures = 0;
    for address in ADDRESSES {
        match look(buses, bus, address, mode) {
            Ok(who) => {
                failures = 0;
                all.extend(who.map(|who| Found { bus, address, who }));
            }
            Err(error) if error.kind == FaultKind::Bus && failures + 1 < PATIENCE => failures += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// Who is at an address; `None` if nobody answers.
///
/// # Errors
/// When the bus cannot be opened, or fails.
pub fn look(buses: &dyn Bus, bus: u8, address: u8, mode: Mode) -> Result<Option<Who>, PortError> {
    if let Some(driver) = buses.i2c_taken(bus, address) {
        return Ok(Some(Who::Taken(driver)));
    }
    let mut port = buses.i2c(bus, address)?;
    if !answers(&mut port, address)? {
        return Ok(None);
    }
    let candidates = at(address);
    Ok(Some(match mode {
        Mode::Passive if candidates.is_empty() => Who::Unknown(Vec::new()),
        Mode::Passive => Who::Possibly(candidates, Vec::new()),
        // Asking is reading.
        Mode::Ask if address == NEVER_READ => Who::Possibly(candidates, Vec::new()),
        Mode::Ask => identify(&mut port, address, candidates),
    }))
}

/// The drivers whose part can be at `address`: the fewer addresses it can have, the earlier it comes.
fn at(address: u8) -> Vec<&'static Driver> {
    let mut drivers: Vec<_> = DRIVERS.iter().copied().filter(|driver| addresses(driver).contains(&address)).collect();
    sort_by(&mut drivers, |a, b| addresses(a).len() <= addresses(b).len());
    drivers
}

/// The addresses that a driver's part can have.
#[must_use]
pub fn addresses(driver: &Driver) -> &'static [u8] {
    let of = |attachment: &Attachment| match attachment {
        Attachment::I2c { addresses } => Some(*addresses),
        _ => None,
    };
    driver.attachments.iter().find_map(of).unwrap_or_default()
}

/// Whether anybody acknowledges the address.
fn answers(port: &mut I2cPort, address: u8) -> Result<bool, PortError> {
    let read = if address == NEVER_READ { Ok(false) } else { acknowledged(port.read(address, &mut [0])) };
    match read {
        Ok(false) if !MEMORIES.iter().any(|range| range.contains(&address)) => acknowledged(port.write(address, &[])),
        result => result,
    }
}

fn acknowledged(result: Result<(), PortError>) -> Result<bool, PortError> {
    match result {
        Ok(()) => Ok(true),
        // Nobody is there, or the adapter has no such transfer.
        Err(error) if [FaultKind::Absent, FaultKind::Rejected].contains(&error.kind) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Which of the candidates it is.
fn identify(port: &mut I2cPort, address: u8, candidates: Vec<&'static Driver>) -> Who {
    let asks = candidates.iter().any(|driver| !driver.identity.is_empty());
    let before = if asks { peek(port, address) } else { None };
    let (mut rest, mut said) = (Vec::new(), Vec::new());
    for driver in candidates {
        match ask(port, address, driver) {
            Answer::Fits(text) => return Who::Known(driver, text),
            Answer::Nothing => rest.push(driver),
            Answer::No { sent, text } => {
                if before.is_some_and(|before| is_latch(port, address, before, sent)) {
                    return Who::Latch;
                }
                said.extend(text);
            }
        }
    }
    if rest.is_empty() { Who::Unknown(said) } else { Who::Possibly(rest, said) }
}

/// What comes of asking for the identity of one driver's part.
enum Answer {
    /// It is that part.
    Fits(String),
    /// It is not, as it shows when this byte is sent.
    No { sent: u8, text: Option<String> },
    /// That cannot be told.
    Nothing,
}

fn ask(port: &mut I2cPort, address: u8, driver: &Driver) -> Answer {
    let mut answer = Answer::Nothing;
    for identity in driver.identity {
        match identity.check(port, address, &mut Delay) {
            Ok(text) => answer = Answer::Fits(text),
            // A bus that fails says nothing about who is there.
            Err(fault) if fault.kind == FaultKind::Bus => return Answer::Nothing,
            Err(fault) => {
                let text = (fault.kind == FaultKind::WrongChip).then_some(fault.message);
                return Answer::No { sent: identity.sent(), text };
            }
        }
    }
    answer
}

/// What it gives without being asked for anything.
fn peek(port: &mut I2cPort, address: u8) -> Option<u8> {
    let mut byte = [0];
    port.read(address, &mut byte).ok().map(|()| byte[0])
}

/// Whether it now gives the byte that was sent, and, once that was put back, the byte from `before` again. To a part with
/// registers that is the number of another register to read.
fn is_latch(port: &mut I2cPort, address: u8, before: u8, sent: u8) -> bool {
    before != sent
        && peek(port, address) == Some(sent)
        && port.write(address, &[before]).is_ok()
        && peek(port, address) == Some(before)
}
