//! The embedded broker: for a machine that has none, and for the demonstration.
//!
//! MQTT 5 and 3.1.1 on one port. What is retained or queued is in memory: it is gone when the agent ends, and all
//! agents publish their states again when they find a new broker. It reports below the tracing target `mqtt5`, at
//! length: the log shows warnings of it only.

use crate::config::EmbeddedBroker;
use anyhow::{Result, ensure};

#[cfg(test)]
#[cfg(feature = "broker")]
mod tests;
#[cfg(feature = "broker")]
mod users;

pub use imp::Handle;

/// Starts the broker; it accepts connections when this returns.
///
/// # Errors
/// When it cannot listen there, when others than this machine could reach it without a password, or when halyard was built
/// without it.
pub async fn start(settings: &EmbeddedBroker) -> Result<Handle> {
    let listen = settings.listen;
    // The configuration says so too, at its place; this is the last word.
    ensure!(
        settings.is_guarded(),
        "the embedded broker does not listen on {listen} without passwords: anyone in the network could work the actuators"
    );
    imp::start(settings).await
}

#[cfg(feature = "broker")]
mod imp {
    use super::users::Users;
    use crate::config::EmbeddedBroker;
    use anyhow::{Context, Result, anyhow};
    use mqtt5::broker::config::{StorageBackend, StorageConfig};
    use mqtt5::broker::{BrokerConfig, BrokerShutdownHandle, MqttBroker};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::Arc;
    use tokio::task::JoinHandle;

    /// Clients at a time: a small machine and its neighbours.
    const CLIENTS: usize = 200;
    /// Longest packet in bytes: a discovery message with hundreds of entities.
    const PACKET: usize = 1 << 20;
    /// Messages that are retained.
    const RETAINED: usize = 10_000;
    /// Messages kept for a client that is away, and their size in bytes.
    const QUEUED: usize = 1_000;
    const QUEUED_BYTES: usize = 4 << 20;

    /// The running broker. It stops when this is dropped.
    #[derive(Debug)]
    pub struct Handle {
        address: SocketAddr,
        shutdown: Shutdown,
        task: JoinHandle<()>,
    }

    /// Stops the broker when it is dropped.
    struct Shutdown(BrokerShutdownHandle);

    impl Drop for Shutdown {
        fn drop(&mut self) {
            self.0.shutdown();
        }
    }

    impl std::fmt::Debug for Shutdown {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Shutdown")
        }
    }

    impl Handle {
        /// Where it listens; with the port it was given if port 0 was asked for.
        #[must_use]
        pub fn address(&self) -> SocketAddr {
            self.address
        }

        /// Stops it: no new connections, and at most 5 s for those that there are.
        pub async fn stop(self) {
            drop(self.shutdown);
            // An error would be its panic, which the runtime has reported.
            let _ = self.task.await;
        }
    }

    pub(super) async fn start(settings: &EmbeddedBroker) -> Result<Handle> {
        let listen = settings.listen;
        let mut storage = StorageConfig::new().with_backend(StorageBackend::Memory);
        storage.max_queued_messages_per_client = QUEUED;
        storage.max_queued_bytes_per_client = QUEUED_BYTES;
        let config = BrokerConfig::new()
            .with_bind_addresses(vec![listen])
            .with_max_clients(CLIENTS)
            .with_max_packet_size(PACKET)
            .with_max_retained_messages(RETAINED)
            .with_storage(storage)
            .with_sys_topics_enabled(false);
        let mut broker = MqttBroker::with_config(config).await.map_err(|error| refused(listen, error))?;
        if !settings.users.is_empty() {
            broker = broker.with_auth_provider(Arc::new(Users::new(settings.users.clone())));
        }
        let address = broker.local_addr().context("the embedded broker does not say where it listens")?;
        let shutdown = Shutdown(broker.shutdown_handle());
        let mut ready = broker.ready_receiver();
        let task = crate::task::spawn(async move {
            if let Err(error) = broker.run().await {
                tracing::error!("the embedded broker ended: {error}");
            }
        });
        ready.wait_for(|ready| *ready).await.context("the embedded broker did not start: see the log")?;
        tracing::info!("embedded broker on {address}");
        Ok(Handle { address, shutdown, task })
    }

    /// Says why in one line: the broker's own message has six.
    fn refused(listen: SocketAddr, error: mqtt5::MqttError) -> anyhow::Error {
        let cause = match TcpListener::bind(listen) {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => anyhow!(
                "the port is in use, perhaps by another broker: take `broker:` out of the configuration to use that one"
            ),
            Err(error) => error.into(),
            Ok(_) => error.into(),
        };
        cause.context(format!("the embedded broker cannot listen on {listen}"))
    }
}

#[cfg(not(feature = "broker"))]
mod imp {
    use crate::config::EmbeddedBroker;
    use anyhow::{Result, bail};
    use std::net::SocketAddr;

    /// There is none in this build.
    #[derive(Debug)]
    pub enum Handle {}

    impl Handle {
        /// Where it listens.
        #[must_use]
        pub fn address(&self) -> SocketAddr {
            match *self {}
        }

        /// Stops it.
        #[allow(clippy::unused_async)] // as the real one
        pub async fn stop(self) {
            match self {}
        }
    }

    #[allow(clippy::unused_async)] // as the real one
    pub(super) async fn start(_: &EmbeddedBroker) -> Result<Handle> {
        bail!(
            "built without the embedded broker: take `broker:` out of the configuration and name a broker in \
             `mqtt: {{ url: … }}`, or build with `--features broker`"
        )
    }
}

#[cfg(all(test, not(feature = "broker")))]
mod without {
    #[tokio::test]
    async fn a_build_without_it_says_so() {
        let error =
            super::start(&crate::config::EmbeddedBroker::open("127.0.0.1:0".parse().unwrap())).await.unwrap_err();
        assert!(error.to_string().starts_with("built without the embedded broker: "), "{error}");
    }
}
