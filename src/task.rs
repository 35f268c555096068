//! Starting tasks, and work that blocks.
//!
//! All of it is boxed: the runtime has 2 kB of program for each type of either.
#![allow(clippy::disallowed_methods)] // all others come here, see clippy.toml

use std::pin::Pin;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// As [`tokio::spawn`].
pub fn spawn(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let work: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(work);
    tokio::spawn(work)
}

/// As [`tokio::task::spawn_blocking`].
pub fn block(work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let work: Box<dyn FnOnce() + Send> = Box::new(work);
    tokio::task::spawn_blocking(work)
}

/// The same with a result; there is none if it panics, or the runtime ends before it begins.
pub fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> oneshot::Receiver<R> {
    let (tell, told) = oneshot::channel();
    block(move || {
        // Whoever wanted it may have gone.
        let _ = tell.send(work());
    });
    told
}
