//! A part behind a wire that changes what the part says. The tests of the drivers have it too.

use halyard_drivers::port::Space;
use halyard_drivers::sim::{I2cPart, KernelPart, LinesPart, Nack, Part, SharedPart, SpiPart};
use std::iter::Cycle;
use std::time::Duration;
use std::vec::IntoIter;

/// A part behind a wire with bytes of its own, which come round again and again.
pub struct Noisy {
    part: Box<dyn Part>,
    /// The paths of the part's files, if it has any.
    paths: Vec<String>,
    bytes: Cycle<IntoIter<u8>>,
    /// These bytes are all that is heard, whatever the part says; else they change the bits of what it says.
    alone: bool,
}

impl Noisy {
    pub fn shared(mut part: Box<dyn Part>, bytes: Vec<u8>, alone: bool) -> SharedPart {
        let paths = part.files().map(|files| files.paths()).unwrap_or_default();
        SharedPart::new(Box::new(Self { part, paths, bytes: bytes.into_iter().cycle(), alone }))
    }

    /// What is heard of a byte.
    fn heard(&mut self, byte: u8) -> u8 {
        let own = self.bytes.next().unwrap_or_default();
        if self.alone { own } else { byte ^ own }
    }
}

impl Part for Noisy {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        self.part.stimulate(channel, value)
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }

    fn spi(&mut self) -> Option<&mut dyn SpiPart> {
        Some(self)
    }

    fn lines(&mut self) -> Option<&mut dyn LinesPart> {
        Some(self)
    }

    fn files(&mut self) -> Option<&mut dyn KernelPart> {
        Some(self)
    }
}

impl I2cPart for Noisy {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        let done = self.part.i2c().ok_or(Nack)?.write(bytes);
        if self.alone { Ok(()) } else { done }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        let done = self.part.i2c().ok_or(Nack)?.read(buffer);
        if !self.alone {
            done?;
        }
        for byte in buffer {
            *byte = self.heard(*byte);
        }
        Ok(())
    }
}

impl SpiPart for Noisy {
    fn select(&mut self) {
        if let Some(part) = self.part.spi() {
            part.select();
        }
    }

    fn exchange(&mut self, byte: u8) -> u8 {
        let answer = self.part.spi().map_or(0xFF, |part| part.exchange(byte));
        self.heard(answer)
    }
}

/// Bits of a line are edges, which are now and then not there.
impl LinesPart for Noisy {
    fn driven(&mut self, key: &str, high: bool) -> Vec<(&'static str, bool, Duration)> {
        let edges = self.part.lines().map_or_else(Vec::new, |part| part.driven(key, high));
        edges.into_iter().filter(|_| self.heard(0) == 0).collect()
    }
}

impl KernelPart for Noisy {
    fn place(&mut self, number: usize, device: Option<&str>) {
        if let Some(part) = self.part.files() {
            part.place(number, device);
        }
    }

    fn paths(&self) -> Vec<String> {
        self.paths.clone()
    }

    fn read(&mut self, path: &str) -> Option<String> {
        let mut bytes = self.part.files()?.read(path)?.into_bytes();
        bytes.iter_mut().for_each(|byte| *byte = self.heard(*byte));
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn write(&mut self, path: &str, text: &str) -> Option<()> {
        self.part.files()?.write(path, text)
    }

    fn space(&mut self, folder: &str) -> Option<Space> {
        self.part.files()?.space(folder)
    }
}
