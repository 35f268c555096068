//! A TCP proxy between client and broker that reads along and can cut the line.

use super::wire::{self, Packet, Publish, kind};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What went over all connections so far.
#[derive(Debug, Default)]
pub struct Record {
    /// PUBLISH packets of the client, with the number of their connection.
    pub published: Vec<(usize, Publish)>,
    /// Payloads of the client's messages that the broker acknowledged.
    pub acknowledged: Vec<Vec<u8>>,
    /// Connections that the client made.
    pub connections: usize,
    /// What was no MQTT, with the side it came from.
    pub malformed: Vec<String>,
}

/// Relays from a port of its own to a broker.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    broker: SocketAddr,
    version: u8,
    record: Mutex<Record>,
    open: Mutex<Vec<TcpStream>>,
    refusing: Mutex<bool>,
    hushed: AtomicBool,
    delay: AtomicU64,
}

impl Proxy {
    /// Relays to this broker, and reads along in this version of MQTT: 4 for 3.1.1, 5 for 5.
    pub fn start(broker: SocketAddr, version: u8) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            broker,
            version,
            record: Mutex::default(),
            open: Mutex::default(),
            refusing: Mutex::new(false),
            hushed: AtomicBool::new(false),
            delay: AtomicU64::new(0),
        });
        let of_thread = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                of_thread.clone().relay(client);
            }
        });
        Self { address, shared }
    }

    /// `mqtt://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }

    /// Looks at the record.
    pub fn record<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.shared.record.lock().unwrap())
    }

    /// Cuts all connections without a word of MQTT, and refuses new ones until [`mend`](Self::mend).
    pub fn cut(&self) {
        *self.shared.refusing.lock().unwrap() = true;
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Swallows whatever comes from both sides, and accepts connections all the same, until [`mend`](Self::mend): what was
    /// connected stays so to the agent, half of it.
    pub fn hush(&self) {
        self.shared.hushed.store(true, SeqCst);
    }

    /// Lets each piece through so much later.
    pub fn slow(&self, delay: Duration) {
        self.shared.delay.store(u64::try_from(delay.as_millis()).unwrap(), SeqCst);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        // What was swallowed is gone, and so are the connections that it was swallowed from.
        if self.shared.hushed.swap(false, SeqCst) {
            for stream in self.shared.open.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        *self.shared.refusing.lock().unwrap() = false;
    }
}

impl Shared {
    fn relay(self: Arc<Self>, client: TcpStream) {
        let refusing = self.refusing.lock().unwrap();
        if *refusing {
            return;
        }
        let Ok(broker) = TcpStream::connect(self.broker) else { return };
        client.set_nodelay(true).unwrap();
        broker.set_nodelay(true).unwrap();
        self.open.lock().unwrap().extend([client.try_clone().unwrap(), broker.try_clone().unwrap()]);
        let number = {
            let mut record = self.record.lock().unwrap();
            record.connections += 1;
            record.connections
        };
        drop(refusing);
        // By packet identifier: what waits for an acknowledgement on this connection.
        let waiting = Arc::new(Mutex::new(HashMap::new()));
        let (of_client, of_broker) = (self.clone(), self);
        let (client_end, broker_end) = (client.try_clone().unwrap(), broker.try_clone().unwrap());
        let waiting_too = waiting.clone();
        std::thread::spawn(move || {
            of_client
                .pump("client", client, broker_end, |shared, packet| shared.client_says(number, packet, &waiting_too));
        });
        std::thread::spawn(move || {
            of_broker.pump("broker", broker, client_end, |shared, packet| shared.broker_says(packet, &waiting));
        });
    }

    /// A packet is recorded before it is passed on, so that nothing acknowledged is unknown.
    fn pump(
        &self,
        side: &str,
        mut from: TcpStream,
        mut to: TcpStream,
        mut packet: impl FnMut(&Self, &Packet) -> Result<(), String>,
    ) {
        let mut buffer = vec![0; 65536];
        let mut pending = Vec::new();
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if self.hushed.load(SeqCst) {
                continue;
            }
            let delay = Duration::from_millis(self.delay.load(SeqCst));
            if !delay.is_zero() {
                std::thread::sleep(delay);
            }
            pending.extend_from_slice(&buffer[..count]);
            let mut read = || -> Result<(), String> {
                while let Some(next) = wire::next(&mut pending)? {
                    packet(self, &next)?;
                }
                Ok(())
            };
            if let Err(error) = read() {
                self.record.lock().unwrap().malformed.push(format!("{side}: {error}"));
                break;
            }
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    fn client_says(
        &self,
        number: usize,
        packet: &Packet,
        waiting: &Mutex<HashMap<u16, Vec<u8>>>,
    ) -> Result<(), String> {
        if packet.kind() == kind::PUBLISH {
            let publish = packet.publish(self.version)?;
            if let Some(id) = publish.id {
                waiting.lock().unwrap().insert(id, publish.payload.clone());
            }
            self.record.lock().unwrap().published.push((number, publish));
        }
        Ok(())
    }

    fn broker_says(&self, packet: &Packet, waiting: &Mutex<HashMap<u16, Vec<u8>>>) -> Result<(), String> {
        match packet.kind() {
            kind::PUBLISH => drop(packet.publish(self.version)?),
            kind::PUBACK => {
                let payload = waiting.lock().unwrap().remove(&packet.id());
                let payload = payload.ok_or_else(|| format!("PUBACK of {}, which is not under way", packet.id()))?;
                self.record.lock().unwrap().acknowledged.push(payload);
            }
            _ => (),
        }
        Ok(())
    }
}
