//! Driver for OLED displays with the controller SSD1306: lines of text with live values, and messages.
//!
//! Source: Solomon Systech, "SSD1306" (Rev 1.5 Aug 2010); the order of the settings is that of its software
//! initialization flow chart, which public copies of it give alike. The fonts are the public domain ones of X11, by the crate
//! embedded-graphics.
//!
//! On I2C only: on SPI the part wants a line of its own that tells commands from data. It has no identity, and gives nothing
//! back that its modules agree upon: what it shows is what was sent. Once a minute all of it is sent again, for a display that
//! was without power for a moment.

mod frame;
mod template;
#[cfg(test)]
mod tests;

pub mod sim;

pub use frame::Font;

use crate::actuator::{Actuator, ActuatorSpec, Control, Shown};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::Fault;
use crate::options::{Content, Node, Place, Problem, Report, Span, read_checked, shape};
use crate::port::Wire;
use crate::sim::Part;
use crate::text::{Characters, Texts};
use crate::value::Value;
use embedded_hal::i2c::I2c;
use frame::{Frame, WIDTH, wrap};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use template::Template;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "display",
    summary: "Solomon SSD1306: an OLED display with lines of text, live values and messages",
    source: "Solomon Systech, SSD1306, Rev 1.5",
    role: Role::Actuator,
    attachments: &[Attachment::I2c { addresses: &[0x3C, 0x3D] }],
    identity: &[],
    example: "\
- id: sign
  driver: display
  bus: i2c-1
  address: 0x3C
  size: 128x64
  lines:
    - Greenhouse
    - All is well
  refresh: 1s
",
    defaults: || Spec::Actuator(Arc::new(Settings::default())),
    options: shape!(Options),
    parse: |node, problems| parse(node, problems).map(|settings| Spec::Actuator(Arc::new(settings)) as Spec),
};

/// Section 8.1.5.2: what follows is commands, or data for the picture.
const COMMANDS: u8 = 0x00;
const DATA: u8 = 0x40;
/// Table 9-1. With their parameters after them:
const ADDRESSING: u8 = 0x20;
const CONTRAST: u8 = 0x81;
const CHARGE_PUMP: u8 = 0x8D;
const MULTIPLEX: u8 = 0xA8;
const OFFSET: u8 = 0xD3;
const CLOCK: u8 = 0xD5;
const COM_PINS: u8 = 0xDA;
/// and without:
const COLUMN_LOW: u8 = 0x00;
const COLUMN_HIGH: u8 = 0x10;
const START_LINE: u8 = 0x40;
const SEGMENTS: u8 = 0xA0;
const FOLLOW_RAM: u8 = 0xA4;
const NOT_INVERSE: u8 = 0xA6;
const OFF: u8 = 0xAE;
const ON: u8 = 0xAF;
const PAGE_START: u8 = 0xB0;
const COMS: u8 = 0xC0;
const NOP: u8 = 0xE3;

/// How often the picture is looked after: limits of `refresh`.
const REFRESH: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3600));
/// After so long all is sent again.
const RENEW: Duration = Duration::from_secs(60);

/// Options of the `display` driver.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many pixels it has.
    pub size: Size,
    /// What it shows while there is no message: a text for each line. In braces are values of other entities, such as
    /// `{climate.temperature:.1} °C` with one decimal place, `{pump}` for the state of an actuator, or `{light}` for the only
    /// channel of a sensor; `--` stands for what is not known or offline. `{{` is a brace. What is too long is cut off. A command
    /// with a text shows that instead, in as many lines as it takes; `for` a time, or until the empty text. When the agent ends,
    /// the display is turned off, unless `safe` is a text.
    pub lines: Vec<String>,
    /// How large characters are.
    pub font: Font,
    /// How bright it is, 0 to 255.
    pub contrast: u8,
    /// Whether it is mounted upside down.
    pub upside_down: bool,
    /// How often values are looked at, 100ms to 1h. Only what changed is sent.
    pub refresh: Span,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            size: Size::X64,
            lines: Vec::new(),
            font: Font::Medium,
            contrast: 0x7F,
            upside_down: false,
            refresh: Span(Duration::from_secs(1)),
        }
    }
}

/// How many pixels a display has.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
pub enum Size {
    /// 128 columns, 64 rows.
    #[default]
    #[serde(rename = "128x64")]
    X64,
    /// 128 columns, 32 rows.
    #[serde(rename = "128x32")]
    X32,
}

impl Size {
    /// Rows.
    #[must_use]
    pub const fn height(self) -> usize {
        match self {
            Self::X64 => 64,
            Self::X32 => 32,
        }
    }
}

/// The options with their lines understood.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    options: Options,
    lines: Vec<(Template, Place)>,
}

fn parse(node: &Node, problems: &mut Vec<Problem>) -> Option<Settings> {
    let mut lines = Vec::new();
    let options = read_checked(node, problems, |options: &Options, report| lines = options.lines(report))?;
    Some(Settings { options, lines })
}

impl Options {
    /// The lines, understood. Reports what is wrong, with them and the rest.
    fn lines(&self, report: &mut Report) -> Vec<(Template, Place)> {
        if !(REFRESH.0..=REFRESH.1).contains(&self.refresh.0) {
            report.at(&["refresh"], format!("`refresh` must be from 100ms to 1h, not `{}`", self.refresh));
        }
        let (columns, rows) = self.font.fits(self.size.height());
        if self.lines.len() > rows {
            let message = format!("`lines` has {} entries: on this display {rows} fit", self.lines.len());
            report.at(&["lines"], message);
        }
        let places: Vec<Place> = match report.node.get("lines").map(|lines| &lines.content) {
            Some(Content::List(items)) => items.iter().map(|item| item.place).collect(),
            _ => Vec::new(),
        };
        let mut lines = Vec::new();
        for (line, place) in self.lines.iter().zip(places) {
            match Template::parse(line) {
                Ok(template) if template.shortest() > columns => {
                    let shortest = template.shortest();
                    let message = format!("an entry of `lines` has at least {shortest} characters: {columns} fit");
                    report.push(place, message);
                }
                Ok(template) => lines.push((template, place)),
                Err(message) => report.push(place, format!("an entry of `lines`: {message}")),
            }
        }
        lines
    }
}

impl Settings {
    fn texts(&self) -> Texts {
        let (columns, rows) = self.options.font.fits(self.options.size.height());
        Texts { longest: columns * rows, characters: Characters::Latin1 }
    }

    /// The picture with this message, or without one that of the lines.
    fn picture(&self, message: &str, values: &[Option<Value>]) -> Frame {
        let Options { font, size, .. } = self.options;
        let (columns, rows) = font.fits(size.height());
        let lines = if message.is_empty() {
            let mut values = values.iter();
            self.lines.iter().map(|(template, _)| template.fill(&mut values)).collect()
        } else {
            wrap(message, columns, rows)
        };
        Frame::of(&lines, font, size.height())
    }

    /// The software initialization flow chart but for its end: it is turned on when there is a picture.
    fn settings(&self) -> [u8; 19] {
        let Options { size, contrast, upside_down, .. } = self.options;
        let (multiplex, com_pins) = match size {
            // Alternative COM pins; sequential ones (section 10.1.18).
            Size::X64 => (63, 0x12),
            Size::X32 => (31, 0x02),
        };
        // Modules are upright with columns and rows the other way round.
        let (segments, coms) = if upside_down { (0, 0) } else { (0x01, 0x08) };
        #[rustfmt::skip]
        let settings = [
            MULTIPLEX, multiplex, OFFSET, 0, START_LINE, SEGMENTS | segments, COMS | coms, COM_PINS, com_pins,
            CONTRAST, contrast, FOLLOW_RAM, NOT_INVERSE, CLOCK, 0x80, CHARGE_PUMP, 0x14,
            // Page addressing mode.
            ADDRESSING, 0x02,
        ];
        settings
    }
}

/// A display on its bus.
pub struct Display<I> {
    i2c: I,
    address: u8,
    settings: Settings,
    /// What its lines show, in their order.
    values: Vec<Option<Value>>,
    /// The message, which may be empty; `None` until it was told one, and while it is off.
    message: Option<String>,
    /// What is in its memory, if that is known.
    sent: Option<Frame>,
    /// Steps until all is sent again.
    fresh: u32,
}

impl<I: I2c> Display<I> {
    /// Looks whether something answers. Changes nothing.
    ///
    /// # Errors
    /// Absent, or a failed transfer.
    pub fn new(i2c: I, address: u8, settings: Settings) -> Result<Self, Fault> {
        let mut display = Self { i2c, address, settings, values: Vec::new(), message: None, sent: None, fresh: 0 };
        display.commands(&[NOP], "looking for the display")?;
        Ok(display)
    }

    fn write(&mut self, kind: u8, bytes: &[u8], doing: &str) -> Result<(), Fault> {
        self.i2c.write(self.address, &[&[kind], bytes].concat()).map_err(|error| Fault::i2c(error, doing))
    }

    fn commands(&mut self, commands: &[u8], doing: &str) -> Result<(), Fault> {
        self.write(COMMANDS, commands, doing)
    }

    /// Shows what there is to show. What is in its memory already is not sent.
    fn draw(&mut self) -> Result<(), Fault> {
        let Some(message) = &self.message else { return Ok(()) };
        let frame = self.settings.picture(message, &self.values);
        // Unknown while it changes.
        let sent = self.sent.take();
        match &sent {
            None => {
                let settings = self.settings.settings();
                self.commands(&settings, "setting the display up")?;
                (0..frame.pages().len()).try_for_each(|page| self.send(&frame, page, 0, WIDTH))?;
                self.commands(&[ON], "turning the display on")?;
                self.fresh = steps(RENEW, self.settings.options.refresh.0);
            }
            Some(old) if *old == frame => self.commands(&[NOP], "looking for the display")?,
            Some(old) => {
                frame.changes(old).into_iter().try_for_each(|(page, at)| self.send(&frame, page, at.start, at.end))?;
            }
        }
        self.sent = Some(frame);
        Ok(())
    }

    /// Sends a piece of a page (section 10.1.3, page addressing mode).
    #[allow(clippy::cast_possible_truncation)] // less than 128
    fn send(&mut self, frame: &Frame, page: usize, from: usize, to: usize) -> Result<(), Fault> {
        let (line, column) = (page as u8, from as u8);
        let start = [PAGE_START | line, COLUMN_LOW | column & 0x0F, COLUMN_HIGH | column >> 4];
        self.commands(&start, "setting the place in the picture")?;
        self.write(DATA, &frame.pages()[page][from..to], "sending the picture")
    }
}

/// How many steps of `step` there are in `time`.
fn steps(time: Duration, step: Duration) -> u32 {
    u32::try_from(time.as_millis() / step.as_millis().max(1)).unwrap_or(u32::MAX)
}

impl<I: I2c + Send> Actuator for Display<I> {
    fn apply(&mut self, value: &Value) -> Result<Value, Fault> {
        match value {
            Value::Text(text) => {
                let texts = self.settings.texts();
                texts.check(text).map_err(|unfit| Fault::rejected(texts.explain(unfit)))?;
                self.message = Some(text.clone());
                self.draw()?;
                Ok(Value::Text(text.clone()))
            }
            // Nobody keeps it up to date any more. Its next picture is a whole one.
            Value::Switch(false) => {
                (self.message, self.sent) = (None, None);
                self.commands(&[OFF], "turning the display off")?;
                Ok(Value::Text(String::new()))
            }
            _ => Err(Fault::rejected(format!("what is shown is a text, not {value}"))),
        }
    }

    fn read(&mut self) -> Result<Option<Value>, Fault> {
        self.commands(&[NOP], "looking for the display")?;
        Ok(self.message.clone().map(Value::Text))
    }

    fn see(&mut self, values: &[Option<Value>]) {
        self.values = values.to_vec();
    }

    fn next(&self) -> Option<Duration> {
        self.message.is_some().then_some(self.settings.options.refresh.0)
    }

    fn advance(&mut self) -> Result<Option<Value>, Fault> {
        self.fresh = self.fresh.saturating_sub(1);
        if self.fresh == 0 {
            self.sent = None;
        }
        self.draw()?;
        Ok(None)
    }
}

impl ActuatorSpec for Settings {
    fn control(&self) -> Control {
        Control::Text(self.texts())
    }

    fn shows(&self) -> Vec<Shown> {
        let of_line = |(template, place): &(Template, Place)| {
            let shown = |reference: &template::Reference| Shown {
                entity: reference.entity.clone(),
                value: reference.value.clone(),
                is_number: reference.decimals.is_some(),
                place: *place,
            };
            template.values().map(shown).collect::<Vec<_>>()
        };
        self.lines.iter().flat_map(of_line).collect()
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Actuator>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Display::new(i2c, address, self.clone())?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::new(self.options.size, self.options.font)))
    }
}
