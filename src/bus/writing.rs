//! A serial port in the hands of a worker that writes to it.

use super::Serial;
use halyard_drivers::FaultKind;
use halyard_drivers::port::{PortError, SerialOutput, SerialPort};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Longest time until the port has taken a text. The kernel keeps 4096 bytes, and no text begins before the one before it is on
/// the wire.
const TAKEN: Duration = Duration::from_secs(2);
/// How often what came in is looked at in a row: a device that never ends must not hold its worker.
const LOOKS: usize = 16;

/// The port for a worker.
///
/// # Panics
/// Outside of the runtime's context.
#[must_use]
pub fn writing(port: Box<dyn Serial>) -> SerialPort {
    SerialPort(Box::new(Writing { port, runtime: Handle::current() }))
}

struct Writing {
    port: Box<dyn Serial>,
    runtime: Handle,
}

impl SerialOutput for Writing {
    fn write(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        // A port that is gone may still take something.
        self.check()?;
        // Drivers run on workers, where waiting is allowed.
        let (runtime, port) = (self.runtime.clone(), &mut self.port);
        runtime.block_on(async {
            match timeout(TAKEN, port.write_all(bytes)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(gone(&error)),
                Err(_) => {
                    let message = format!("the port takes nothing for {TAKEN:?}");
                    return Err(PortError::new(FaultKind::Bus, message));
                }
            }
            // Until it is on the wire, which takes as long as there are bytes: there is no flow control.
            port.flush().await.map_err(|error| gone(&error))
        })
    }

    fn check(&mut self) -> Result<(), PortError> {
        let (runtime, port) = (self.runtime.clone(), &mut self.port);
        runtime.block_on(async {
            let mut bytes = [0; 256];
            for _ in 0..LOOKS {
                tokio::select! {
                    biased;
                    read = port.read(&mut bytes) => match read {
                        Ok(0) => return Err(gone(&io::ErrorKind::UnexpectedEof.into())),
                        Ok(_) => {}
                        Err(error) => return Err(gone(&error)),
                    },
                    () = std::future::ready(()) => break,
                }
            }
            Ok(())
        })
    }
}

fn gone(error: &io::Error) -> PortError {
    let why = match error.kind() {
        io::ErrorKind::UnexpectedEof => "is the cable still plugged in?".to_owned(),
        _ => error.to_string(),
    };
    PortError::new(FaultKind::Absent, format!("the port is gone: {why}"))
}
