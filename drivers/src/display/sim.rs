//! Model of the SSD1306 on a module: its memory, its addressing modes, and what the panel shows of it.

use super::frame::{Font, PAGE, WIDTH};
use super::{CHARGE_PUMP, COM_PINS, Size};
use crate::sim::{I2cPart, Nack, Part};

/// Pages of the memory, of which a low panel shows half.
const PAGES: usize = 8;
/// Section 8.7: the memory has no defined content after power on.
const NOISE: u8 = 0xA5;

/// How the memory is gone through (section 10.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addressing {
    Horizontal,
    Vertical,
    Page,
}

/// The controller, with the panel that it is on.
pub struct Model {
    size: Size,
    font: Font,
    /// By page and segment.
    ram: [[u8; WIDTH]; PAGES],
    on: bool,
    charge_pump: bool,
    addressing: Addressing,
    /// Where the next byte goes, and the windows of the first two modes: first and last.
    column: usize,
    page: usize,
    columns: (usize, usize),
    pages: (usize, usize),
    /// Column 127 is segment 0.
    segments_turned: bool,
    /// Row 0 is the last COM.
    coms_turned: bool,
    multiplex: u8,
    offset: u8,
    start: u8,
    contrast: u8,
    com_pins: u8,
    inverse: bool,
    all_on: bool,
    /// A command that waits for its parameters.
    command: Vec<u8>,
    /// Commands that there are not.
    wrong: Vec<u8>,
}

impl Model {
    /// One that was just powered: table 9-1, RESET.
    #[must_use]
    pub fn new(size: Size, font: Font) -> Self {
        Self {
            size,
            font,
            ram: [[NOISE; WIDTH]; PAGES],
            on: false,
            charge_pump: false,
            addressing: Addressing::Page,
            column: 0,
            page: 0,
            columns: (0, WIDTH - 1),
            pages: (0, PAGES - 1),
            segments_turned: false,
            coms_turned: false,
            multiplex: 63,
            offset: 0,
            start: 0,
            contrast: 0x7F,
            com_pins: 0x12,
            inverse: false,
            all_on: false,
            command: Vec::new(),
            wrong: Vec::new(),
        }
    }

    /// A byte of the memory, by page and segment.
    #[must_use]
    pub fn byte(&self, page: usize, segment: usize) -> u8 {
        self.ram[page][segment]
    }

    /// Where the next byte goes: page and column.
    #[must_use]
    pub fn pointer(&self) -> (usize, usize) {
        (self.page, self.column)
    }

    /// Whether the panel is lit.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.on && self.charge_pump
    }

    /// The contrast.
    #[must_use]
    pub fn contrast(&self) -> u8 {
        self.contrast
    }

    /// Commands that came and that there are not.
    #[must_use]
    pub fn wrong(&self) -> &[u8] {
        &self.wrong
    }

    /// Whether a pixel shines, as one sees it who has the module's connector above: its segments and COMs are wired the other
    /// way round, so that it is upright with both turned.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // less than 64
    pub fn shines(&self, x: usize, y: usize) -> bool {
        let height = self.size.height();
        // A wrong ratio or wrong pins make a picture that nobody can read: none here.
        let pins = if self.size == Size::X64 { 0x12 } else { 0x02 };
        if !self.is_on() || usize::from(self.multiplex) + 1 != height || self.com_pins != pins {
            return false;
        }
        let com = height - 1 - y;
        let row = if self.coms_turned { height - 1 - com } else { com };
        // Table 10-1.
        let row = (row + usize::from(self.start) + usize::from(self.offset)) % (PAGES * PAGE);
        let bit = self.ram[row / PAGE][WIDTH - 1 - x] >> (row % PAGE) & 1 == 1;
        self.all_on || bit != self.inverse
    }

    fn data(&mut self, byte: u8) {
        let segment = if self.segments_turned { WIDTH - 1 - self.column } else { self.column };
        self.ram[self.page][segment] = byte;
        match self.addressing {
            Addressing::Page => self.column = (self.column + 1) % WIDTH,
            Addressing::Horizontal => {
                if !forward(&mut self.column, self.columns) {
                    forward(&mut self.page, self.pages);
                }
            }
            Addressing::Vertical => {
                if !forward(&mut self.page, self.pages) {
                    forward(&mut self.column, self.columns);
                }
            }
        }
    }

    /// Table 9-1.
    fn command(&mut self, byte: u8) {
        self.command.push(byte);
        let command = self.command[0];
        let parameters = match command {
            0x26 | 0x27 => 6,
            0x29 | 0x2A => 5,
            0x21 | 0x22 | 0xA3 => 2,
            0x20 | 0x81 | CHARGE_PUMP | 0xA8 | 0xD3 | 0xD5 | 0xD9 | COM_PINS | 0xDB => 1,
            _ => 0,
        };
        if self.command.len() <= parameters {
            return;
        }
        let whole = std::mem::take(&mut self.command);
        let parameter = |index: usize| whole.get(index).copied().unwrap_or_default();
        let window = |most: usize| (usize::from(parameter(1)) & most, usize::from(parameter(2)) & most);
        match command {
            0x00..=0x0F if self.addressing == Addressing::Page => {
                self.column = self.column & 0x70 | usize::from(command & 0x0F);
            }
            0x10..=0x17 if self.addressing == Addressing::Page => {
                self.column = self.column & 0x0F | usize::from(command & 0x07) << 4;
            }
            0x20 => match parameter(1) & 0x03 {
                0 => self.addressing = Addressing::Horizontal,
                1 => self.addressing = Addressing::Vertical,
                _ => self.addressing = Addressing::Page,
            },
            0x21 => (self.columns, self.column) = (window(WIDTH - 1), window(WIDTH - 1).0),
            0x22 => (self.pages, self.page) = (window(PAGES - 1), window(PAGES - 1).0),
            0x40..=0x7F => self.start = command & 0x3F,
            0x81 => self.contrast = parameter(1),
            CHARGE_PUMP => self.charge_pump = parameter(1) & 0x04 != 0,
            0xA0 | 0xA1 => self.segments_turned = command & 1 == 1,
            0xA4 | 0xA5 => self.all_on = command & 1 == 1,
            0xA6 | 0xA7 => self.inverse = command & 1 == 1,
            0xA8 if (15..64).contains(&parameter(1)) => self.multiplex = parameter(1),
            0xAE | 0xAF => self.on = command & 1 == 1,
            0xB0..=0xB7 if self.addressing == Addressing::Page => self.page = usize::from(command & 0x07),
            0xC0 | 0xC8 => self.coms_turned = command & 0x08 != 0,
            0xD3 => self.offset = parameter(1) & 0x3F,
            COM_PINS => self.com_pins = parameter(1),
            // Timing, scrolling that is not used, and nothing.
            0xD5 | 0xD9 | 0xDB | 0x26 | 0x27 | 0x29 | 0x2A | 0x2E | 0xA3 | 0xE3 => {}
            _ => self.wrong.push(command),
        }
    }

    /// What can be read, of the characters of the font.
    fn read_at(&self, row: usize, column: usize) -> char {
        let (width, height) = self.font.size();
        let cell: Vec<(usize, usize)> = (0..width * height).map(|index| (index % width, index / width)).collect();
        let is_here = |character: &char| {
            cell.iter()
                .all(|(x, y)| self.font.pixel(*character, *x, *y) == self.shines(column * width + x, row * height + y))
        };
        (' '..='~').chain('\u{A1}'..='\u{FF}').find(is_here).unwrap_or('\u{FFFD}')
    }
}

/// One further within a window; `false` if it begins again.
fn forward(at: &mut usize, (first, last): (usize, usize)) -> bool {
    let is_last = *at == last;
    *at = if is_last { first } else { (*at + 1) % WIDTH };
    !is_last
}

impl Part for Model {
    fn stimulate(&mut self, _channel: &str, _value: f64) -> bool {
        false
    }

    /// Lines as they can be read, without blanks at their ends, down to the last one that is not empty.
    fn texts(&self) -> Vec<String> {
        let (columns, rows) = self.font.fits(self.size.height());
        let line = |row| (0..columns).map(|column| self.read_at(row, column)).collect::<String>();
        let mut lines: Vec<String> = (0..rows).map(|row| line(row).trim_end().to_owned()).collect();
        let length = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
        lines.truncate(length);
        lines
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Model {
    /// Section 8.1.5.2: control bytes tell what follows.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        let mut rest = bytes;
        while let [control, after @ ..] = rest {
            let one = control & 0x80 != 0;
            let (now, later) = after.split_at(if one { after.len().min(1) } else { after.len() });
            for byte in now {
                if control & 0x40 != 0 { self.data(*byte) } else { self.command(*byte) }
            }
            rest = later;
        }
        Ok(())
    }

    /// Table 9-2: the status.
    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        buffer.fill(if self.on { 0x00 } else { 0x40 });
        Ok(())
    }
}
