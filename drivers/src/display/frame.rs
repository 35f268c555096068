//! The picture of a display: text in rows and columns of a font, as bytes of eight pixels.

use embedded_graphics::geometry::{OriginDimensions, Point};
use embedded_graphics::image::GetPixel;
use embedded_graphics::mono_font::MonoFont;
use embedded_graphics::mono_font::iso_8859_1::{FONT_5X8, FONT_6X10, FONT_10X20};
use embedded_graphics::pixelcolor::BinaryColor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Columns of the display.
pub const WIDTH: usize = 128;
/// Rows of pixels in a page: a byte is a column of it, its lowest bit the highest row (section 8.7).
pub const PAGE: usize = 8;

/// How large characters are.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Font {
    /// 5 by 8 pixels: lines of 25 characters, 8 of them on 128x64, 4 on 128x32.
    Small,
    /// 6 by 10 pixels: lines of 21 characters, 6 of them on 128x64, 3 on 128x32.
    #[default]
    Medium,
    /// 10 by 20 pixels: lines of 12 characters, 3 of them on 128x64, 1 on 128x32.
    Large,
}

impl Font {
    fn face(self) -> &'static MonoFont<'static> {
        match self {
            Self::Small => &FONT_5X8,
            Self::Medium => &FONT_6X10,
            Self::Large => &FONT_10X20,
        }
    }

    /// Width and height of a character in pixels.
    #[must_use]
    pub fn size(self) -> (usize, usize) {
        let size = self.face().character_size;
        (size.width as usize, size.height as usize)
    }

    /// Characters of a line, and lines of a display of this height.
    #[must_use]
    pub fn fits(self, height: usize) -> (usize, usize) {
        let size = self.size();
        (WIDTH / size.0, height / size.1)
    }

    /// Whether a pixel of a character is on. Characters that the font does not have are `?`.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // pictures of fonts are small
    pub fn pixel(self, character: char, x: usize, y: usize) -> bool {
        let (face, (width, height)) = (self.face(), self.size());
        let glyph = face.glyph_mapping.index(character);
        let glyphs = face.image.size().width as usize / width;
        let point = Point::new((glyph % glyphs * width + x) as i32, (glyph / glyphs * height + y) as i32);
        face.image.pixel(point) == Some(BinaryColor::On)
    }
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(Vec<[u8; WIDTH]>);

impl Frame {
    /// A dark one of this height in pixels.
    #[must_use]
    pub fn new(height: usize) -> Self {
        Self(vec![[0; WIDTH]; height / PAGE])
    }

    /// Lines of text from the top. What is too long is cut off.
    #[must_use]
    pub fn of<T: AsRef<str>>(lines: &[T], font: Font, height: usize) -> Self {
        let ((columns, rows), (width, size)) = (font.fits(height), font.size());
        let mut frame = Self::new(height);
        for (row, line) in lines.iter().take(rows).enumerate() {
            for (column, character) in line.as_ref().chars().take(columns).enumerate() {
                for (x, y) in (0..width * size).map(|index| (index % width, index / width)) {
                    if font.pixel(character, x, y) {
                        let y = row * size + y;
                        frame.0[y / PAGE][column * width + x] |= 1 << (y % PAGE);
                    }
                }
            }
        }
        frame
    }

    /// The bytes of each page.
    #[must_use]
    pub fn pages(&self) -> &[[u8; WIDTH]] {
        &self.0
    }

    /// In each page that differs from another picture's: from its first column that does to its last one.
    #[must_use]
    pub fn changes(&self, other: &Self) -> Vec<(usize, Range<usize>)> {
        let pages = self.0.iter().zip(&other.0).enumerate();
        let change = |(page, (new, old)): (usize, (&[u8; WIDTH], &[u8; WIDTH]))| {
            let differs = |column: &usize| new[*column] != old[*column];
            let (first, last) = ((0..WIDTH).find(differs)?, (0..WIDTH).rfind(differs)?);
            Some((page, first..last + 1))
        };
        pages.filter_map(change).collect()
    }
}

/// Breaks a text into lines: between words if it fits so, else wherever a line is full.
#[must_use]
pub fn wrap(text: &str, columns: usize, rows: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    if lines.len() <= rows && lines.iter().all(|line| line.chars().count() <= columns) {
        return lines;
    }
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(columns.max(1)).map(|line| line.iter().collect()).collect()
}
