//! Tests in the hardware lab: a User Mode Linux kernel with real device nodes and simulated hardware behind them.
//!
//! The lab is the folder `lab` of this repository, or the command that `HALYARD_LAB` names (itself, or the folder that it is
//! in). Where its kernel was not built yet, a test prints that it was skipped, or fails where `HALYARD_LAB_REQUIRED=1`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests
#![allow(dead_code)] // every test binary has its own copy and uses its own part of it

#[path = "../../lab/parts.rs"]
mod parts;

pub use parts::Parts;

use halyard::config::{At, Config};
use halyard_drivers::pcf8574;
use halyard_drivers::sim::{I2cFaults, I2cPart, Nack, Part, SharedPart};
use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// In the guest's environment where a test runs itself there.
const INSIDE: &str = "HALYARD_INSIDE_LAB";

/// The `lab` command.
pub struct Lab {
    command: PathBuf,
}

impl Lab {
    /// The lab, or `None` with the reason printed.
    ///
    /// # Panics
    /// When `HALYARD_LAB` names no lab, and when there is none but has to be.
    pub fn find() -> Option<Self> {
        if let Some(path) = env::var_os("HALYARD_LAB") {
            let path = PathBuf::from(path);
            let command = if path.is_dir() { path.join("lab") } else { path };
            assert!(is_lab(&command), "HALYARD_LAB: {} is not the lab", command.display());
            return Some(Self { command });
        }
        Self::own()
    }

    /// The one of this repository, or `None` with the reason printed.
    ///
    /// # Panics
    /// When it cannot be used but has to be.
    pub fn own() -> Option<Self> {
        let command = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/lab/lab"));
        let kernel = Command::new(&command).arg("kernel").output().expect("the lab can be started");
        if !kernel.status.success() {
            let reason = String::from_utf8_lossy(&kernel.stderr);
            assert!(env::var("HALYARD_LAB_REQUIRED").as_deref() != Ok("1"), "{reason}");
            // Past the capture of the test runner, which shows nothing of a test that passes.
            std::io::stderr().write_all(format!("skipped: {reason}").as_bytes()).unwrap();
            return None;
        }
        Some(Self { command })
    }

    /// Runs a bash script in a guest of its own, with these options of `lab run`.
    pub fn run(&self, options: &[&str], script: &str) -> Output {
        let mut command = Command::new(&self.command);
        command.arg("run").args(options).args(["--", "bash", "-c", script]);
        command.output().expect("the lab can be started")
    }
}

/// Other programs are called `lab` as well.
fn is_lab(command: &Path) -> bool {
    let help = Command::new(command).arg("--help").output();
    help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("User Mode Linux"))
}

/// Runs `body`, all of the test `name`, in a guest, after the bash commands `setup`: the test's executable starts itself
/// anew there, for this test only.
pub fn in_guest(name: &str, setup: &str, body: impl FnOnce()) {
    in_guest_with(&[], name, setup, body);
}

/// The same with more options of `lab run`.
pub fn in_guest_with(options: &[&str], name: &str, setup: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let Some(lab) = Lab::find() else { return };
    let executable = env::current_exe().unwrap();
    let executable = executable.to_str().unwrap().replace('\'', r"'\''");
    let script =
        format!("set -e\n{setup}\nexec env {INSIDE}=1 '{executable}' --exact {name} --nocapture --test-threads=1");
    let output = lab.run(&[&["--timeout", "180"], options].concat(), &script);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    // A name with a slip would run no test, successfully.
    assert!(output.status.success() && out.contains("1 passed"), "in the guest: {}\n{out}\n{err}", output.status);
    println!("{out}");
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within half a minute.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "no {what} in time");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// In the guest: runs a command of the lab, as in `lab("lab-gpio", &["remove", "lab"])`, and gives what it prints.
pub fn command(name: &str, args: &[&str]) -> String {
    let output = Command::new(name).args(args).output().unwrap();
    assert!(output.status.success(), "{name} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// In the guest: sets a knob of the simulated I2C and SPI buses.
pub fn knob(name: &str, value: u32) {
    fs::write(format!("/sys/kernel/debug/labbus/{name}"), value.to_string()).unwrap();
}

/// In the guest: the world outside of one line of the first GPIO chip of the lab's own.
pub struct Outside(PathBuf);

impl Outside {
    pub fn of(offset: u32) -> Self {
        let chips = fs::read_dir("/sys/bus/gpio/devices").unwrap().map(|entry| entry.unwrap().path());
        let lines = chips.map(|chip| fs::canonicalize(chip).unwrap().join(format!("sim_gpio{offset}")));
        Self(lines.filter(|line| line.exists()).min().expect("a GPIO chip with such a line"))
    }

    /// Does to the line what a button would. The edge is there when this returns.
    pub fn pull(&self, up: bool) {
        fs::write(self.0.join("pull"), if up { "pull-up" } else { "pull-down" }).unwrap();
        fs::write("/sys/kernel/debug/labirq/run", "1").unwrap();
    }

    /// The level that can be measured at the pin.
    pub fn is_high(&self) -> bool {
        fs::read_to_string(self.0.join("value")).unwrap().trim() == "1"
    }
}

/// The configuration with these sections.
pub fn config(sections: &str) -> Config {
    let text = format!("agent: {{ id: lab }}\n{sections}\n");
    halyard::config::parse(&text, "lab.yaml").unwrap_or_else(|report| panic!("{report}"))
}

/// In the guest: connects the parts of these sections of a configuration.
pub fn connect(sections: &str) -> Parts {
    Parts::connect(&config(sections)).unwrap()
}

/// In the guest: takes a part away from its I2C bus, or brings it back.
pub fn set_absent(parts: &Parts, id: &str, absent: bool) {
    parts.set_faults(id, I2cFaults { absent, ..I2cFaults::default() }).unwrap();
}

/// A part on I2C of which a few answers arrive with a wrong bit.
pub struct Garbled {
    part: SharedPart,
    left: Arc<AtomicU32>,
}

impl Garbled {
    /// Lets the part with this id and address on the first bus be one; gives how many of its next answers are wrong.
    pub fn part(parts: &Parts, id: &str, address: u8) -> Arc<AtomicU32> {
        let left = Arc::default();
        let part = Self { part: parts.part(id).unwrap(), left: Arc::clone(&left) };
        parts.place(&At::I2c { bus: 1, address }, Box::new(part));
        left
    }
}

impl Part for Garbled {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        self.part.stimulate(channel, value)
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Garbled {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.part.lock().i2c().unwrap().write(bytes)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.part.lock().i2c().unwrap().read(buffer)?;
        let less = |left: u32| left.checked_sub(1);
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            *buffer.last_mut().unwrap() ^= 1;
        }
        Ok(())
    }
}

/// A part on I2C of which every byte that is written to it is kept, with the time: nothing can be missed.
struct Recorded<P> {
    part: P,
    written: Arc<Mutex<Vec<(SystemTime, u8)>>>,
}

impl<P: Part> Part for Recorded<P> {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        self.part.stimulate(channel, value)
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl<P: Part> I2cPart for Recorded<P> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.written.lock().unwrap().extend(bytes.iter().map(|byte| (SystemTime::now(), *byte)));
        self.part.i2c().unwrap().write(bytes)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.part.i2c().unwrap().read(buffer)
    }
}

/// Bosch Sensortec, BST-BMP280-DS001: told apart from a BME280 by its identity register.
#[derive(Default)]
pub struct Bmp280 {
    register: u8,
}

impl Part for Bmp280 {
    fn stimulate(&mut self, _channel: &str, _value: f64) -> bool {
        false
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Bmp280 {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.register = bytes.first().copied().unwrap_or(self.register);
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        for (register, byte) in (self.register..=u8::MAX).zip(buffer) {
            *byte = if register == 0xD0 { 0x58 } else { 0 };
        }
        Ok(())
    }
}

/// In the guest: what hangs on the lines of a PCF8574 at 0x20, all of which are high at first.
pub struct Expander {
    driven: Arc<Mutex<Vec<(SystemTime, u8)>>>,
}

impl Expander {
    /// Connects it.
    pub fn connect(parts: &Parts) -> Self {
        let driven = Arc::default();
        let part = Recorded { part: pcf8574::sim::Model::default(), written: Arc::clone(&driven) };
        parts.place(&At::I2c { bus: 1, address: 0x20 }, Box::new(part));
        Self { driven }
    }

    /// Lets the kernel make a GPIO chip of it, the first one.
    pub fn give_to_the_kernel(&self) {
        fs::write("/sys/bus/i2c/devices/i2c-1/new_device", "pcf8574 0x20").unwrap();
        wait_until("GPIO chip", || Path::new("/dev/gpiochip0").exists());
    }

    /// All that was ever driven: when, and the levels of all lines.
    pub fn driven(&self) -> Vec<(SystemTime, u8)> {
        self.driven.lock().unwrap().clone()
    }

    /// The levels now: bit 0 is the line with offset 0.
    pub fn levels(&self) -> u8 {
        self.driven().last().map_or(0xFF, |(_, levels)| *levels)
    }

    /// Whether this line is high.
    pub fn is_high(&self, offset: u8) -> bool {
        self.levels() >> offset & 1 == 1
    }
}
