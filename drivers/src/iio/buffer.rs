//! The buffer of an IIO device: a trigger lets the kernel sample all channels, and put them into records (iio_devbuf.rst).

use super::{CLASS, Fault, FaultKind, Found, KernelPort, Resolved};
use crate::port::Stream;
use crate::sort::sort_by;
use std::time::Duration;

/// Where timers are made that serve as triggers (iio_configfs.rst).
const TIMERS: &str = "/sys/kernel/config/iio/triggers/hrtimer";
/// How triggers are called in the folder of the devices.
const TRIGGER: &str = "trigger";
/// How long a buffer lasts that nobody reads, in s, and how many records it has at most.
const KEEP: f64 = 60.0;
const LONGEST: f64 = 16_384.0;
/// How long the next record may take, in periods, and besides.
const PATIENCE: f64 = 3.0;
const SLACK: Duration = Duration::from_millis(500);

/// A running buffer.
pub struct Buffer {
    folder: String,
    stream: Box<dyn Stream>,
    layout: Layout,
    period: Duration,
    /// How many records the kernel keeps.
    length: usize,
    /// Bytes of a record that has not come whole.
    rest: Vec<u8>,
}

impl Buffer {
    /// Sets the buffer up and lets it run.
    pub fn open(
        port: &mut KernelPort,
        device: &Found,
        channels: &[Resolved],
        rate: f64,
        trigger: Option<&str>,
    ) -> Result<Self, Fault> {
        let folder = device.folder.clone();
        let elements = port.names(&format!("{folder}/scan_elements"))?;
        if elements.is_empty() {
            return Err(Fault::rejected(format!("{} has no buffer: leave out `rate`", device.name)));
        }
        // Nothing can be changed while it runs; it may run since an agent that was killed.
        port.files.write(&format!("{folder}/buffer/enable"), "0\n")?;
        set_trigger(port, device, rate, trigger)?;
        let wanted: Vec<String> = channels.iter().map(|channel| format!("in_{}", channel.source)).collect();
        for element in elements.iter().filter_map(|file| file.strip_suffix("_en")) {
            let on = u8::from(wanted.iter().any(|channel| channel == element));
            port.files.write(&format!("{folder}/scan_elements/{element}_en"), &format!("{on}\n"))?;
        }
        let layout = Layout::read(port, &folder, &wanted)?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
        let length = (rate * KEEP).clamp(16.0, LONGEST) as usize;
        port.files.write(&format!("{folder}/buffer/length"), &format!("{length}\n"))?;
        port.files.write(&format!("{folder}/buffer/enable"), "1\n")?;
        let number = folder.rsplit('/').next().unwrap_or_default();
        let stream = port.files.stream(&format!("/dev/{number}"))?;
        let period = Duration::from_secs_f64(1.0 / rate);
        Ok(Self { folder, stream, layout, period, length, rest: Vec::new() })
    }

    /// Ends it.
    pub fn close(self, port: &mut KernelPort) -> Result<(), Fault> {
        Ok(port.files.write(&format!("{}/buffer/enable", self.folder), "0\n")?)
    }

    /// The mean of each channel over all records since the last call; at least one is waited for.
    pub fn means(&mut self) -> Result<Vec<f64>, Fault> {
        let patience = self.period.mul_f64(PATIENCE) + SLACK;
        let mut bytes = std::mem::take(&mut self.rest);
        self.stream.take(patience, &mut bytes)?;
        let size = self.layout.size;
        if bytes.len() / size >= self.length {
            // It was full: what came after that is lost, and all of this is old.
            bytes.drain(..bytes.len() / size * size);
            self.stream.take(patience, &mut bytes)?;
        }
        let records = bytes.chunks_exact(size);
        self.rest = records.remainder().to_vec();
        let (mut sums, mut count) = (vec![0.0; self.layout.channels.len()], 0.0);
        for record in records {
            count += 1.0;
            for (sum, channel) in sums.iter_mut().zip(&self.layout.channels) {
                *sum += channel.format.decode(&record[channel.at..]);
            }
        }
        if count == 0.0 {
            let message = format!("no record came into the buffer within {patience:?}: does the trigger run?");
            return Err(Fault::new(FaultKind::NotReady, message));
        }
        Ok(sums.into_iter().map(|sum| sum / count).collect())
    }
}

/// Lets a trigger sample the device at this rate.
fn set_trigger(port: &mut KernelPort, device: &Found, rate: f64, wanted: Option<&str>) -> Result<(), Fault> {
    let current = format!("{}/trigger/current_trigger", device.folder);
    let own_rate = format!("{}/sampling_frequency", device.folder);
    let rate = format!("{rate}\n");
    let Some(found) = port.text_if_any(&current)? else {
        // A device that fills its buffer by itself.
        return Ok(port.files.write(&own_rate, &rate)?);
    };
    let timer = format!("halyard-{}", device.folder.rsplit(':').next().unwrap_or_default());
    let name = match wanted {
        Some(name) => name.to_owned(),
        None if !found.is_empty() => found.clone(),
        None => match triggers(port)?.into_iter().find(|(_, name)| is_own(name, &device.name)) {
            Some((_, name)) => name,
            None => {
                port.files.create(&format!("{TIMERS}/{timer}")).map_err(|error| {
                    let message =
                        format!("{} has no trigger of its own, and no timer can be made: {error}", device.name);
                    Fault::new(error.kind, message)
                })?;
                timer
            }
        },
    };
    let all = triggers(port)?;
    let Some((folder, _)) = all.iter().find(|(_, other)| *other == name) else {
        let known: Vec<_> = all.iter().map(|(_, name)| name.as_str()).collect();
        return Err(Fault::wrong_chip(format!("there is no trigger {name}; there are: {}", known.join(", "))));
    };
    // A timer has the rate; else the device itself.
    for file in [format!("{folder}/sampling_frequency"), own_rate] {
        match port.files.write(&file, &rate) {
            Ok(()) => break,
            Err(error) if error.kind == FaultKind::Absent => {}
            Err(error) => return Err(error.into()),
        }
    }
    if found != name {
        port.files.write(&current, &format!("{name}\n"))?;
    }
    Ok(())
}

/// The folder and name of each trigger.
fn triggers(port: &mut KernelPort) -> Result<Vec<(String, String)>, Fault> {
    let mut all = Vec::new();
    for entry in port.names(CLASS.folder)?.iter().filter(|entry| entry.starts_with(TRIGGER)) {
        let folder = format!("{}/{entry}", CLASS.folder);
        if let Some(name) = port.text_if_any(&format!("{folder}/name"))? {
            all.push((folder, name));
        }
    }
    Ok(all)
}

/// Whether a trigger is a device's own: kernel drivers call it `bmp280-dev0`.
fn is_own(trigger: &str, device: &str) -> bool {
    trigger.strip_prefix(device).is_some_and(|rest| rest.starts_with("-dev"))
}

/// Where each channel is in a record.
#[derive(Debug, PartialEq)]
pub struct Layout {
    /// In the order of the configuration.
    channels: Vec<Placed>,
    /// Bytes of a record.
    size: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Placed {
    at: usize,
    format: Format,
}

impl Layout {
    /// Of all channels that are on; `wanted` are those of the configuration.
    fn read(port: &mut KernelPort, folder: &str, wanted: &[String]) -> Result<Self, Fault> {
        let elements = port.names(&format!("{folder}/scan_elements"))?;
        let mut on = Vec::new();
        for element in elements.iter().filter_map(|file| file.strip_suffix("_en")) {
            let file = |end: &str| format!("{folder}/scan_elements/{element}_{end}");
            if port.number(&file("en"))? != 0.0 {
                let kind = port.text(&file("type"))?;
                let format = Format::parse(&kind)
                    .ok_or_else(|| Fault::rejected(format!("{} is {kind:?}, which is unknown", file("type"))))?;
                on.push((port.number(&file("index"))?, element.to_owned(), format));
            }
        }
        sort_by(&mut on, |a, b| a.0 <= b.0);
        Self::new(&on.into_iter().map(|(_, name, format)| (name, format)).collect::<Vec<_>>(), wanted)
    }

    /// iio_devbuf.rst: each element is aligned to its own size, and a record to that of the largest.
    fn new(on: &[(String, Format)], wanted: &[String]) -> Result<Self, Fault> {
        let (mut end, mut largest, mut placed) = (0_usize, 1, Vec::new());
        for (name, format) in on {
            let at = end.next_multiple_of(format.bytes);
            placed.push((name, Placed { at, format: *format }));
            end = at + format.bytes * format.repeat;
            largest = largest.max(format.bytes);
        }
        let channel = |wanted: &String| {
            let found = placed.iter().find(|(name, _)| *name == wanted).map(|(_, placed)| *placed);
            found.ok_or_else(|| Fault::rejected(format!("{wanted} does not go into the buffer: leave out `rate`")))
        };
        let channels = wanted.iter().map(channel).collect::<Result<_, _>>()?;
        Ok(Self { channels, size: end.next_multiple_of(largest) })
    }
}

/// How a number is stored: `le:s12/16>>4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    big_endian: bool,
    signed: bool,
    /// Bits that count.
    bits: u32,
    /// Bytes that it takes.
    bytes: usize,
    repeat: usize,
    shift: u32,
}

impl Format {
    /// iio_devbuf.rst, "_type": `[be|le]:[s|u]bits/storagebits[Xrepeat][>>shift]`.
    pub fn parse(text: &str) -> Option<Self> {
        let (endian, rest) = text.split_once(':')?;
        let (bits, rest) = rest.split_once('/')?;
        let (storage, shift) = rest.split_once(">>").unwrap_or((rest, "0"));
        let (storage, repeat) = storage.split_once('X').unwrap_or((storage, "1"));
        let signed = bits.starts_with('s');
        let bits: u32 = bits.strip_prefix(['s', 'u'])?.parse().ok()?;
        let (storage, shift): (u32, u32) = (storage.parse().ok()?, shift.parse().ok()?);
        let repeat: usize = repeat.parse().ok()?;
        let sound = matches!(storage, 8 | 16 | 32 | 64) && bits > 0 && bits + shift <= storage && repeat <= 64;
        let big_endian = match endian {
            "be" => true,
            "le" => false,
            _ => return None,
        };
        let format = Self { big_endian, signed, bits, bytes: storage as usize / 8, repeat: repeat.max(1), shift };
        sound.then_some(format)
    }

    /// The number at the beginning of `bytes`.
    #[allow(clippy::cast_precision_loss)] // no converter has 53 bits
    pub fn decode(&self, bytes: &[u8]) -> f64 {
        let mut number = 0_u64;
        let own = &bytes[..self.bytes];
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        if self.big_endian {
            number = own.iter().fold(number, add);
        } else {
            number = own.iter().rev().fold(number, add);
        }
        let unused = 64 - self.bits;
        let top = number >> self.shift << unused;
        if self.signed { (top.cast_signed() >> unused) as f64 } else { (top >> unused) as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(types: &[&str], wanted: &[usize]) -> (Vec<usize>, usize) {
        let name = |index: usize| format!("in_voltage{index}");
        let on: Vec<_> =
            types.iter().enumerate().map(|(index, text)| (name(index), Format::parse(text).unwrap())).collect();
        let wanted: Vec<_> = wanted.iter().copied().map(name).collect();
        let layout = Layout::new(&on, &wanted).unwrap();
        (layout.channels.iter().map(|channel| channel.at).collect(), layout.size)
    }

    /// iio_devbuf.rst: the two examples of aligned channels.
    #[test]
    fn records_of_the_kernels_documentation() {
        let all = ["be:u16/16>>0", "be:u32/32>>0", "be:u32/32>>0", "be:u64/64>>0"];
        assert_eq!(layout(&all, &[0, 1, 2, 3]), (vec![0, 4, 8, 16], 24));
        assert_eq!(layout(&[all[0], all[3]], &[0, 1]), (vec![0, 8], 16));
        assert_eq!(layout(&all, &[2]), (vec![8], 24));
    }

    /// iio_devbuf.rst: the accelerometer with twelve bits in the upper part of two bytes.
    #[test]
    fn numbers_of_the_kernels_documentation() {
        let format = Format::parse("le:s12/16>>4").unwrap();
        for (bytes, expected) in
            [([0x10, 0x00], 1.0), ([0xFF, 0x7F], 2_047.0), ([0x0F, 0x80], -2_048.0), ([0xF0, 0xFF], -1.0)]
        {
            assert_eq!(format.decode(&bytes), expected, "{bytes:02x?}");
        }
        assert_eq!(Format::parse("be:u12/16>>4").unwrap().decode(&[0xFF, 0xF7]), 4_095.0);
        assert_eq!(Format::parse("be:s24/32>>8").unwrap().decode(&[0xFF, 0xFF, 0xFE, 0x00]), -2.0);
        assert_eq!(Format::parse("le:s64/64>>0").unwrap().decode(&[0xFE, 255, 255, 255, 255, 255, 255, 255]), -2.0);
        assert_eq!(Format::parse("le:u8/8").unwrap().decode(&[200]), 200.0);
        for wrong in
            ["", "le", "le:s12", "le:s12/16>>5", "le:s0/16", "me:s12/16", "le:x12/16", "le:s12/24", "le:s12/16X"]
        {
            assert_eq!(Format::parse(wrong), None, "{wrong}");
        }
        // A vector, such as a quaternion.
        assert_eq!(Format::parse("le:s32/32X4>>0").unwrap().repeat, 4);
    }

    /// Recorded with Linux 6.12, a BME280 and a timer: pressure, temperature and humidity of its raw files at that time.
    #[test]
    fn a_recorded_record() {
        let record = [0x1d, 0x2d, 0x89, 0x01, 0x66, 0x08, 0x00, 0x00, 0x02, 0xa0, 0x00, 0x00];
        let types = ["le:u32/32>>0", "le:s32/32>>0", "le:u32/32>>0"];
        let (places, size) = layout(&types, &[0, 1, 2]);
        assert_eq!(size, record.len());
        let numbers: Vec<f64> =
            places.iter().zip(types).map(|(at, text)| Format::parse(text).unwrap().decode(&record[*at..])).collect();
        assert_eq!(numbers, [25_767_197.0, 2_150.0, 40_962.0]);
    }
}
