//! A part in the hands of workers: opened when needed, used on a blocking thread, dropped when it cannot be trusted.

use halyard_drivers::{Fault, FaultKind, Next};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Opens a driver anew. Blocks: on a worker only.
pub type Factory<T> = Arc<dyn Fn() -> Result<Box<T>, Fault> + Send + Sync>;

/// A driver and what it takes to replace it. Nothing that a driver does (panic, never return) reaches beyond this.
pub struct Device<T: ?Sized> {
    factory: Factory<T>,
    driver: Option<Box<T>>,
    /// A call that did not return in time. It has the driver, and perhaps its bus.
    stuck: Option<JoinHandle<()>>,
    limit: Duration,
}

impl<T: ?Sized + Send + 'static> Device<T> {
    /// A device that is not open yet; a call of it may take `limit`.
    pub fn new(factory: Factory<T>, limit: Duration) -> Self {
        Self { factory, driver: None, stuck: None, limit }
    }

    /// Opens the driver if it is not, and calls `work` with it, on a worker.
    ///
    /// # Errors
    /// What `work` or opening gives; [`FaultKind::Stuck`] if it panics or does not return in time, and from then on
    /// until it has returned.
    pub async fn call<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut T) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Fault> {
        if self.stuck.as_ref().is_some_and(|call| !call.is_finished()) {
            return Err(not_returned());
        }
        self.stuck = None;
        let (factory, driver) = (Arc::clone(&self.factory), self.driver.take());
        let (done, mut result) = tokio::sync::oneshot::channel();
        let call = crate::task::block(move || {
            // Nobody waits any more if it took too long. The driver is dropped then.
            let _ = done.send(attempt(&factory, driver, work));
        });
        match tokio::time::timeout(self.limit, &mut result).await {
            Ok(Ok((driver, result))) => {
                self.driver = driver;
                result
            }
            Ok(Err(_)) => Err(Fault::new(FaultKind::Stuck, "the worker was ended")),
            Err(_) => {
                self.stuck = Some(call);
                Err(no_answer(self.limit))
            }
        }
    }

    /// Whether the driver is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.driver.is_some()
    }
}

/// Opens a driver if there is none, and calls `work` with it. Blocks: on a worker only. What comes back is the driver, if
/// it can be used again, and what `work` or opening gave; [`FaultKind::Stuck`] if it panicked.
pub fn attempt<T: ?Sized, R>(
    factory: &Factory<T>,
    driver: Option<Box<T>>,
    work: impl FnOnce(&mut T) -> Result<R, Fault>,
) -> (Option<Box<T>>, Result<R, Fault>) {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut driver = match driver.map_or_else(|| factory(), Ok) {
            Ok(driver) => driver,
            Err(fault) => return (None, Err(fault)),
        };
        let result = work(&mut driver);
        let keep = result.as_ref().err().is_none_or(|fault| fault.kind.next() != Next::Reopen);
        (keep.then_some(driver), result)
    }));
    outcome.unwrap_or_else(|panic| (None, Err(panicked(panic.as_ref()))))
}

/// The fault of a call that takes longer than `limit`.
#[must_use]
pub fn no_answer(limit: Duration) -> Fault {
    Fault::new(FaultKind::Stuck, format!("no answer from the driver within {limit:?}"))
}

/// The fault of a call while an earlier one has the driver.
#[must_use]
pub fn not_returned() -> Fault {
    Fault::new(FaultKind::Stuck, "an earlier call has not returned yet")
}

fn panicked(panic: &(dyn Any + Send)) -> Fault {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    Fault::new(FaultKind::Stuck, format!("the driver panicked: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    fn counting(limit: Duration) -> (Device<u32>, Arc<AtomicU32>) {
        let opened = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&opened);
        let factory: Factory<u32> = Arc::new(move || Ok(Box::new(count.fetch_add(1, Ordering::SeqCst))));
        (Device::new(factory, limit), opened)
    }

    #[tokio::test]
    async fn opens_once_and_again_after_a_fault_that_asks_for_it() {
        let (mut device, opened) = counting(Duration::from_secs(30));
        assert_eq!(device.call(|driver| Ok(*driver)).await, Ok(0));
        assert_eq!(device.call(|driver| Ok(*driver)).await, Ok(0));
        assert!(device.call(|_| Err::<(), _>(Fault::corrupt("once"))).await.is_err());
        assert_eq!(device.call(|driver| Ok(*driver)).await, Ok(0));
        assert!(device.call(|_| Err::<(), _>(Fault::new(FaultKind::Absent, "gone"))).await.is_err());
        assert_eq!(device.call(|driver| Ok(*driver)).await, Ok(1));
        assert_eq!(opened.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_panic_is_a_fault() {
        let (mut device, _) = counting(Duration::from_secs(30));
        let fault = device.call(|_| -> Result<(), Fault> { panic!("bad luck") }).await.unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Stuck, "the driver panicked: bad luck"));
        assert_eq!(device.call(|driver| Ok(*driver)).await, Ok(1));
    }

    #[tokio::test]
    async fn what_never_returns_is_not_started_twice() {
        let (mut device, opened) = counting(Duration::from_millis(50));
        let (release, wait) = mpsc::channel::<()>();
        let stuck = device.call(move |_| wait.recv().map_err(|_| Fault::corrupt("end"))).await.unwrap_err();
        assert_eq!(stuck.kind, FaultKind::Stuck);
        assert_eq!(device.call(|driver| Ok(*driver)).await.unwrap_err().kind, FaultKind::Stuck);
        assert_eq!(opened.load(Ordering::SeqCst), 1);
        drop(release);
        let healed = async {
            while device.call(|driver| Ok(*driver)).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), healed).await.unwrap();
        assert_eq!(opened.load(Ordering::SeqCst), 2);
    }
}
