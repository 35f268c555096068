//! Modbus devices: a line, serial or TCP, that several of them share, one conversation at a time. The protocol is the crate
//! tokio-modbus's.

use super::Serial;
use crate::config::Link;
use halyard_drivers::FaultKind;
use halyard_drivers::port::{Modbus, ModbusPort, ModbusSettings, PortError, SerialSettings, Table};
use std::collections::BTreeMap;
use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_modbus::client::{Context, Reader, Writer, rtu, tcp};
use tokio_modbus::slave::SlaveContext;
use tokio_modbus::{Error, ExceptionCode, Slave};

/// Opens the serial port of a line.
pub(super) type Open = Box<dyn Fn() -> Result<Box<dyn Serial>, PortError> + Send + Sync>;

/// All lines that somebody uses.
#[derive(Default)]
pub(super) struct Lines(Mutex<BTreeMap<Link, Weak<Line>>>);

/// A line and its conversation.
struct Line {
    link: Link,
    serial: SerialSettings,
    open: Open,
    talk: tokio::sync::Mutex<Talk>,
}

#[derive(Default)]
struct Talk {
    context: Option<Context>,
    /// Until when a serial line has to be quiet.
    quiet: Option<Instant>,
}

/// What comes of a request: words, or the device's refusal, or a failure of the line.
type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<Result<T, ExceptionCode>, Error>> + Send + 'a>>;

impl Lines {
    /// A device on a line. `open` opens its port, where it is a serial one.
    pub(super) fn device(
        &self,
        link: &Link,
        unit: u8,
        settings: ModbusSettings,
        open: Open,
    ) -> Result<ModbusPort, PortError> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = match lines.get(link).and_then(Weak::upgrade) {
            Some(line) => line,
            None => {
                let line =
                    Line { link: link.clone(), serial: settings.serial, open, talk: tokio::sync::Mutex::default() };
                let line = Arc::new(line);
                lines.insert(link.clone(), Arc::downgrade(&line));
                line
            }
        };
        if matches!(link, Link::Serial(_)) && line.serial != settings.serial {
            let message =
                format!("{link} is used with another baud rate or parity by others: all units of a line have the same");
            return Err(PortError::new(FaultKind::Rejected, message));
        }
        Ok(ModbusPort(Box::new(Device { line, unit, timeout: settings.timeout, runtime: Handle::current() })))
    }
}

impl Line {
    async fn connect(&self, limit: Duration) -> Result<Context, PortError> {
        match &self.link {
            Link::Serial(_) => Ok(rtu::attach((self.open)()?)),
            Link::Tcp(host) => {
                let unreachable =
                    |why: String| PortError::new(FaultKind::Absent, format!("{host} cannot be reached: {why}"));
                match timeout(limit, TcpStream::connect(host)).await {
                    Ok(Ok(stream)) => {
                        stream.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
                        Ok(tcp::attach(stream))
                    }
                    Ok(Err(error)) => Err(unreachable(error.to_string())),
                    Err(_) => Err(unreachable(format!("no answer within {limit:?}"))),
                }
            }
        }
    }

    /// One request and its answer. A conversation that failed is not gone on with: a late answer would be taken for another
    /// one's.
    async fn request<T>(
        &self,
        unit: u8,
        limit: Duration,
        ask: impl FnOnce(&mut Context) -> Answer<'_, T>,
    ) -> Result<T, PortError> {
        let mut talk = self.talk.lock().await;
        if let Some(quiet) = talk.quiet {
            sleep_until(quiet).await;
        }
        let mut context = match talk.context.take() {
            Some(context) => context,
            None => self.connect(limit).await?,
        };
        context.set_slave(Slave(unit));
        let answer = timeout(limit, ask(&mut context)).await;
        if matches!(self.link, Link::Serial(_)) {
            talk.quiet = Some(Instant::now() + silence(self.serial.baud));
        }
        match answer {
            Ok(Ok(Ok(answer))) => {
                talk.context = Some(context);
                Ok(answer)
            }
            Ok(Ok(Err(exception))) => {
                talk.context = Some(context);
                Err(refused(exception))
            }
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(PortError::new(FaultKind::Absent, format!("unit {unit} does not answer within {limit:?}"))),
        }
    }
}

/// MODBUS over Serial Line V1.02, section 2.5.1.1: three and a half characters of eleven bits; above 19200 Bd always 1.75 ms.
fn silence(baud: u32) -> Duration {
    if baud > 19_200 {
        Duration::from_micros(1_750)
    } else {
        Duration::from_secs_f64(3.5 * 11.0 / f64::from(baud.max(1)))
    }
}

/// MODBUS Application Protocol Specification V1.1b3, section 7.
fn refused(exception: ExceptionCode) -> PortError {
    let kind = match exception {
        ExceptionCode::Acknowledge | ExceptionCode::ServerDeviceBusy => FaultKind::NotReady,
        ExceptionCode::ServerDeviceFailure | ExceptionCode::MemoryParityError => FaultKind::Bus,
        ExceptionCode::GatewayPathUnavailable | ExceptionCode::GatewayTargetDevice => FaultKind::Absent,
        _ => FaultKind::Rejected,
    };
    PortError::new(kind, format!("the device refuses: {exception}"))
}

fn failed(error: &Error) -> PortError {
    match error {
        Error::Protocol(error) => PortError::new(FaultKind::Corrupt, format!("a wrong answer: {error}")),
        Error::Transport(error) if error.kind() == ErrorKind::InvalidData => {
            PortError::new(FaultKind::Corrupt, format!("a wrong answer: {error}"))
        }
        Error::Transport(error) => PortError::new(FaultKind::Absent, format!("the line is gone: {error}")),
    }
}

/// A device as its driver sees it.
struct Device {
    line: Arc<Line>,
    unit: u8,
    timeout: Duration,
    runtime: Handle,
}

impl Device {
    /// Drivers run on workers, where waiting is allowed.
    fn ask<T>(&self, ask: impl FnOnce(&mut Context) -> Answer<'_, T>) -> Result<T, PortError> {
        self.runtime.block_on(self.line.request(self.unit, self.timeout, ask))
    }
}

impl Modbus for Device {
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, PortError> {
        let words = |bits: Vec<bool>| bits.into_iter().map(u16::from).collect();
        match table {
            Table::Holding => self.ask(|context| context.read_holding_registers(address, count)),
            Table::Input => self.ask(|context| context.read_input_registers(address, count)),
            Table::Coil => self.ask(|context| context.read_coils(address, count)).map(words),
            Table::Discrete => self.ask(|context| context.read_discrete_inputs(address, count)).map(words),
        }
    }

    fn write(&mut self, table: Table, address: u16, words: &[u16]) -> Result<(), PortError> {
        let (table, words) = (table, words.to_vec());
        match (table, words.as_slice()) {
            (Table::Coil, [bit]) => {
                let on = *bit != 0;
                self.ask(move |context| context.write_single_coil(address, on))
            }
            (Table::Holding, [word]) => {
                let word = *word;
                self.ask(move |context| context.write_single_register(address, word))
            }
            (Table::Holding, _) => self
                .ask(move |context| Box::pin(async move { context.write_multiple_registers(address, &words).await })),
            _ => Err(PortError::new(FaultKind::Rejected, "this cannot be written")),
        }
    }
}

#[cfg(test)]
mod tests;
