//! A greenhouse as a few equations, in a day of ten minutes.

use halyard_drivers::Channel;
use std::f64::consts::{PI, TAU};
use std::time::Duration;

/// Length of a day here, in s.
const DAY: f64 = 600.0;
/// Mean temperature outside and how far it swings, in °C.
const OUTSIDE: (f64, f64) = (12.0, 5.0);
/// How fast the air takes on the temperature outside: time constant in s with the door closed, and open.
const LEAK: (f64, f64) = (60.0, 12.0);
/// What the sun at noon and the heater add, in °C/s.
const SUN: f64 = 0.13;
const HEATER: f64 = 0.25;
/// Time constant of the humidity in s.
const DAMP: f64 = 15.0;
/// What the pump adds to the soil each second, and the time constant of its drying in s.
const WATERING: f64 = 0.02;
const DRYING: f64 = 400.0;

/// What people and machines do to the greenhouse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Influence {
    /// The heater is on.
    pub heater: bool,
    /// The pump is on.
    pub pump: bool,
    /// The door is open.
    pub door: bool,
}

/// The greenhouse and the weather around it.
#[derive(Clone, Debug)]
pub struct World {
    /// Seconds since it began, in the morning.
    time: f64,
    /// Temperature of the air in °C.
    air: f64,
    /// Relative humidity in %.
    humidity: f64,
    /// Water in the soil: 0 is dry, 1 is wet.
    soil: f64,
}

impl Default for World {
    fn default() -> Self {
        Self { time: 0.0, air: 16.0, humidity: 62.0, soil: 0.55 }
    }
}

impl World {
    /// Lets `dt` pass. Any length is sound: all of it approaches an equilibrium.
    pub fn step(&mut self, dt: Duration, influence: Influence) {
        let dt = dt.as_secs_f64();
        self.time += dt;
        let leak = if influence.door { LEAK.1 } else { LEAK.0 };
        let warming = SUN * self.sun() + if influence.heater { HEATER } else { 0.0 };
        self.air = approach(self.air, self.outside() + warming * leak, dt / leak);
        // Warm air holds more water; the pump wets it, and an open door lets the air outside in.
        let damp = 62.0 - 1.6 * (self.air - 16.0) + if influence.pump { 18.0 } else { 0.0 };
        let damp = if influence.door { 0.5 * (damp + 75.0) } else { damp };
        self.humidity = approach(self.humidity, damp.clamp(15.0, 97.0), dt / DAMP);
        let watering = if influence.pump { WATERING } else { 0.0 };
        self.soil = approach(self.soil, watering * DRYING, dt / DRYING).min(1.0);
    }

    /// Height of the sun: 0 at night, 1 at noon.
    fn sun(&self) -> f64 {
        (TAU * self.time / DAY).sin().max(0.0)
    }

    /// Temperature outside in °C: warmest in the afternoon.
    fn outside(&self) -> f64 {
        OUTSIDE.0 + OUTSIDE.1 * (TAU * self.time / DAY - PI / 4.0).sin()
    }

    /// Slow waves for whatever has no equation of its own, from -1 to 1; `phase` tells them apart.
    fn wave(&self, phase: f64) -> f64 {
        (TAU * (self.time / 90.0 + phase)).sin()
    }

    /// What a channel of the sensor `id` would measure here, in its unit; `None` for a channel that is no number.
    /// Always well inside of the channel's range: parts report what is at its ends as a fault.
    #[must_use]
    pub fn value(&self, id: &str, channel: &Channel) -> Option<f64> {
        let range = channel.range.as_ref()?;
        let (low, high) = (*range.start(), *range.end());
        let phase = phase(id, &channel.name);
        let named = |word: &str| id.contains(word) || channel.name.contains(word);
        let value = match channel.quantity.device_class {
            Some("temperature") if named("outside") || named("outdoor") => self.outside(),
            // A processor in this air, which has more to do now and then.
            Some("temperature") if named("cpu") => self.air + 25.0 + 4.0 * self.wave(phase),
            // No two sensors hang in the same corner.
            Some("temperature") => self.air + 0.6 * (phase - 0.5),
            Some("humidity") => self.humidity + 2.0 * (phase - 0.5),
            Some("atmospheric_pressure") => 1_013.0 + 3.0 * self.wave(phase),
            Some("illuminance") => 20.0 + 30_000.0 * self.sun(),
            // A capacitive probe: 2.8 V in dry soil, 1.2 V in water.
            Some("voltage") if named("soil") || named("bed") || named("pot") => {
                2.8 - 1.6 * self.soil + 0.2 * (phase - 0.5)
            }
            // A photo resistor.
            Some("voltage") if named("light") || named("sun") || named("solar") => 0.3 + 2.4 * self.sun(),
            Some("carbon_dioxide") => 750.0 + 250.0 * self.wave(phase),
            Some("pm1" | "pm25" | "pm10") => 12.0 + 6.0 * self.wave(phase),
            Some("signal_strength") => -58.0 + 6.0 * self.wave(phase),
            Some("duration") => self.time,
            // Of the computer: it has little to do.
            _ if channel.name.starts_with("load") => return Some(0.3 + 0.2 * self.wave(phase)),
            _ if channel.name == "memory_used" => 24.0 + 3.0 * self.wave(phase),
            _ if channel.name == "disk_used" => 31.0 + 0.001 * self.time,
            Some("speed") => 8.0 + 2.0 * self.wave(phase),
            // Around the garden, with an ordinary fix.
            _ if channel.name == "fix" => 1.0,
            _ if channel.name == "altitude" => 34.0 + 2.0 * self.wave(phase),
            _ if channel.name == "latitude" => 52.52 + 1e-4 * self.wave(phase),
            _ if channel.name == "longitude" => 13.405 + 1e-4 * self.wave(phase),
            // Nothing is known of it.
            _ if high - low > 1e9 => 50.0 + 25.0 * self.wave(phase),
            Some("moisture") => 100.0 * self.soil,
            _ => low / 2.0 + high / 2.0 + (high / 8.0 - low / 8.0) * self.wave(phase),
        };
        let margin = ((high - low) / 50.0).min(5.0);
        let value = value.max(low + margin).min(high - margin);
        value.is_finite().then_some(value)
    }
}

/// From `value` towards `target`, by so many time constants.
fn approach(value: f64, target: f64, constants: f64) -> f64 {
    target + (value - target) * (-constants).exp()
}

/// A number from 0 to 1 that is always the same for the same names.
fn phase(id: &str, channel: &str) -> f64 {
    // FNV-1a, 32 bits.
    let hash = id.bytes().chain([0]).chain(channel.bytes());
    f64::from(hash.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)))
        / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use halyard_drivers::Quantity;

    const SECOND: Duration = Duration::from_secs(1);

    fn after(seconds: u32, influence: Influence) -> World {
        let mut world = World::default();
        (0..seconds).for_each(|_| world.step(SECOND, influence));
        world
    }

    const NOTHING: Influence = Influence { heater: false, pump: false, door: false };
    const HEATED: Influence = Influence { heater: true, ..NOTHING };
    const WATERED: Influence = Influence { pump: true, ..NOTHING };

    #[test]
    fn the_heater_warms_and_the_door_cools() {
        let (idle, heated) = (after(30, NOTHING), after(30, HEATED));
        assert!(heated.air > idle.air + 3.0, "{} {}", heated.air, idle.air);
        assert!(heated.humidity < idle.humidity, "warm air is drier");
        let mut aired = heated.clone();
        let mut closed = heated;
        (0..10).for_each(|_| {
            aired.step(SECOND, Influence { door: true, ..NOTHING });
            closed.step(SECOND, NOTHING);
        });
        assert!(aired.air < closed.air - 2.0, "{} {}", aired.air, closed.air);
    }

    #[test]
    fn the_pump_wets_soil_and_air() {
        let (idle, watered) = (after(20, NOTHING), after(20, WATERED));
        assert!(watered.soil > idle.soil + 0.2 && watered.humidity > idle.humidity + 5.0);
        let probe = Channel::number("soil", Quantity::VOLTAGE, 0.0..=3.3);
        assert!(watered.value("adc", &probe) < idle.value("adc", &probe), "wet soil gives less voltage");
    }

    #[test]
    fn days_come_and_go() {
        let light = Channel::number("light", Quantity::VOLTAGE, 0.0..=3.3);
        let noon = after(150, NOTHING);
        let night = after(450, NOTHING);
        assert!(noon.value("adc", &light) > night.value("adc", &light));
        assert!(noon.air > night.air + 5.0);
    }

    #[test]
    fn any_length_of_step_is_sound() {
        let mut slow = after(100_000, HEATED);
        slow.step(Duration::from_secs(1_000_000_000), WATERED);
        assert!((-40.0..60.0).contains(&slow.air) && (0.0..=100.0).contains(&slow.humidity), "{slow:?}");
        assert!((0.0..=1.0).contains(&slow.soil));
    }

    #[test]
    fn whatever_is_measured_is_plausible_and_moves() {
        let part = |unit, class| Quantity { unit: Some(unit), device_class: Some(class), ..Quantity::STATE };
        let channels = [
            Channel::number("temperature", Quantity::TEMPERATURE, -40.0..=85.0),
            Channel::number("outside", Quantity::TEMPERATURE, -40.0..=85.0),
            Channel::number("humidity", Quantity::HUMIDITY, 0.0..=100.0),
            Channel::number("pressure", Quantity::PRESSURE, 300.0..=1100.0),
            Channel::number("battery", Quantity::VOLTAGE, -4.096..=4.096),
            Channel::number("bed", Quantity::VOLTAGE, 0.0..=2.0),
            Channel::number("light", part("lx", "illuminance"), 0.0..=65_535.0),
            Channel::number("soil", part("%", "moisture"), 0.0..=100.0),
            Channel::number("cpu_temperature", Quantity::TEMPERATURE, -55.0..=150.0),
            Channel::number("signal", part("dBm", "signal_strength"), -120.0..=20.0),
            Channel::number("load_1", Quantity::STATE, 0.0..=4e6),
            Channel::number("uptime", part("s", "duration"), 0.0..=3e9),
            Channel::number("memory_used", part("%", "none"), 0.0..=100.0),
            Channel::number("dust", part("µg/m³", "pm25"), 0.0..=1000.0),
        ];
        for channel in &channels {
            let mut world = World::default();
            let range = channel.range.clone().unwrap();
            let mut seen = Vec::new();
            for _ in 0..600 {
                world.step(SECOND, WATERED);
                let value = world.value("x", channel).unwrap();
                assert!(*range.start() < value && value < *range.end(), "{} {value}", channel.name);
                seen.push(value);
            }
            assert!(seen.iter().any(|value| (value - seen[0]).abs() > 1e-3), "{} stands still", channel.name);
        }
        assert_eq!(World::default().value("door", &Channel::switch("state", Quantity::STATE)), None);
        for range in [f64::NEG_INFINITY..=f64::INFINITY, f64::NAN..=1.0, f64::MIN..=f64::MAX] {
            let odd = Channel::number("odd", Quantity::VOLTAGE, range);
            assert!(World::default().value("x", &odd).is_none_or(f64::is_finite));
        }
    }
}
