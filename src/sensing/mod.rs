//! From a part to a state: schedule, workers, filters.

pub mod edges;
pub mod filter;
pub mod records;
pub mod sampled;
pub mod serial;
mod shape;

use crate::bus::{Bus, writing};
use crate::config::{At, SensorConfig, Source};
use crate::reporter::Reporter;
use crate::watchdog::Watchdog;
use halyard_drivers::port::{InputSettings, ModbusSettings, SerialSettings, SpiSettings, Wire};
use halyard_drivers::{ActuatorSpec, ExpanderSpec, Fault, SensorSpec};
use serde_json::Value as Json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use records::Records;
pub use shape::{Shape, json_of};

/// First pause before a part that is away is looked for again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a sensor's task lives in.
#[derive(Clone)]
pub struct Surroundings {
    /// Buses and lines.
    pub bus: Arc<dyn Bus>,
    /// Where states and faults go.
    pub reporter: Reporter,
    /// Whom to tell of progress.
    pub watchdog: Watchdog,
    /// What has to survive a restart.
    pub records: Records,
}

/// Asks a sensor's task for a state now.
pub type ReadRequest = oneshot::Sender<Result<Json, Fault>>;

/// Runs a sensor until `cancel`: nothing that happens to its part ends it.
pub async fn run(
    sensor: SensorConfig,
    surroundings: Surroundings,
    requests: mpsc::Receiver<ReadRequest>,
    cancel: CancellationToken,
) {
    match sensor.source.clone() {
        Source::Sampled { spec, every } => sampled::run(&sensor, spec, every, &surroundings, requests, &cancel).await,
        Source::Edges { spec, every } => edges::run(&sensor, spec, every, &surroundings, requests, &cancel).await,
        Source::Serial { spec, every } => serial::run(&sensor, spec, every, &surroundings, requests, &cancel).await,
    }
}

/// How a sensor or actuator is called in the log: `climate (bme280 at i2c-1/0x76)`.
#[must_use]
pub fn title(id: &str, driver: &str, at: &At) -> String {
    format!("{id} ({driver} at {at})")
}

/// How a part wants what it is connected to.
pub trait Wants {
    /// Its SPI bus.
    fn spi(&self) -> Option<SpiSettings>;

    /// Its Modbus line.
    fn modbus(&self) -> Option<ModbusSettings>;

    /// Its serial port, if it writes to one: sensors on ports have their own way.
    fn serial(&self) -> Option<SerialSettings> {
        None
    }

    /// The line with this key, if it listens to it.
    fn listens(&self, key: &str) -> Option<InputSettings>;
}

impl Wants for dyn SensorSpec {
    fn spi(&self) -> Option<SpiSettings> {
        SensorSpec::spi(self)
    }

    fn modbus(&self) -> Option<ModbusSettings> {
        SensorSpec::modbus(self)
    }

    fn listens(&self, key: &str) -> Option<InputSettings> {
        SensorSpec::listens(self, key)
    }
}

impl Wants for dyn ActuatorSpec {
    fn serial(&self) -> Option<SerialSettings> {
        ActuatorSpec::serial(self)
    }

    fn spi(&self) -> Option<SpiSettings> {
        ActuatorSpec::spi(self)
    }

    fn modbus(&self) -> Option<ModbusSettings> {
        ActuatorSpec::modbus(self)
    }

    fn listens(&self, key: &str) -> Option<InputSettings> {
        ActuatorSpec::listens(self, key)
    }
}

/// An expander is on I2C.
impl Wants for dyn ExpanderSpec {
    fn spi(&self) -> Option<SpiSettings> {
        None
    }

    fn modbus(&self) -> Option<ModbusSettings> {
        None
    }

    fn listens(&self, _key: &str) -> Option<InputSettings> {
        None
    }
}

/// Opens the wire to a part: of its lines, those that it listens to are inputs.
///
/// # Errors
/// A [`Fault`] of the bus.
pub fn wire<W: Wants + ?Sized>(bus: &dyn Bus, at: &At, wants: &W) -> Result<Wire, Fault> {
    Ok(match at {
        At::I2c { bus: number, address } => Wire::I2c(bus.i2c(*number, *address)?, *address),
        At::Spi { bus: number, chip_select } => {
            let settings = wants.spi().ok_or_else(|| Fault::rejected("this driver is not for SPI"))?;
            Wire::Spi(bus.spi(*number, *chip_select, settings)?)
        }
        At::Line(line) => Wire::Output(bus.output(line)?),
        At::Pwm(name) => Wire::Pwm(bus.pwm(name)?),
        At::Kernel { device, .. } => Wire::Kernel(bus.kernel()?, device.clone()),
        At::Modbus { link, unit } => {
            let settings = wants.modbus().ok_or_else(|| Fault::rejected("this driver is not for Modbus"))?;
            Wire::Modbus(bus.modbus(link, *unit, settings)?)
        }
        At::Several(members) => {
            let member = |(key, at): &(&'static str, At)| match (wants.listens(key), at) {
                (Some(settings), At::Line(line)) => Ok((*key, Wire::Input(bus.listen(line, settings)?))),
                _ => Ok((*key, wire(bus, at, wants)?)),
            };
            Wire::Several(members.iter().map(member).collect::<Result<_, Fault>>()?)
        }
        At::Serial(path) => {
            let settings = wants.serial().ok_or_else(|| Fault::rejected("this driver is not for a serial port"))?;
            Wire::Serial(writing(bus.serial(path, settings)?))
        }
    })
}

/// The next pause of a backoff.
fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}
