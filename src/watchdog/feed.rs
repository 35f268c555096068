//! Feeds those who watch the agent: systemd's watchdog and the machine's.

use super::{Device, Watchdog};
use crate::mqtt::Outbox;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// The thread of the connection stands still if it did not go round for this long.
const PUBLISHING: Duration = Duration::from_secs(30);

/// Who feeds, until it is told to stop.
pub struct Feeder {
    ready: Arc<AtomicBool>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Feeder {
    /// Feeds for as long as the work makes progress; systemd only once it is told that the agent is ready.
    #[must_use]
    pub fn start(watchdog: Watchdog, outbox: Outbox, device: Option<Device>) -> Self {
        let (ready, stop) = (Arc::default(), CancellationToken::new());
        let task = crate::task::spawn(feed(watchdog, outbox, device, Arc::clone(&ready), stop.clone()));
        Self { ready, stop, task }
    }

    /// The agent is ready.
    pub fn ready(&self) {
        tell_systemd(sd_notify::NotifyState::Ready);
        self.ready.store(true, Ordering::Relaxed);
    }

    /// The end of an orderly stop: the machine's watchdog is stopped. Dropped without that, it is left running.
    pub async fn stop(self) {
        self.stop.cancel();
        // One that panicked has said so.
        let _ = self.task.await;
    }
}

async fn feed(
    watchdog: Watchdog,
    outbox: Outbox,
    mut device: Option<Device>,
    ready: Arc<AtomicBool>,
    stop: CancellationToken,
) {
    let systemd = sd_notify::watchdog_enabled();
    if let Some(device) = &device {
        info!("the hardware watchdog resets this machine when the agent stands still for {:?}", device.timeout());
    }
    let Some(limit) = systemd.into_iter().chain(device.as_ref().map(Device::timeout)).min() else { return };
    let mut rounds = tokio::time::interval(limit / 3);
    loop {
        tokio::select! {
            _ = rounds.tick() => {}
            () = stop.cancelled() => return device.into_iter().for_each(Device::disarm),
        }
        let publishing = || Some(("mqtt".to_owned(), outbox.silence())).filter(|(_, silent)| *silent > PUBLISHING);
        match watchdog.overdue().or_else(publishing) {
            None => {
                device.iter_mut().for_each(Device::feed);
                if systemd.is_some() && ready.load(Ordering::Relaxed) {
                    tell_systemd(sd_notify::NotifyState::Watchdog);
                }
            }
            Some((name, silent)) => error!("{name}: no progress for {silent:?}; the watchdog is not fed"),
        }
    }
}

/// Not running under systemd is no error.
pub fn tell_systemd(state: sd_notify::NotifyState) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!("systemd was not told: {error}");
    }
}
