//! Sensors of a benchmark's own: slow parts on simulated buses, their drivers, and their tasks as the agent runs them.

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use halyard::bus::Simulated;
use halyard::config::{At, SensorConfig, Source, Store};
use halyard::reporter::Reporter;
use halyard::sensing::{self, Records, Surroundings};
use halyard::watchdog::Watchdog;
use halyard_drivers::port::{Delay, I2cPort, Wire};
use halyard_drivers::sim::{I2cPart, Part};
use halyard_drivers::{Fault, SensorSpec, sht4x};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A part on an I2C bus, as its driver has it.
pub struct Port {
    i2c: I2cPort,
    address: u8,
}

impl Port {
    /// What a driver is opened with.
    pub fn new(wire: Wire) -> Self {
        let Wire::I2c(i2c, address) = wire else { unreachable!("it is configured on an I2C bus") };
        Self { i2c, address }
    }

    /// Starts a conversion, waits for it without the bus, and reads its result.
    pub fn convert<const N: usize>(&mut self, time: Duration) -> Result<[u8; N], Fault> {
        self.i2c.write(self.address, &[0]).map_err(|error| Fault::i2c(error, "starting a conversion"))?;
        Delay.delay_ms(u32::try_from(time.as_millis()).unwrap());
        let mut bytes = [0; N];
        self.i2c.read(self.address, &mut bytes).map_err(|error| Fault::i2c(error, "reading it"))?;
        Ok(bytes)
    }
}

/// A part that has an I2C interface and nothing else.
pub struct OnI2c<P>(pub P);

impl<P: I2cPart + Send> Part for OnI2c<P> {
    fn stimulate(&mut self, _: &str, _: f64) -> bool {
        false
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(&mut self.0)
    }
}

/// What sensors on this bus have around them.
pub fn surroundings(bus: &Arc<Simulated>, reporter: Reporter) -> Surroundings {
    Surroundings { bus: Arc::clone(bus) as _, reporter, watchdog: Watchdog::default(), records: Records::default() }
}

/// Puts its part on the bus and starts a sensor. To be called in a runtime.
pub fn start(
    bus: &Simulated,
    id: String,
    at: At,
    spec: Arc<dyn SensorSpec>,
    every: Duration,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) {
    bus.place(&at, spec.simulate());
    let sensor = SensorConfig {
        id,
        name: None,
        driver: &sht4x::DRIVER,
        at,
        source: Source::Sampled { spec, every },
        filters: Vec::new(),
        store: Store::Latest,
        fingerprint: Default::default(),
    };
    surroundings.reporter.add(&sensor.id, sensor.id.clone(), sensor.store);
    let (requests, inbox) = mpsc::channel(1);
    let (surroundings, cancel) = (surroundings.clone(), cancel.clone());
    #[allow(clippy::disallowed_methods)] // the library's own is private
    tokio::spawn(async move {
        let _requests = requests; // It ends when nobody can ask it any more.
        sensing::run(sensor, surroundings, inbox, cancel).await;
    });
}
