//! Tests in the hardware lab: a User Mode Linux kernel with real device nodes and simulated hardware behind them.
//!
//! The lab is the command that `HALYARD_LAB` names (itself, or the folder that it is in), else `lab` on the `PATH`. Without
//! one a test prints that it was skipped, or fails where `HALYARD_LAB_REQUIRED=1`.
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests
#![allow(dead_code)] // every test binary has its own copy and uses its own part of it

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

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
        let found = match env::var_os("HALYARD_LAB") {
            Some(path) => {
                let path = PathBuf::from(path);
                let command = if path.is_dir() { path.join("lab") } else { path };
                assert!(is_lab(&command), "HALYARD_LAB: {} is not the lab", command.display());
                Some(command)
            }
            None => env::split_paths(&env::var_os("PATH").unwrap_or_default())
                .map(|folder| folder.join("lab"))
                .find(|command| is_lab(command)),
        };
        if found.is_none() {
            let reason = "no hardware lab: set HALYARD_LAB to its command";
            assert!(env::var("HALYARD_LAB_REQUIRED").as_deref() != Ok("1"), "{reason}");
            // Past the capture of the test runner, which shows nothing of a test that passes.
            std::io::stderr().write_all(format!("skipped: {reason}\n").as_bytes()).unwrap();
        }
        found.map(|command| Self { command })
    }

    /// Runs a bash script in a guest of its own, with `share` as its `/host`. Exit status 124: it took too long.
    pub fn run(&self, script: &str, share: &Path, timeout: Duration) -> Output {
        Command::new(&self.command)
            .args(["run", "--timeout", &timeout.as_secs().to_string(), "--share"])
            .arg(share)
            .args(["--", "bash", "-c", script])
            .output()
            .expect("the lab can be started")
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
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let Some(lab) = Lab::find() else { return };
    let share = tempfile::tempdir().unwrap();
    let executable = env::current_exe().unwrap();
    let executable = executable.to_str().unwrap().replace('\'', r"'\''");
    let script =
        format!("set -e\n{setup}\nexec env {INSIDE}=1 '{executable}' --exact {name} --nocapture --test-threads=1");
    let output = lab.run(&script, share.path(), Duration::from_secs(180));
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

/// In the guest: the parts of `chips.py`.
pub struct Chips {
    process: Child,
    folder: tempfile::TempDir,
}

impl Chips {
    /// They answer when this returns.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let models = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/chips.py");
        let process = Command::new("lab-chips").arg(models).env("HALYARD_CHIPS", folder.path()).spawn().unwrap();
        let reset = ["i2c", "/dev/i2c-1", "0x44", "w:94"];
        wait_until("chips", || Command::new("lab-io").args(reset).output().unwrap().status.success());
        Self { process, folder }
    }

    /// Sets what a part measures, or what goes wrong with it.
    pub fn set(&self, name: &str, value: f64) {
        let new = self.folder.path().join("new");
        fs::write(&new, value.to_string()).unwrap();
        fs::rename(new, self.folder.path().join(name)).unwrap();
    }

    /// What [`set`](Self::set) has set, or the part has left of it.
    pub fn get(&self, name: &str) -> f64 {
        fs::read_to_string(self.folder.path().join(name)).unwrap().trim().parse().unwrap()
    }

    /// Lets the kernel make a GPIO chip, the first one, of the PCF8574, all of whose lines are high.
    pub fn expander(&self) -> Expander {
        fs::write("/sys/bus/i2c/devices/i2c-1/new_device", "pcf8574 0x20").unwrap();
        wait_until("GPIO chip", || Path::new("/dev/gpiochip0").exists());
        Expander(self.log("pcf8574"))
    }

    /// Where what was written to a part is noted, from the first time on.
    pub fn log(&self, part: &str) -> PathBuf {
        self.folder.path().join(format!("{part}.log"))
    }
}

impl Drop for Chips {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In the guest: what hangs on the lines of the PCF8574.
pub struct Expander(PathBuf);

impl Expander {
    /// All that was ever driven: the levels of all lines, and when, in seconds since 1970.
    pub fn driven(&self) -> Vec<(f64, u8)> {
        let log = fs::read_to_string(&self.0).unwrap_or_default();
        // The last line may be half written.
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole
            .lines()
            .map(|line| line.split_once(' ').unwrap())
            .map(|(time, levels)| (time.parse().unwrap(), levels.parse().unwrap()))
            .collect()
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
