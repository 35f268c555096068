//! Starting tasks.

use std::pin::Pin;
use tokio::task::JoinHandle;

/// As [`tokio::spawn`], but boxed: the runtime has 2 kB of program for each type of task.
#[allow(clippy::disallowed_methods)] // all others come here, see clippy.toml
pub fn spawn(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let work: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(work);
    tokio::spawn(work)
}
