//! Simulated buses with a record of lines and serial ports beside that of transfers, and with faults that strike once.

use halyard::bus::{Bus, Edges, Serial, Simulated};
use halyard::config::{At, Config, LineName, Link, PwmName};
use halyard_drivers::port::{
    I2cPort, InputLine, InputPort, InputSettings, KernelFiles, KernelPort, Modbus, ModbusPort, ModbusSettings,
    OutputLine, OutputPort, Parity, PortError, PwmOutput, PwmPort, SerialSettings, Space, SpiPort, SpiSettings, Stream,
    Table,
};
use halyard_drivers::sim::{I2cBus, I2cFaults, Machine, MachineFaults, SharedPart, SpiSlot};
use halyard_drivers::{Edge, FaultKind};
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Notify;

/// What is noted of a port that was struck.
const GONE: &str = "is gone";
/// Bytes on their way through a serial port: more than any message has, so that none waits for the agent.
const KEPT: usize = 4096;

/// The buses and lines of a configuration.
pub struct Wired {
    simulated: Simulated,
    control: Arc<Control>,
}

/// What the test has in its hands.
#[derive(Default)]
struct Control {
    /// Whether anything can be opened; whoever tries meanwhile waits.
    open: Mutex<bool>,
    opened: Condvar,
    /// The next access fails.
    failing: AtomicBool,
    /// Wakes those who wait for an edge, and parts on serial ports, to fail.
    struck: Notify,
    /// Wakes the part on a serial port, to talk.
    talks: Notify,
    /// What happened on lines and serial ports.
    notes: Mutex<Vec<String>>,
}

impl Control {
    fn wait(&self) {
        drop(self.opened.wait_while(self.open.lock().unwrap(), |open| !*open).unwrap());
    }

    fn strikes(&self) -> bool {
        self.failing.swap(false, Ordering::SeqCst)
    }

    fn note(&self, place: impl Display, what: &str) {
        self.notes.lock().unwrap().push(format!("{place} {what}"));
    }

    /// Bytes on a serial port: `W` to the part, `R` from it. Lines of text as text.
    fn note_bytes(&self, port: &str, direction: char, bytes: &[u8]) {
        let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n');
        if bytes.iter().all(is_text) {
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                self.note(port, &format!("{direction} \"{}\"", line.escape_ascii()));
            }
        } else {
            let bytes: String = bytes.iter().map(|byte| format!(" {byte:02x}")).collect();
            self.note(port, &format!("{direction}{bytes}"));
        }
    }
}

fn level(high: bool) -> &'static str {
    if high { "high" } else { "low" }
}

impl Wired {
    /// Nothing can be opened yet.
    pub fn new(config: &Config) -> Self {
        Self { simulated: Simulated::new(config), control: Arc::default() }
    }

    /// What the test can do to parts and lines.
    pub fn simulated(&self) -> &Simulated {
        &self.simulated
    }

    /// Lets everything be opened.
    pub fn open(&self) {
        *self.control.open.lock().unwrap() = true;
        self.control.opened.notify_all();
    }

    /// Lets the next access fail, and nothing be opened.
    pub fn strike(&self) {
        *self.control.open.lock().unwrap() = false;
        self.control.failing.store(true, Ordering::SeqCst);
        self.control.struck.notify_one();
    }

    /// Whether a serial port was struck since the last record was taken.
    pub fn is_gone(&self) -> bool {
        self.has_noted(GONE)
    }

    /// Whether a part on a serial port has answered since then.
    pub fn has_answered(&self) -> bool {
        self.has_noted(" R \"")
    }

    fn has_noted(&self, what: &str) -> bool {
        self.control.notes.lock().unwrap().iter().any(|note| note.contains(what))
    }

    /// Lets the part on a serial port talk once.
    pub fn talk(&self) {
        self.control.talks.notify_one();
    }

    /// What happened at this place since the last call.
    pub fn recorded(&self, at: &At) -> Vec<String> {
        match at {
            At::I2c { bus, .. } => self.simulated.i2c_bus(*bus).recorded(),
            At::Spi { bus, chip_select } => self.simulated.spi_slot(*bus, *chip_select).recorded(),
            At::Kernel { .. } => self.simulated.machine().recorded(),
            _ => std::mem::take(&mut *self.control.notes.lock().unwrap()),
        }
    }

    /// Starts the record of this place.
    pub fn record(&self, at: &At) {
        match at {
            At::I2c { bus, .. } => self.simulated.i2c_bus(*bus).record(),
            At::Spi { bus, chip_select } => self.simulated.spi_slot(*bus, *chip_select).record(),
            At::Kernel { .. } => self.simulated.machine().record(),
            _ => {}
        }
    }
}

impl Bus for Wired {
    fn i2c(&self, bus: u8, _address: u8) -> Result<I2cPort, PortError> {
        self.control.wait();
        Ok(I2cPort(Box::new(Struck { inner: self.simulated.i2c_bus(bus), control: self.control.clone() })))
    }

    fn i2c_buses(&self) -> Vec<u8> {
        self.simulated.i2c_buses()
    }

    fn i2c_taken(&self, bus: u8, address: u8) -> Option<String> {
        self.simulated.i2c_taken(bus, address)
    }

    fn line_holder(&self, line: &LineName) -> Result<Option<String>, PortError> {
        self.simulated.line_holder(line)
    }

    fn spi(&self, bus: u8, chip_select: u8, _settings: SpiSettings) -> Result<SpiPort, PortError> {
        self.control.wait();
        let inner = self.simulated.spi_slot(bus, chip_select);
        Ok(SpiPort(Box::new(Struck { inner, control: self.control.clone() })))
    }

    fn output(&self, line: &LineName) -> Result<OutputPort, PortError> {
        self.control.wait();
        let inner = Struck { inner: self.simulated.output(line)?.0, control: self.control.clone() };
        Ok(OutputPort(Box::new(Noted { inner, lines: vec![line.clone()] })))
    }

    fn kernel(&self) -> Result<KernelPort, PortError> {
        self.control.wait();
        let KernelPort { rounds, .. } = self.simulated.kernel()?;
        let files = Struck { inner: self.simulated.machine(), control: self.control.clone() };
        Ok(KernelPort { files: Box::new(files), rounds })
    }

    fn pwm(&self, name: &PwmName) -> Result<PwmPort, PortError> {
        self.control.wait();
        let inner = Struck { inner: self.simulated.pwm(name)?.0, control: self.control.clone() };
        Ok(PwmPort(Box::new(NotedPwm { inner, name: At::Pwm(name.clone()).to_string() })))
    }

    fn input(&self, line: &LineName, settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        self.inputs(std::slice::from_ref(line), settings)
    }

    fn inputs(&self, lines: &[LineName], settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        self.control.wait();
        let inner = Struck { inner: self.simulated.inputs(lines, settings)?, control: self.control.clone() };
        Ok(Box::new(Noted { inner, lines: lines.to_vec() }))
    }

    fn listen(&self, line: &LineName, settings: InputSettings) -> Result<InputPort, PortError> {
        self.control.wait();
        let inner = Struck { inner: self.simulated.listen(line, settings)?.0, control: self.control.clone() };
        Ok(InputPort(Box::new(Noted { inner, lines: vec![line.clone()] })))
    }

    fn modbus(&self, link: &Link, unit: u8, settings: ModbusSettings) -> Result<ModbusPort, PortError> {
        self.control.wait();
        let inner = self.simulated.modbus(link, unit, settings)?;
        Ok(ModbusPort(Box::new(Talked { inner, unit, control: self.control.clone() })))
    }

    fn serial(&self, port: &str, settings: SerialSettings) -> Result<Box<dyn Serial>, PortError> {
        self.control.wait();
        let SerialSettings { baud, data_bits, parity, stop_bits } = settings;
        let parity = match parity {
            Parity::None => 'N',
            Parity::Even => 'E',
            Parity::Odd => 'O',
        };
        self.control.note(port, &format!("is opened with {baud} {data_bits}{parity}{stop_bits}"));
        let part = self.simulated.part(&At::Serial(port.to_owned())).unwrap();
        let (near, far) = duplex(KEPT);
        #[allow(clippy::disallowed_methods)] // the library's own is private
        tokio::spawn(live(part, far, port.to_owned(), self.control.clone()));
        Ok(Box::new(near))
    }
}

/// The part at the far end of a serial port, until that is closed or the part is struck.
async fn live(part: SharedPart, mut end: DuplexStream, port: String, control: Arc<Control>) {
    // Whoever opens the port of one that talks comes into the middle of a message.
    let message = said(&part);
    let rest = &message[message.len() / 4 * 3..];
    control.note_bytes(&port, 'R', rest);
    control.note_bytes(&port, 'R', &message);
    let mut out = [rest, &message].concat();
    let mut bytes = [0; 256];
    // The agent may close the port while there is something to write.
    while end.write_all(&out).await.is_ok() {
        out = tokio::select! {
            () = control.struck.notified() => {
                drop(end);
                control.note(&port, GONE);
                return;
            }
            () = control.talks.notified() => said(&part),
            read = end.read(&mut bytes) => {
                let Ok(length @ 1..) = read else { return };
                control.note_bytes(&port, 'W', &bytes[..length]);
                let mut answer = Vec::new();
                part.lock().serial().unwrap().receive(&bytes[..length], &mut answer);
                answer
            }
        };
        control.note_bytes(&port, 'R', &out);
    }
}

/// What the part says by itself: nothing if it only answers.
fn said(part: &SharedPart) -> Vec<u8> {
    let mut message = Vec::new();
    part.lock().serial().unwrap().talk(&mut message);
    message
}

/// An open connection that fails when it shall.
struct Struck<T> {
    inner: T,
    control: Arc<Control>,
}

impl embedded_hal::i2c::ErrorType for Struck<I2cBus> {
    type Error = PortError;
}

impl embedded_hal::i2c::I2c for Struck<I2cBus> {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [embedded_hal::i2c::Operation<'_>],
    ) -> Result<(), PortError> {
        if self.control.strikes() {
            self.inner.set_faults(address, I2cFaults { absent: true, ..I2cFaults::default() });
        }
        let result = self.inner.transaction(address, operations);
        self.inner.set_faults(address, I2cFaults::default());
        result
    }
}

impl embedded_hal::spi::ErrorType for Struck<SpiSlot> {
    type Error = PortError;
}

impl embedded_hal::spi::SpiDevice for Struck<SpiSlot> {
    fn transaction(&mut self, operations: &mut [embedded_hal::spi::Operation<'_, u8>]) -> Result<(), PortError> {
        self.inner.set_broken(self.control.strikes());
        self.inner.transaction(operations)
    }
}

impl Struck<Machine> {
    /// What the kernel lost stays lost until everything can be opened again.
    fn look(&mut self) -> &mut Machine {
        let absent = !*self.control.open.lock().unwrap();
        self.inner.set_faults(MachineFaults { absent, ..MachineFaults::default() });
        &mut self.inner
    }
}

impl KernelFiles for Struck<Machine> {
    fn read(&mut self, path: &str) -> Result<String, PortError> {
        self.look().read(path)
    }

    fn write(&mut self, path: &str, text: &str) -> Result<(), PortError> {
        self.look().write(path, text)
    }

    fn list(&mut self, folder: &str) -> Result<Vec<String>, PortError> {
        self.look().list(folder)
    }

    fn create(&mut self, folder: &str) -> Result<(), PortError> {
        self.look().create(folder)
    }

    fn space(&mut self, folder: &str) -> Result<Space, PortError> {
        self.look().space(folder)
    }

    fn stream(&mut self, path: &str) -> Result<Box<dyn Stream>, PortError> {
        self.look().stream(path)
    }
}

/// A Modbus device with the record of its registers.
struct Talked {
    inner: ModbusPort,
    unit: u8,
    control: Arc<Control>,
}

impl Talked {
    fn note(&self, what: &str, table: Table, address: u16, result: Result<&[u16], &PortError>) {
        let words = match result {
            Ok(words) => words.iter().map(|word| format!(" {word:04x}")).collect(),
            Err(error) => format!(" {error}"),
        };
        self.control.note(format_args!("unit {}", self.unit), &format!("{what} {table:?} {address:04x}:{words}"));
    }

    fn struck<T>(&self) -> Result<T, PortError> {
        Err(PortError::new(FaultKind::Absent, "no answer"))
    }
}

impl Modbus for Talked {
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, PortError> {
        let result = if self.control.strikes() { self.struck() } else { self.inner.0.read(table, address, count) };
        self.note("R", table, address, result.as_deref());
        result
    }

    fn write(&mut self, table: Table, address: u16, words: &[u16]) -> Result<(), PortError> {
        let result = if self.control.strikes() { self.struck() } else { self.inner.0.write(table, address, words) };
        self.note("W", table, address, result.as_ref().map(|()| words));
        result
    }
}

/// Lines with their record.
struct Noted<T> {
    inner: Struck<T>,
    lines: Vec<LineName>,
}

impl<T> Noted<T> {
    fn note(&self, line: usize, what: &str) {
        self.inner.control.note(&self.lines[line], what);
    }
}

impl OutputLine for Noted<Box<dyn OutputLine>> {
    fn drive(&mut self, high: bool) -> Result<(), PortError> {
        if self.inner.control.strikes() {
            self.note(0, &format!("cannot be driven {}", level(high)));
            return Err(PortError::new(FaultKind::Bus, "the line does not answer"));
        }
        self.note(0, &format!("is driven {}", level(high)));
        self.inner.inner.drive(high)
    }

    fn level(&mut self) -> Result<bool, PortError> {
        let high = self.inner.inner.level()?;
        self.note(0, &format!("reads {}", level(high)));
        Ok(high)
    }
}

impl InputLine for Noted<Box<dyn InputLine>> {
    fn level(&mut self) -> Result<bool, PortError> {
        let high = self.inner.inner.level()?;
        self.note(0, &format!("reads {}", level(high)));
        Ok(high)
    }

    fn edge(&mut self, patience: Duration) -> Result<Option<(bool, Duration)>, PortError> {
        let edge = self.inner.inner.edge(patience)?;
        if let Some((high, _)) = edge {
            self.note(0, &format!("goes {}", level(high)));
        }
        Ok(edge)
    }
}

impl Edges for Noted<Box<dyn Edges>> {
    fn level(&mut self) -> Result<Edge, PortError> {
        Ok(self.levels()?[0])
    }

    fn levels(&mut self) -> Result<Vec<Edge>, PortError> {
        let levels = self.inner.inner.levels()?;
        levels.iter().for_each(|edge| self.note(edge.line, &format!("reads {}", level(edge.high))));
        Ok(levels)
    }

    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<Edge, PortError>> + Send + '_>> {
        Box::pin(async {
            let Self { inner, lines } = self;
            let control = &inner.control;
            tokio::select! {
                () = control.struck.notified() => {
                    lines.iter().for_each(|line| control.note(line, "is gone"));
                    Err(PortError::new(FaultKind::Absent, "the device is gone"))
                }
                edge = inner.inner.next() => {
                    let edge = edge?;
                    control.note(&lines[edge.line], &format!("goes {}", level(edge.high)));
                    Ok(edge)
                }
            }
        })
    }
}

/// A PWM channel with its record: high time of period, in ns.
struct NotedPwm {
    inner: Struck<Box<dyn PwmOutput>>,
    name: String,
}

impl PwmOutput for NotedPwm {
    fn pulses(&mut self, period_ns: u64, high_ns: u64) -> Result<(), PortError> {
        if self.inner.control.strikes() {
            self.inner.control.note(&self.name, &format!("cannot give {high_ns} of {period_ns} ns"));
            return Err(PortError::new(FaultKind::Bus, "the channel does not answer"));
        }
        self.inner.control.note(&self.name, &format!("gives {high_ns} of {period_ns} ns"));
        self.inner.inner.pulses(period_ns, high_ns)
    }

    fn found(&mut self) -> Result<Option<(u64, u64)>, PortError> {
        let found = self.inner.inner.found()?;
        let text = found.map_or("nothing".to_owned(), |(period, high)| format!("{high} of {period} ns"));
        self.inner.control.note(&self.name, &format!("reads {text}"));
        Ok(found)
    }
}
