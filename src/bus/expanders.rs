//! Lines and PWM channels that expanders give: a bus over another bus, for which `{ expander: porch, pin: 3 }` is a line
//! like any other.

mod inputs;

use super::{Bus, Edges, Serial};
use crate::config::{Config, ExpanderConfig, LineName, Link, PwmName};
use crate::sensing::wire;
use halyard_drivers::port::{
    I2cPort, InputPort, InputSettings, KernelPort, ModbusPort, ModbusSettings, OutputLine, OutputPort, PortError,
    PwmOutput, PwmPort, SerialSettings, SpiPort, SpiSettings,
};
use halyard_drivers::{Expander, Fault, FaultKind, Next};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A bus with all that it has, and the lines of the expanders on it.
pub struct Expanded {
    board: Arc<dyn Bus>,
    expanders: Mutex<BTreeMap<String, Arc<Shared>>>,
}

impl Expanded {
    /// The buses and lines of `board`, and the expanders of `config`, of which none is touched yet.
    #[must_use]
    pub fn new(board: Arc<dyn Bus>, config: &Config) -> Self {
        let expanded = Self { board, expanders: Mutex::default() };
        expanded.equip(config);
        expanded
    }

    /// Takes over the expanders of `config`. Those that are as they were go on.
    fn equip(&self, config: &Config) {
        let mut expanders = lock(&self.expanders);
        let mut old = std::mem::take(&mut *expanders);
        for config in &config.expanders {
            let same = old.remove(&config.id).filter(|shared| shared.config.fingerprint == config.fingerprint);
            let shared = same.unwrap_or_else(|| Arc::new(Shared::new(config.clone(), Arc::clone(&self.board))));
            expanders.insert(config.id.clone(), shared);
        }
    }

    /// A pin of an expander, for one user at a time.
    fn take(&self, expander: &str, pin: u8) -> Result<Pin, PortError> {
        let shared = lock(&self.expanders).get(expander).cloned();
        let shared =
            shared.ok_or_else(|| PortError::new(FaultKind::Absent, format!("there is no expander {expander}")))?;
        if !lock(&shared.taken).insert(pin) {
            return Err(PortError::new(FaultKind::Bus, format!("pin {pin} of {expander} is in use by \"halyard\"")));
        }
        Ok(Pin { shared, pin, driven: None })
    }
}

impl Bus for Expanded {
    fn follow(&self, config: &Config) {
        self.board.follow(config);
        self.equip(config);
    }

    fn i2c(&self, bus: u8, address: u8) -> Result<I2cPort, PortError> {
        self.board.i2c(bus, address)
    }

    fn i2c_buses(&self) -> Vec<u8> {
        self.board.i2c_buses()
    }

    fn i2c_taken(&self, bus: u8, address: u8) -> Option<String> {
        self.board.i2c_taken(bus, address)
    }

    fn spi(&self, bus: u8, chip_select: u8, settings: SpiSettings) -> Result<SpiPort, PortError> {
        self.board.spi(bus, chip_select, settings)
    }

    fn output(&self, line: &LineName) -> Result<OutputPort, PortError> {
        match line {
            LineName::Pin { expander, pin } => Ok(OutputPort(Box::new(self.take(expander, *pin)?))),
            _ => self.board.output(line),
        }
    }

    fn line_holder(&self, line: &LineName) -> Result<Option<String>, PortError> {
        match line {
            // Nobody else knows of them.
            LineName::Pin { .. } => Ok(None),
            _ => self.board.line_holder(line),
        }
    }

    fn pwm(&self, channel: &PwmName) -> Result<PwmPort, PortError> {
        match channel {
            PwmName::Line(LineName::Pin { expander, pin }) => Ok(PwmPort(Box::new(self.take(expander, *pin)?))),
            _ => self.board.pwm(channel),
        }
    }

    fn kernel(&self) -> Result<KernelPort, PortError> {
        self.board.kernel()
    }

    fn input(&self, line: &LineName, settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        match line {
            LineName::Pin { expander, pin } => inputs::open(self.take(expander, *pin)?, settings),
            _ => self.board.input(line, settings),
        }
    }

    fn inputs(&self, lines: &[LineName], settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        match lines {
            [only] => self.input(only, settings),
            several => match several.iter().find(|line| matches!(line, LineName::Pin { .. })) {
                Some(pin) => Err(too_slow(pin)),
                None => self.board.inputs(several, settings),
            },
        }
    }

    fn listen(&self, line: &LineName, settings: InputSettings) -> Result<InputPort, PortError> {
        match line {
            LineName::Pin { .. } => Err(too_slow(line)),
            _ => self.board.listen(line, settings),
        }
    }

    fn serial(&self, path: &str, settings: SerialSettings) -> Result<Box<dyn Serial>, PortError> {
        self.board.serial(path, settings)
    }

    fn modbus(&self, link: &Link, unit: u8, settings: ModbusSettings) -> Result<ModbusPort, PortError> {
        self.board.modbus(link, unit, settings)
    }
}

/// Whoever looks at pins now and then sees neither which of two changed first nor when.
fn too_slow(pin: &LineName) -> PortError {
    PortError::new(FaultKind::Rejected, format!("this part needs lines of the board: {pin} is too slow for it"))
}

/// An expander, as all of its pins share it.
struct Shared {
    config: ExpanderConfig,
    /// What it is connected to.
    board: Arc<dyn Bus>,
    chip: Mutex<Chip>,
    /// Pins that somebody has.
    taken: Mutex<BTreeSet<u8>>,
    /// Who tells of changes, once somebody wants to know.
    watch: Mutex<Option<inputs::Watch>>,
}

#[derive(Default)]
struct Chip {
    driver: Option<Box<dyn Expander>>,
    /// How often it was opened: what a pin was told before that may be forgotten.
    opened: u64,
}

impl Shared {
    fn new(config: ExpanderConfig, board: Arc<dyn Bus>) -> Self {
        Self { config, board, chip: Mutex::default(), taken: Mutex::default(), watch: Mutex::default() }
    }

    /// Opens the chip if it is not, and calls `work` with it, and with the number of times that it was opened. Blocks: on a
    /// worker only.
    fn call<R>(&self, work: impl FnOnce(&mut dyn Expander, u64) -> Result<R, Fault>) -> Result<R, PortError> {
        let mut chip = lock(&self.chip);
        let result = self.attempt(&mut chip, work);
        result.map_err(|fault| {
            if fault.kind.next() == Next::Reopen {
                chip.driver = None;
            }
            PortError::new(fault.kind, format!("{} ({}): {}", self.config.id, self.config.at, fault.message))
        })
    }

    fn attempt<R>(
        &self,
        chip: &mut Chip,
        work: impl FnOnce(&mut dyn Expander, u64) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let driver = match &mut chip.driver {
            Some(driver) => driver,
            None => {
                let driver =
                    self.config.spec.open(wire(self.board.as_ref(), &self.config.at, self.config.spec.as_ref())?)?;
                chip.opened += 1;
                chip.driver.insert(driver)
            }
        };
        work(driver.as_mut(), chip.opened)
    }
}

/// A pin of an expander that somebody has.
struct Pin {
    shared: Arc<Shared>,
    pin: u8,
    /// At which opening of the chip it was made an output, if it was.
    driven: Option<u64>,
}

impl Drop for Pin {
    fn drop(&mut self) {
        lock(&self.shared.taken).remove(&self.pin);
    }
}

impl Pin {
    fn set(&mut self, set: impl FnOnce(&mut dyn Expander, u8) -> Result<(), Fault>) -> Result<(), PortError> {
        let pin = self.pin;
        let opened = self.shared.call(|chip, opened| set(chip, pin).map(|()| opened))?;
        self.driven = Some(opened);
        Ok(())
    }

    /// Asks the chip, unless it was opened anew since this pin was set: then nobody knows what the pin does.
    fn ask<R>(&mut self, ask: impl FnOnce(&mut dyn Expander, u8) -> Result<R, Fault>) -> Result<R, PortError> {
        let (pin, driven) = (self.pin, self.driven);
        self.shared.call(|chip, opened| match driven {
            Some(at) if at != opened => Err(Fault::new(
                FaultKind::Corrupt,
                format!("it failed since pin {pin} was set: what the pin does is not known"),
            )),
            _ => ask(chip, pin),
        })
    }
}

impl OutputLine for Pin {
    fn drive(&mut self, high: bool) -> Result<(), PortError> {
        self.set(|chip, pin| chip.drive(pin, high))
    }

    fn level(&mut self) -> Result<bool, PortError> {
        self.ask(|chip, pin| Ok(chip.levels()? >> pin & 1 == 1))
    }
}

impl PwmOutput for Pin {
    fn pulses(&mut self, period_ns: u64, high_ns: u64) -> Result<(), PortError> {
        self.set(|chip, pin| chip.pulses(pin, period_ns, high_ns))
    }

    fn found(&mut self) -> Result<Option<(u64, u64)>, PortError> {
        self.ask(|chip, pin| chip.found(pin))
    }
}

/// A driver that panicked may have left the chip half set: its own checks find that.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
