//! Driver for whatever a GPIO line can tell: a door contact, a button, a float switch, a motion detector.

mod presses;
#[cfg(test)]
mod tests;

use crate::channel::{Channel, Quantity};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::edge::{Edge, EdgeSensor, EdgeSpec, Emit, Play};
use crate::options::{Span, read, shape};
use crate::port::{InputSettings, Pull};
use crate::sensor::Sample;
use crate::value::Value;
use presses::{Presses, Times};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
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
    options: shape!(Options),
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
    /// What a button tells besides its state, each press once: `[press, double, long]`. An event is a message on the state's
    /// topic that is not retained. Give a `debounce`, or each bounce of the contact is a press.
    pub events: BTreeSet<Press>,
    /// How long a press lasts for `long`.
    pub long_press: Span,
    /// How soon after a release the next press makes it a `double`. With `double` among the events, `press` is told this much
    /// later: only then is it known that it was one.
    pub double_press: Span,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pull: Pull::default(),
            debounce: Span(Duration::ZERO),
            invert: false,
            device_class: None,
            events: BTreeSet::new(),
            long_press: Span(Duration::from_millis(800)),
            double_press: Span(Duration::from_millis(350)),
        }
    }
}

/// What can be told of a button.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Press {
    /// It was pressed and released, before it was `long` and without a second press that would make it `double`.
    Press,
    /// It was pressed a second time, told at that moment. However long it is held then, nothing more follows.
    Double,
    /// It is held, told as soon as it is for that long. Nothing follows its release.
    Long,
}

impl Press {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Press => "press",
            Self::Double => "double",
            Self::Long => "long",
        }
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

    fn events(&self) -> Vec<&'static str> {
        self.events.iter().map(|event| event.name()).collect()
    }

    fn input(&self) -> InputSettings {
        InputSettings { pull: self.pull, debounce: self.debounce.0 }
    }

    fn play(&self) -> Play {
        if self.events.is_empty() { Play::Contact } else { Play::Button }
    }

    fn open(&self) -> Box<dyn EdgeSensor> {
        let has = |event| self.events.contains(&event);
        let times = Times {
            long: has(Press::Long).then_some(self.long_press.0),
            double: has(Press::Double).then_some(self.double_press.0),
        };
        Box::new(DigitalInput {
            invert: self.invert,
            state: None,
            presses: Presses::new(times),
            single: has(Press::Press),
        })
    }
}

/// An input: says each change of state once, and what the changes of a button mean.
struct DigitalInput {
    invert: bool,
    /// Said last.
    state: Option<bool>,
    presses: Presses,
    /// Whether a plain press is told.
    single: bool,
}

impl DigitalInput {
    fn tell(&self, pressed: Option<(SystemTime, Press)>, emit: &mut Emit<'_>) {
        if let Some((time, press)) = pressed
            && (press != Press::Press || self.single)
        {
            emit(time, Ok(Sample::of_event(press.name())));
        }
    }

    /// Says a state if it is another one; gives whether it is.
    fn say(&mut self, edge: Edge, emit: &mut Emit<'_>) -> bool {
        let state = edge.high != self.invert;
        let is_new = self.state.replace(state) != Some(state);
        if is_new {
            let mut sample = Sample::new(STATE + 1);
            sample.set(STATE, Value::Switch(state));
            emit(edge.time, Ok(sample));
        }
        is_new
    }
}

impl EdgeSensor for DigitalInput {
    /// How long a button that is found pressed has been so is not known: it is not told of.
    fn level(&mut self, level: Edge, emit: &mut Emit<'_>) {
        self.presses.forget();
        self.say(level, emit);
    }

    /// An edge to the level that is already known means that the one between was too short to be seen: the state
    /// did not change.
    fn edge(&mut self, edge: Edge, emit: &mut Emit<'_>) {
        self.pass(edge.time, emit);
        if self.say(edge, emit) {
            let pressed = self.presses.change(self.state == Some(true), edge.time);
            self.tell(pressed, emit);
        }
    }

    fn deadline(&self) -> Option<SystemTime> {
        self.presses.deadline()
    }

    fn pass(&mut self, time: SystemTime, emit: &mut Emit<'_>) {
        let pressed = self.presses.pass(time);
        self.tell(pressed, emit);
    }
}
