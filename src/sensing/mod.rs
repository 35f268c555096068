//! From a part to a state: schedule, workers, filters.

pub mod edges;
pub mod filter;
pub mod records;
pub mod sampled;
pub mod serial;
mod shape;

use crate::bus::Bus;
use crate::config::{At, SensorConfig, Source};
use crate::reporter::Reporter;
use crate::watchdog::Watchdog;
use halyard_drivers::port::{ModbusSettings, SpiSettings, Wire};
use halyard_drivers::{ActuatorSpec, Fault, SensorSpec};
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
#[derive(Clone, Copy, Debug, Default)]
pub struct Wants {
    /// Of an SPI bus.
    pub spi: Option<SpiSettings>,
    /// Of a Modbus line.
    pub modbus: Option<ModbusSettings>,
}

impl Wants {
    /// Of a sensor.
    #[must_use]
    pub fn of(spec: &dyn SensorSpec) -> Self {
        Self { spi: spec.spi(), modbus: spec.modbus() }
    }

    /// Of an actuator.
    #[must_use]
    pub fn of_actuator(spec: &dyn ActuatorSpec) -> Self {
        Self { spi: None, modbus: spec.modbus() }
    }
}

/// Opens the wire to a part.
///
/// # Errors
/// A [`Fault`] of the bus.
pub fn wire(bus: &dyn Bus, at: &At, wants: Wants) -> Result<Wire, Fault> {
    Ok(match at {
        At::I2c { bus: number, address } => Wire::I2c(bus.i2c(*number, *address)?, *address),
        At::Spi { bus: number, chip_select } => {
            let settings = wants.spi.ok_or_else(|| Fault::rejected("this driver is not for SPI"))?;
            Wire::Spi(bus.spi(*number, *chip_select, settings)?)
        }
        At::Line(line) => Wire::Output(bus.output(line)?),
        At::Pwm(name) => Wire::Pwm(bus.pwm(name)?),
        At::Kernel { device, .. } => Wire::Kernel(bus.kernel()?, device.clone()),
        At::Modbus { link, unit } => {
            let settings = wants.modbus.ok_or_else(|| Fault::rejected("this driver is not for Modbus"))?;
            Wire::Modbus(bus.modbus(link, *unit, settings)?)
        }
        At::Several(members) => {
            let wires = members.iter().map(|(key, at)| Ok((*key, wire(bus, at, wants)?)));
            Wire::Several(wires.collect::<Result<_, Fault>>()?)
        }
        At::Serial(_) => return Err(Fault::rejected("this driver is not for a serial port")),
    })
}

/// Opens the wire to a sensor's part: of its lines, those that it listens to are inputs.
///
/// # Errors
/// A [`Fault`] of the bus.
pub fn wire_of(bus: &dyn Bus, at: &At, spec: &dyn SensorSpec) -> Result<Wire, Fault> {
    let At::Several(members) = at else { return wire(bus, at, Wants::of(spec)) };
    let member = |(key, at): &(&'static str, At)| match (spec.listens(key), at) {
        (Some(settings), At::Line(line)) => Ok((*key, Wire::Input(bus.listen(line, settings)?))),
        _ => Ok((*key, wire(bus, at, Wants::of(spec))?)),
    };
    Ok(Wire::Several(members.iter().map(member).collect::<Result<_, Fault>>()?))
}

/// The next pause of a backoff.
fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}
