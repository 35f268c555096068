//! A simulated serial port: a pipe with the model of a part at its other end.

use crate::bus::Serial;
use halyard_drivers::sim::{SerialPart, SharedPart};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{MissedTickBehavior, interval};

/// Bytes on their way, in each direction: what a Linux port keeps.
const KEPT: usize = 4096;

/// A port with `part` on it, which lives until the port is dropped.
pub(super) fn open(part: SharedPart) -> Box<dyn Serial> {
    let (port, end) = duplex(KEPT);
    crate::task::spawn(live(part, end));
    Box::new(port)
}

async fn live(part: SharedPart, mut end: DuplexStream) {
    let with = |act: &mut dyn FnMut(&mut dyn SerialPart)| part.lock().serial().into_iter().for_each(act);
    let mut period = None;
    with(&mut |part| period = part.period());
    let mut messages = period.map(|period| {
        let mut messages = interval(period);
        messages.set_missed_tick_behavior(MissedTickBehavior::Delay);
        messages
    });
    let mut bytes = [0; 256];
    loop {
        let mut out = Vec::new();
        let next = async {
            match &mut messages {
                Some(messages) => messages.tick().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = next => with(&mut |part| part.talk(&mut out)),
            read = end.read(&mut bytes) => match read {
                Ok(length @ 1..) => with(&mut |part| part.receive(&bytes[..length], &mut out)),
                // The port was closed.
                _ => return,
            },
        }
        if end.write_all(&out).await.is_err() {
            return;
        }
    }
}

/// A line with several devices on it, each of which answers to its unit, as `find` gives it.
pub(super) fn open_line(find: impl Fn(u8) -> Option<SharedPart> + Send + 'static) -> Box<dyn Serial> {
    let (port, mut end) = duplex(KEPT);
    crate::task::spawn(async move {
        let mut bytes = [0; 256];
        // Until the port is closed. A request is written as a whole.
        while let Ok(length @ 1..) = end.read(&mut bytes).await {
            let mut out = Vec::new();
            if let Some(part) = find(bytes[0]) {
                part.lock().serial().into_iter().for_each(|part| part.receive(&bytes[..length], &mut out));
            }
            if end.write_all(&out).await.is_err() {
                return;
            }
        }
    });
    Box::new(port)
}
