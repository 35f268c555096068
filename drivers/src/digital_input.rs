//! Driver for whatever a GPIO line can tell: a door contact, a button, a float switch, a motion detector.

#[cfg(test)]
mod tests;

use crate::channel::{Channel, Quantity};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::options::{Span, read};
use crate::port::{InputSettings, Pull};
use crate::sensor::{Edge, EdgeSensor, EdgeSpec, Sample};
use crate::value::Value;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "digital-input",
    summary: "GPIO line as an input: a contact, a button, a motion detector",
    source: "Linux, GPIO character device",
    role: Role::Sensor,
    attachments: &[Attachment::InputLine],
    identity: &[],
    example: "\
- id: door
  driver: digital-input
  line: GPIO17
  pull: up
  debounce: 10ms
  device_class: door
",
    defaults: || Spec::Edge(Arc::new(Options::default())),
    schema: || schema_for!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Edge(Arc::new(options))),
};

/// Index of the channel.
const STATE: usize = 0;

/// Options of the `digital-input` driver.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The resistor inside the chip that holds the line while nothing drives it.
    pub pull: Pull,
    /// How long a level has to hold before it counts; `0ms` counts every edge. The time stamp is the kernel's.
    pub debounce: Span,
    /// Swaps the states: `ON` is low then, as for a contact to ground with `pull: up`.
    pub invert: bool,
    /// What the state means to Home Assistant.
    pub device_class: Option<DeviceClass>,
}

impl Default for Options {
    fn default() -> Self {
        Self { pull: Pull::default(), debounce: Span(Duration::ZERO), invert: false, device_class: None }
    }
}

/// Declares Home Assistant's device classes of binary sensors: the name in the configuration is Home Assistant's.
macro_rules! device_classes {
    ($($variant:ident = $name:literal,)+) => {
        /// What the state means to Home Assistant: a device class of its binary sensors.
        #[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
        #[allow(missing_docs)] // the names are Home Assistant's
        pub enum DeviceClass {
            $(#[serde(rename = $name)] $variant,)+
        }

        impl DeviceClass {
            /// Home Assistant's name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

device_classes! {
    Battery = "battery",
    BatteryCharging = "battery_charging",
    CarbonMonoxide = "carbon_monoxide",
    Cold = "cold",
    Connectivity = "connectivity",
    Door = "door",
    GarageDoor = "garage_door",
    Gas = "gas",
    Heat = "heat",
    Light = "light",
    Lock = "lock",
    Moisture = "moisture",
    Motion = "motion",
    Moving = "moving",
    Occupancy = "occupancy",
    Opening = "opening",
    Plug = "plug",
    Power = "power",
    Presence = "presence",
    Problem = "problem",
    Running = "running",
    Safety = "safety",
    Smoke = "smoke",
    Sound = "sound",
    Tamper = "tamper",
    Update = "update",
    Vibration = "vibration",
    Window = "window",
}

impl EdgeSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        let device_class = self.device_class.map(DeviceClass::name);
        vec![Channel::switch("state", Quantity { device_class, ..Quantity::STATE })]
    }

    fn input(&self) -> InputSettings {
        InputSettings { pull: self.pull, debounce: self.debounce.0 }
    }

    fn open(&self) -> Box<dyn EdgeSensor> {
        Box::new(DigitalInput { invert: self.invert, state: None })
    }
}

/// An input: says each change of state once.
struct DigitalInput {
    invert: bool,
    /// Said last.
    state: Option<bool>,
}

impl EdgeSensor for DigitalInput {
    fn level(&mut self, level: Edge, emit: &mut dyn FnMut(SystemTime, Sample)) {
        self.edge(level, emit);
    }

    /// An edge to the level that is already known means that the one between was too short to be seen: the state
    /// did not change.
    fn edge(&mut self, edge: Edge, emit: &mut dyn FnMut(SystemTime, Sample)) {
        let state = edge.high != self.invert;
        if self.state.replace(state) != Some(state) {
            let mut sample = Sample::new(STATE + 1);
            sample.set(STATE, Value::Switch(state));
            emit(edge.time, sample);
        }
    }
}
