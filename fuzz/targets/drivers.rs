//! What reaches the drivers from their parts. Each function takes whatever there is, and must not panic; what a driver gives has
//! to keep its promises.
#![allow(dead_code)] // each target uses one
#![allow(missing_docs)]

pub mod noisy;

use halyard_drivers::port::{I2cPort, SpiPort, Wire};
use halyard_drivers::sim::{I2cBus, SpiSlot};
use halyard_drivers::{Attachment, Channel, DRIVERS, Sample, Sensor, SensorSpec, Spec, Value};
use noisy::Noisy;
use std::sync::Arc;

/// The first byte chooses a driver on a serial port, the second the length of the pieces in which the rest comes.
pub fn serial(data: &[u8]) {
    let [choice, piece, rest @ ..] = data else { return };
    let specs: Vec<_> = DRIVERS
        .iter()
        .filter_map(|driver| match (driver.defaults)() {
            Spec::Serial(spec) => Some(spec),
            _ => None,
        })
        .collect();
    let spec = &specs[usize::from(*choice) % specs.len()];
    let hear = |length: usize| {
        let mut sensor = spec.open();
        sensor.request(&mut Vec::new());
        let mut all = Vec::new();
        for bytes in rest.chunks(length) {
            sensor.receive(bytes, &mut |result| {
                // Ranges are checked for all that talk by themselves in one place, after this.
                for number in result.iter().flat_map(Sample::values).flatten().filter_map(Value::number) {
                    assert!(number.is_finite());
                }
                all.push(format!("{result:?}"));
            });
        }
        all
    };
    assert_eq!(hear(usize::from(*piece).max(1)), hear(rest.len().max(1)), "in pieces, and whole");
}

/// The first byte chooses a sensor on I2C or SPI, and the second what its part answers: what its model does with bits changed
/// by the rest, or the rest alone.
pub fn answers(data: &[u8]) {
    let [choice, way, rest @ ..] = data else { return };
    let sensors: Vec<_> = DRIVERS
        .iter()
        .filter_map(|driver| match (driver.defaults)() {
            Spec::Sensor(spec) => Some((spec, driver.attachments)),
            _ => None,
        })
        .flat_map(|(spec, attachments)| attachments.iter().map(move |attachment| (spec.clone(), *attachment)))
        .filter(|(_, attachment)| matches!(attachment, Attachment::I2c { .. } | Attachment::Spi))
        .collect();
    let (spec, attachment) = &sensors[usize::from(*choice) % sensors.len()];
    let Some(part) = spec.simulate() else { return };
    let part = Noisy::shared(part, rest.to_vec(), way % 2 == 1);
    let wire = match attachment {
        Attachment::I2c { addresses } => {
            let bus = I2cBus::new();
            bus.attach(addresses[0], part);
            Wire::I2c(I2cPort(Box::new(bus)), addresses[0])
        }
        _ => Wire::Spi(SpiPort(Box::new(SpiSlot::new(Some(part))))),
    };
    let Ok(mut sensor) = spec.open(wire) else { return };
    for _ in 0..3 {
        sample(spec, &mut *sensor);
    }
    let _ = sensor.halt();
}

fn sample(spec: &Arc<dyn SensorSpec>, sensor: &mut dyn Sensor) {
    let channels = spec.channels();
    let mut out = Sample::new(channels.len());
    if sensor.sample(&mut out).is_ok() {
        check(&channels, &out);
    }
}

/// Numbers are within the range of their channel.
fn check(channels: &[Channel], sample: &Sample) {
    for (value, channel) in sample.values().iter().zip(channels) {
        let Some(number) = value.as_ref().and_then(Value::number) else { continue };
        let within = channel.range.as_ref().is_none_or(|range| range.contains(&number));
        assert!(number.is_finite() && within, "{} is {number}", channel.name);
    }
}
