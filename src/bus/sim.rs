//! Simulated buses that carry the models of the configured parts.

mod serial;

use super::modbus::Lines;
use super::{Bus, Edges, Serial};
use crate::config::{At, Config, LineName, Link, PwmName, Source};
use halyard_drivers::port::{
    I2cPort, InputLine, InputPort, InputSettings, KernelPort, ModbusPort, ModbusSettings, OutputLine, OutputPort,
    PortError, Pull, PwmOutput, PwmPort, SerialSettings, SpiPort, SpiSettings,
};
use halyard_drivers::sim::{I2cBus, Line, Listener, Machine, Part, Pwm, SharedPart, SpiSlot, connect};
use halyard_drivers::sort::sort;
use halyard_drivers::{ActuatorSpec, Driver, Edge, FaultKind};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::broadcast::{self, error::RecvError};

/// Edges that are kept until they are taken, as many as the Linux bus keeps.
const KEPT: usize = 1024;

/// Simulated buses and lines. Whatever address nothing was placed at is absent; a chip select without a part reads
/// ones; a line of any name is there, low unless its configuration pulls it up.
#[derive(Default)]
pub struct Simulated {
    places: Arc<Mutex<Places>>,
    modbus: Lines,
}

#[derive(Default)]
struct Places {
    i2c: HashMap<u8, I2cBus>,
    spi: HashMap<(u8, u8), SpiSlot>,
    machine: Machine,
    lines: HashMap<LineName, Placed>,
    pwm: HashMap<PwmName, PlacedPwm>,
    /// Lines whose edges a part gives by itself, with the part and its signal.
    turned: HashMap<LineName, (PwmName, Arc<dyn ActuatorSpec>)>,
    parts: HashMap<At, SharedPart>,
    /// The drivers whose models were placed for a configuration.
    models: HashMap<At, &'static str>,
}

/// A line, and whether somebody has it open.
#[derive(Clone, Default)]
struct Placed {
    line: Line,
    taken: Arc<AtomicBool>,
}

/// A PWM channel, and whether somebody has it open.
#[derive(Clone, Default)]
struct PlacedPwm {
    channel: Pwm,
    taken: Arc<AtomicBool>,
}

impl Simulated {
    /// Buses with the model of every configured part at its place.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let buses = Self::default();
        buses.equip(config);
        buses
    }

    /// Places the model of every configured part that is not there yet.
    pub fn equip(&self, config: &Config) {
        for sensor in &config.sensors {
            match &sensor.source {
                Source::Sampled { spec, .. } => self.equip_place(&sensor.at, sensor.driver, || spec.simulate()),
                Source::Serial { spec, .. } => {
                    self.equip_place(&sensor.at, sensor.driver, || Some(spec.simulate()));
                }
                Source::Edges { spec, .. } => {
                    let lines = spec.lines().iter().filter_map(|key| sensor.at.line(key));
                    for line in lines.filter(|_| spec.input().pull == Pull::Up) {
                        // One that was there before has the level that the world gave it.
                        let is_new = !self.places().lines.contains_key(line);
                        if is_new {
                            self.line(line).pull(true);
                        }
                    }
                }
            }
        }
        for actuator in &config.actuators {
            self.equip_place(&actuator.at, actuator.driver, || actuator.spec.simulate());
            self.equip_signal(&actuator.at, &actuator.spec);
        }
        for expander in &config.expanders {
            self.equip_place(&expander.at, expander.driver, || Some(expander.spec.simulate()));
        }
    }

    /// Connects the lines of a part that has a PWM channel as well.
    fn equip_signal(&self, at: &At, spec: &Arc<dyn ActuatorSpec>) {
        let At::Several(members) = at else { return };
        let signal = members.iter().find_map(|(_, at)| match at {
            At::Pwm(name) => Some(name),
            _ => None,
        });
        for (_, at) in members {
            if let (Some(signal), At::Line(line)) = (signal, at) {
                self.places().turned.insert(line.clone(), (signal.clone(), Arc::clone(spec)));
            }
        }
    }

    fn equip_place(&self, at: &At, driver: &'static Driver, model: impl Fn() -> Option<Box<dyn Part>>) {
        // Of a device that several stanzas describe there is one model, which has the registers of all.
        if let Some(there) = self.part(at)
            && let Some(there) = there.lock().described()
            && let Some(mut model) = model()
            && let Some(more) = model.described()
        {
            there.describe(more.registers());
            return;
        }
        let known = self.places().models.insert(at.clone(), driver.name);
        if known != Some(driver.name) {
            self.place(at, model());
        }
    }

    /// Puts `part` at a place, instead of what was there; nothing happens without a part.
    pub fn place(&self, at: &At, part: Option<Box<dyn Part>>) {
        let Some(part) = part.map(SharedPart::new) else { return };
        if let At::Several(members) = at {
            let lines = members.iter().filter_map(|(key, at)| Some((*key, self.line(at.line(key)?))));
            connect(&part, &lines.collect::<Vec<_>>());
        }
        let mut places = self.places();
        match at {
            At::I2c { bus, address } => places.i2c.entry(*bus).or_default().attach(*address, part.clone()),
            At::Spi { bus, chip_select } => {
                places.spi.insert((*bus, *chip_select), SpiSlot::new(Some(part.clone())));
            }
            At::Kernel { device, .. } => places.machine.attach(part.clone(), device.as_deref()),
            _ => {}
        }
        places.parts.insert(at.clone(), part);
    }

    /// The model at a place, to stimulate it.
    #[must_use]
    pub fn part(&self, at: &At) -> Option<SharedPart> {
        self.places().parts.get(at).cloned()
    }

    /// An I2C bus, to record what happens on it and to make it fail.
    #[must_use]
    pub fn i2c_bus(&self, bus: u8) -> I2cBus {
        self.places().i2c.entry(bus).or_default().clone()
    }

    /// A chip select, to make it fail.
    #[must_use]
    pub fn spi_slot(&self, bus: u8, chip_select: u8) -> SpiSlot {
        self.places().spi.entry((bus, chip_select)).or_default().clone()
    }

    /// The machine with what its kernel drives, to record what is read and written, and to make it fail.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.places().machine.clone()
    }

    /// A line, to pull it from outside and to see its level.
    #[must_use]
    pub fn line(&self, name: &LineName) -> Line {
        self.placed(name).line
    }

    /// A PWM channel, to see what it gives.
    #[must_use]
    pub fn pwm_channel(&self, name: &PwmName) -> Pwm {
        self.places().pwm.entry(name.clone()).or_default().channel.clone()
    }

    fn placed(&self, name: &LineName) -> Placed {
        self.places().lines.entry(name.clone()).or_default().clone()
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        // Entries are whole or not there: a panic elsewhere leaves nothing half done.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line `name` for one user at a time, as with the kernel.
    fn take(&self, name: &LineName) -> Result<Taken, PortError> {
        let Placed { line, taken } = self.placed(name);
        if taken.swap(true, Ordering::AcqRel) {
            return Err(PortError::new(FaultKind::Bus, format!("the line {name} is in use by \"halyard\"")));
        }
        Ok(Taken { line, taken })
    }
}

impl Bus for Simulated {
    /// What is added finds a model too.
    fn follow(&self, config: &Config) {
        self.equip(config);
    }

    fn i2c(&self, bus: u8, _address: u8) -> Result<I2cPort, PortError> {
        Ok(I2cPort(Box::new(self.i2c_bus(bus))))
    }

    fn i2c_buses(&self) -> Vec<u8> {
        let mut numbers: Vec<u8> = self.places().i2c.keys().copied().collect();
        sort(&mut numbers);
        numbers
    }

    fn i2c_taken(&self, _bus: u8, _address: u8) -> Option<String> {
        None
    }

    fn line_holder(&self, line: &LineName) -> Result<Option<String>, PortError> {
        Ok(self.placed(line).taken.load(Ordering::Acquire).then(|| "halyard".to_owned()))
    }

    fn spi(&self, bus: u8, chip_select: u8, _settings: SpiSettings) -> Result<SpiPort, PortError> {
        Ok(SpiPort(Box::new(self.spi_slot(bus, chip_select))))
    }

    fn output(&self, line: &LineName) -> Result<OutputPort, PortError> {
        Ok(OutputPort(Box::new(self.take(line)?)))
    }

    fn kernel(&self) -> Result<KernelPort, PortError> {
        Ok(self.machine().port())
    }

    fn pwm(&self, name: &PwmName) -> Result<PwmPort, PortError> {
        let PlacedPwm { channel, taken } = self.places().pwm.entry(name.clone()).or_default().clone();
        if taken.swap(true, Ordering::AcqRel) {
            let message = format!("the PWM channel {} is in use by \"halyard\"", At::Pwm(name.clone()));
            return Err(PortError::new(FaultKind::Bus, message));
        }
        Ok(PwmPort(Box::new(TakenPwm { channel, taken })))
    }

    fn input(&self, line: &LineName, settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        self.inputs(std::slice::from_ref(line), settings)
    }

    fn inputs(&self, lines: &[LineName], _settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        let taken = lines.iter().map(|line| self.take(line)).collect::<Result<Vec<_>, _>>()?;
        let (sender, edges) = broadcast::channel(KEPT);
        for (line, taken) in taken.iter().enumerate() {
            let sender = sender.clone();
            taken.line.watch(move |edge| sender.send(Edge { line, ..edge }).is_ok());
        }
        let names: Vec<_> = lines.iter().map(LineName::to_string).collect();
        Ok(Box::new(Watched { taken, edges, names: names.join(", "), lost: 0 }))
    }

    fn listen(&self, line: &LineName, _settings: InputSettings) -> Result<InputPort, PortError> {
        let turned = self.places().turned.get(line).cloned();
        if let Some((signal, spec)) = turned
            && let Some(edges) = spec.simulate_edges(&self.pwm_channel(&signal))
        {
            return Ok(InputPort(edges));
        }
        let taken = self.take(line)?;
        Ok(InputPort(Box::new(Heard { listener: taken.line.listen(), _taken: taken })))
    }

    fn serial(&self, path: &str, _settings: SerialSettings) -> Result<Box<dyn Serial>, PortError> {
        let part = self.part(&At::Serial(path.to_owned()));
        part.map(serial::open).ok_or_else(|| PortError::new(FaultKind::Absent, format!("there is no {path}")))
    }

    /// A serial line whatever the link is: what is simulated are devices.
    fn modbus(&self, link: &Link, unit: u8, settings: ModbusSettings) -> Result<ModbusPort, PortError> {
        let (parts, on) = (Arc::clone(&self.places), link.clone());
        let find = move |unit| {
            let places = parts.lock().unwrap_or_else(PoisonError::into_inner);
            places.parts.get(&At::Modbus { link: on.clone(), unit }).cloned()
        };
        let find = Arc::new(find);
        let open = move || {
            let find = Arc::clone(&find);
            Ok(serial::open_line(move |unit| find(unit)))
        };
        self.modbus.device(&Link::Serial(link.to_string()), unit, settings, Box::new(open))
    }
}

/// A line that somebody has open.
struct Taken {
    line: Line,
    taken: Arc<AtomicBool>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.taken.store(false, Ordering::Release);
    }
}

impl OutputLine for Taken {
    fn drive(&mut self, high: bool) -> Result<(), PortError> {
        self.line.drive(high)
    }

    fn level(&mut self) -> Result<bool, PortError> {
        self.line.level()
    }
}

/// A PWM channel that somebody has open.
struct TakenPwm {
    channel: Pwm,
    taken: Arc<AtomicBool>,
}

impl Drop for TakenPwm {
    fn drop(&mut self) {
        self.taken.store(false, Ordering::Release);
    }
}

impl PwmOutput for TakenPwm {
    fn pulses(&mut self, period_ns: u64, high_ns: u64) -> Result<(), PortError> {
        self.channel.pulses(period_ns, high_ns)
    }

    fn found(&mut self) -> Result<Option<(u64, u64)>, PortError> {
        self.channel.found()
    }
}

struct Watched {
    taken: Vec<Taken>,
    edges: broadcast::Receiver<Edge>,
    names: String,
    /// Since the last edge that was taken.
    lost: u32,
}

impl Edges for Watched {
    fn level(&mut self) -> Result<Edge, PortError> {
        let first = self.levels()?.into_iter().next();
        first.ok_or_else(|| PortError::new(FaultKind::Rejected, "there is no line to watch"))
    }

    fn levels(&mut self) -> Result<Vec<Edge>, PortError> {
        let time = SystemTime::now();
        let level = |(line, taken): (usize, &mut Taken)| Ok(Edge { line, ..Edge::new(taken.level()?, time) });
        self.taken.iter_mut().enumerate().map(level).collect()
    }

    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<Edge, PortError>> + Send + '_>> {
        Box::pin(async {
            loop {
                match self.edges.recv().await {
                    Ok(edge) => return Ok(Edge { lost: std::mem::take(&mut self.lost), ..edge }),
                    Err(RecvError::Lagged(lost)) => {
                        tracing::warn!(line = %self.names, lost, "edges came faster than they were taken: the oldest are lost");
                        self.lost = self.lost.saturating_add(u32::try_from(lost).unwrap_or(u32::MAX));
                    }
                    Err(RecvError::Closed) => return Err(PortError::new(FaultKind::Absent, "the line is gone")),
                }
            }
        })
    }
}

/// A line that a worker listens to.
struct Heard {
    listener: Listener,
    _taken: Taken,
}

impl InputLine for Heard {
    fn level(&mut self) -> Result<bool, PortError> {
        self.listener.level()
    }

    fn edge(&mut self, patience: Duration) -> Result<Option<(bool, Duration)>, PortError> {
        self.listener.edge(patience)
    }
}

#[cfg(test)]
mod tests;
