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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    /// On a worker, as drivers do it.
    async fn on_worker<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
        crate::task::blocking(work).await.unwrap()
    }

    #[tokio::test]
    async fn what_comes_in_is_dropped_and_an_end_is_noticed() {
        let (near, mut far) = duplex(64);
        let mut port = writing(Box::new(near));
        far.write_all(&[b'x'; 64]).await.unwrap();
        let mut port = on_worker(move || {
            port.0.check().unwrap();
            port.0.write(b"text").unwrap();
            port
        })
        .await;
        // There is room again for what was dropped.
        far.write_all(&[b'x'; 64]).await.unwrap();
        let mut bytes = [0; 4];
        far.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"text");
        drop(far);
        let (checked, written) = on_worker(move || (port.0.check(), port.0.write(b"x"))).await;
        let expected = PortError::new(FaultKind::Absent, "the port is gone: is the cable still plugged in?");
        assert_eq!((checked, written), (Err(expected.clone()), Err(expected)));
    }

    #[tokio::test]
    async fn a_port_that_takes_nothing_is_a_fault() {
        let (near, _far) = duplex(3);
        let mut port = writing(Box::new(near));
        let fault = on_worker(move || port.0.write(b"text")).await.unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Bus, "the port takes nothing for 2s"));
    }
}
