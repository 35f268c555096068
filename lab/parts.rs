//! The parts of a configuration in the lab: the models of the drivers behind the kernel's own device nodes.
//!
//! It runs in the guest, in a test or in `lab-parts`. I2C and SPI come from the kernel module labbus, whose requests are
//! described at the head of `modules/labbus.c`; a serial port is a pseudo terminal. GPIO, 1-Wire and PWM have modules that
//! need no process.

use embedded_hal::i2c::{I2c, Operation};
use embedded_hal::spi::{self, SpiDevice};
use halyard::bus::Simulated;
use halyard::config::{At, Config};
use halyard_drivers::FaultKind;
use halyard_drivers::port::PortError;
use halyard_drivers::sim::{I2cFaults, Part, SharedPart};
use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const DEVICE: &str = "/dev/labbus";
/// Longer than any transfer that I2C and SPI have.
const REQUEST: usize = 1 << 20;
/// How long a part on a port that nobody has open waits before it looks again.
const CLOSED: Duration = Duration::from_millis(10);

/// Parts that answer until this is dropped.
pub struct Parts {
    buses: Arc<Simulated>,
    /// By the ids of the configuration.
    places: Vec<(String, At)>,
    /// For each server, what ends it.
    servers: Vec<(UnixStream, JoinHandle<()>)>,
}

impl Parts {
    /// Connects the model of each configured part. They answer when this returns.
    ///
    /// # Errors
    /// When this is not the lab, or another process has its buses.
    pub fn connect(config: &Config) -> io::Result<Self> {
        let buses = Arc::new(Simulated::new(config));
        let sensors = config.sensors.iter().map(|sensor| (sensor.id.clone(), sensor.at.clone()));
        let actuators = config.actuators.iter().map(|actuator| (actuator.id.clone(), actuator.at.clone()));
        let expanders = config.expanders.iter().map(|expander| (expander.id.clone(), expander.at.clone()));
        let places = sensors.chain(actuators).chain(expanders).collect();
        let mut parts = Self { buses, places, servers: Vec::new() };
        // A lab that has chips in the kernel lets them step aside.
        let _ = fs::write("/sys/module/labbus/parameters/take_all", "1");
        let device = File::options().read(true).write(true).open(DEVICE);
        let device = device.map_err(|error| io::Error::new(error.kind(), format!("{DEVICE}: {error}")))?;
        let buses = parts.buses.clone();
        parts.start(move |end| serve(&buses, device, &end))?;
        for (_, at) in parts.places.clone() {
            if let (At::Serial(path), Some(part)) = (&at, parts.buses.part(&at)) {
                let port = open_port(Path::new(path))?;
                parts.start(move |end| live(&part, port, &end))?;
            }
        }
        Ok(parts)
    }

    fn start(&mut self, server: impl FnOnce(UnixStream) -> io::Result<()> + Send + 'static) -> io::Result<()> {
        let (end, of_server) = UnixStream::pair()?;
        let thread = std::thread::spawn(|| {
            if let Err(error) = server(of_server) {
                eprintln!("the lab's parts: {error}");
            }
        });
        self.servers.push((end, thread));
        Ok(())
    }

    /// Sets what a part measures, in the unit of the channel.
    ///
    /// # Errors
    /// When there is no such part or channel.
    pub fn stimulate(&self, id: &str, channel: &str, value: f64) -> Result<(), String> {
        let known = self.part(id)?.stimulate(channel, value);
        known.then_some(()).ok_or_else(|| format!("{id} has no {channel}"))
    }

    /// Sets what goes wrong on the way to and from a part on I2C.
    ///
    /// # Errors
    /// When there is no such part, or it is on no I2C bus.
    pub fn set_faults(&self, id: &str, faults: I2cFaults) -> Result<(), String> {
        match self.at(id)? {
            At::I2c { bus, address } => self.buses.i2c_bus(*bus).set_faults(*address, faults),
            at => return Err(format!("{id} is at {at}, which is no I2C bus")),
        }
        Ok(())
    }

    /// The model of a part.
    ///
    /// # Errors
    /// When there is no such part, or it has no model.
    pub fn part(&self, id: &str) -> Result<SharedPart, String> {
        self.buses.part(self.at(id)?).ok_or_else(|| format!("{id} has no model"))
    }

    /// Puts a part of one's own at a place on a bus, instead of what was there.
    #[allow(dead_code)] // in the program, whose parts are those of a file
    pub fn place(&self, at: &At, part: Box<dyn Part>) {
        self.buses.place(at, Some(part));
    }

    fn at(&self, id: &str) -> Result<&At, String> {
        let place = self.places.iter().find(|(known, _)| known == id);
        place.map(|(_, at)| at).ok_or_else(|| format!("there is no part {id}"))
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        for (end, thread) in self.servers.drain(..) {
            // It ends in any case when its device is gone.
            let _ = end.shutdown(Shutdown::Both);
            let _ = thread.join();
        }
    }
}

/// Answers the requests of labbus until the end.
fn serve(buses: &Simulated, mut device: File, end: &UnixStream) -> io::Result<()> {
    let mut request = vec![0; REQUEST];
    loop {
        if wait(&[device.as_raw_fd(), end.as_raw_fd()], None)?[1] != 0 {
            return Ok(());
        }
        let length = device.read(&mut request)?;
        let answer = answer(buses, &request[..length])
            .ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "a request that is none"))?;
        match device.write(&answer) {
            // Too late: the transfer has timed out.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            result => drop(result?),
        }
    }
}

/// A message of I2C, or a part of a transfer on SPI.
struct Message<'a> {
    /// Address or chip select.
    address: u16,
    /// What is written, if anything is.
    written: Option<&'a [u8]>,
    /// What is read; empty if nothing is.
    read: Vec<u8>,
    /// The chip select is let go after it.
    is_last: bool,
}

/// What is to be written to the device for a request; `None` if it is not understood.
fn answer(buses: &Simulated, mut request: &[u8]) -> Option<Vec<u8>> {
    let mut take = |length| {
        let (taken, rest) = request.split_at_checked(length)?;
        request = rest;
        Some(taken)
    };
    let number = take(4)?;
    let [kind, bus, low, high] = *take(4)? else { return None };
    let mut messages = Vec::new();
    for _ in 0..u16::from_le_bytes([low, high]) {
        let address = u16::from_le_bytes(take(2)?.try_into().ok()?);
        let flags = u16::from_le_bytes(take(2)?.try_into().ok()?);
        let length = usize::try_from(u32::from_le_bytes(take(4)?.try_into().ok()?)).ok()?;
        let read = vec![0; if flags & 1 == 0 { 0 } else { length }];
        let written = if flags & 2 == 0 { None } else { Some(take(length)?) };
        messages.push(Message { address, written, read, is_last: flags & 4 != 0 });
    }
    let result = if kind == 0 { i2c(buses, bus, &mut messages) } else { spi(buses, bus, &mut messages) };
    let status = match result.map_err(|error| error.kind) {
        Ok(()) => 0,
        Err(FaultKind::Absent) => -libc::ENXIO,
        Err(FaultKind::Bus) => -libc::ETIMEDOUT,
        Err(_) => -libc::EIO,
    };
    let mut answer = number.to_vec();
    answer.extend(status.to_le_bytes());
    if status == 0 {
        messages.iter().for_each(|message| answer.extend(&message.read));
    }
    Some(answer)
}

fn i2c(buses: &Simulated, bus: u8, messages: &mut [Message<'_>]) -> Result<(), PortError> {
    for run in messages.chunk_by_mut(|a, b| a.address == b.address) {
        let Ok(address) = u8::try_from(run[0].address) else {
            return Err(PortError::new(FaultKind::Absent, "no acknowledge"));
        };
        let operation = |message| match message {
            &mut Message { written: Some(bytes), .. } => Operation::Write(bytes),
            Message { read, .. } => Operation::Read(read),
        };
        let mut operations: Vec<_> = run.iter_mut().map(operation).collect();
        buses.i2c_bus(bus).transaction(address, &mut operations)?;
    }
    Ok(())
}

fn spi(buses: &Simulated, bus: u8, messages: &mut [Message<'_>]) -> Result<(), PortError> {
    for run in messages.chunk_by_mut(|a, _| !a.is_last) {
        let chip_select = u8::try_from(run[0].address).unwrap_or(u8::MAX);
        let operation = |message| match message {
            &mut Message { written: Some(bytes), ref read, .. } if read.is_empty() => spi::Operation::Write(bytes),
            Message { written: Some(bytes), read, .. } => spi::Operation::Transfer(read, bytes),
            Message { written: None, read, .. } => spi::Operation::Read(read),
        };
        let mut operations: Vec<_> = run.iter_mut().map(operation).collect();
        buses.spi_slot(bus, chip_select).transaction(&mut operations)?;
    }
    Ok(())
}

/// Lets a part on a serial port talk and answer, until the end.
fn live(part: &SharedPart, mut port: File, end: &UnixStream) -> io::Result<()> {
    let period = part.lock().serial().and_then(|part| part.period());
    let mut next = Instant::now();
    let mut bytes = [0; 256];
    loop {
        let left = period.map(|_| next.saturating_duration_since(Instant::now()));
        let [of_port, of_end] = wait(&[port.as_raw_fd(), end.as_raw_fd()], left)?;
        if of_end != 0 {
            return Ok(());
        }
        if of_port & libc::POLLHUP != 0 && of_port & libc::POLLIN == 0 {
            // Nobody has the port open: what is said now would wait for whoever opens it.
            if wait(&[end.as_raw_fd()], Some(CLOSED))? != [0] {
                return Ok(());
            }
            continue;
        }
        let mut out = Vec::new();
        if of_port & libc::POLLIN != 0 {
            // It may have been closed meanwhile.
            let length = port.read(&mut bytes).unwrap_or(0);
            part.lock().serial().into_iter().for_each(|part| part.receive(&bytes[..length], &mut out));
        } else if let Some(period) = period {
            part.lock().serial().into_iter().for_each(|part| part.talk(&mut out));
            next = Instant::now() + period;
        }
        // What nobody reads is lost, as on a wire.
        let _ = port.write(&out);
    }
}

/// The device's end of a serial port of this name.
fn open_port(path: &Path) -> io::Result<File> {
    let (mut device, mut port) = (-1, -1);
    let mut name = [0; 64];
    // SAFETY: plain data; all zeros are a value of it.
    let mut raw: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: all pointers are to variables of ours; 64 bytes are enough for a name below /dev/pts.
    let result = unsafe {
        libc::cfmakeraw(&raw mut raw);
        libc::openpty(&raw mut device, &raw mut port, name.as_mut_ptr(), &raw mut raw, std::ptr::null_mut())
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: openpty ended the name with a zero, and gave two descriptors that nobody else has.
    let (name, device, _port) =
        unsafe { (CStr::from_ptr(name.as_ptr()), File::from_raw_fd(device), File::from_raw_fd(port)) };
    // SAFETY: the descriptor is open.
    if unsafe { libc::fcntl(device.as_raw_fd(), libc::F_SETFL, libc::O_RDWR | libc::O_NONBLOCK) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let _ = fs::remove_file(path);
    std::os::unix::fs::symlink(name.to_string_lossy().as_ref(), path)?;
    Ok(device)
}

/// Waits until one of these can be read or is closed, or for so long; gives what `poll` says of each.
fn wait<const N: usize>(files: &[RawFd; N], limit: Option<Duration>) -> io::Result<[libc::c_short; N]> {
    let mut polled = files.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let milliseconds =
        limit.map_or(-1, |limit| libc::c_int::try_from(limit.as_millis() + 1).unwrap_or(libc::c_int::MAX));
    let length = libc::nfds_t::try_from(N).unwrap_or(0);
    // SAFETY: the pointer is to so many structures of ours.
    while unsafe { libc::poll(polled.as_mut_ptr(), length, milliseconds) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(polled.map(|file| file.revents))
}
