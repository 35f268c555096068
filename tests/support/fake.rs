//! A broker that does what it is told, down to the byte.

use super::wire::{self, Packet, kind};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a broker does in its own way.
#[derive(Clone, Default)]
pub struct Manners {
    /// Properties of its CONNACKs (MQTT 5).
    pub properties: Vec<u8>,
    /// Types of packets that it never answers.
    pub ignores: Vec<u8>,
    /// Refuses a last will with a quality of service, or one that is retained (MQTT 5).
    pub plain_wills: bool,
    /// It takes so long to acknowledge a message, one after the other. It answers everything else at once.
    pub effort: Duration,
}

/// Accepts everything, acknowledges everything, and never closes a connection by itself.
pub struct FakeBroker {
    address: SocketAddr,
    /// What clients send, in order over all connections.
    pub packets: Receiver<Packet>,
    /// How many messages it has acknowledged with an effort.
    pub acknowledged: Arc<AtomicUsize>,
    latest: Arc<Mutex<Option<TcpStream>>>,
}

impl FakeBroker {
    /// Speaks this version: 4 for MQTT 3.1.1, 5 for 5. From the second connection on it says that it has the session,
    /// if it shall.
    pub fn start(version: u8, keeps_session: bool) -> Self {
        Self::with(version, keeps_session, Manners::default())
    }

    /// The same with these manners.
    pub fn with(version: u8, keeps_session: bool, manners: Manners) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (to, packets) = channel();
        let latest = Arc::new(Mutex::new(None));
        let newest = latest.clone();
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let done = acknowledged.clone();
        std::thread::spawn(move || {
            for (count, stream) in listener.incoming().flatten().enumerate() {
                let (to, newest, manners) = (to.clone(), newest.clone(), manners.clone());
                let present = keeps_session && count > 0;
                let (effort, busy) = channel();
                let (later, pause, done) = (stream.try_clone().unwrap(), manners.effort, done.clone());
                std::thread::spawn(move || work(later, pause, &busy, &done));
                std::thread::spawn(move || serve(stream, version, present, &manners, &to, &newest, &effort));
            }
        });
        Self { address, packets, acknowledged, latest }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }

    /// Sends these bytes on the newest connection.
    pub fn say(&self, bytes: &[u8]) {
        self.latest.lock().unwrap().as_ref().expect("a connection").write_all(bytes).unwrap();
    }

    /// Closes the newest connection.
    pub fn hang_up(&self) {
        self.latest.lock().unwrap().as_ref().expect("a connection").shutdown(Shutdown::Both).unwrap();
    }
}

/// Says what waits, one after the other.
fn work(mut stream: TcpStream, pause: Duration, waiting: &Receiver<Vec<u8>>, done: &AtomicUsize) {
    for answer in waiting {
        std::thread::sleep(pause);
        if stream.write_all(&answer).is_err() {
            return;
        }
        done.fetch_add(1, SeqCst);
    }
}

fn serve(
    mut stream: TcpStream,
    version: u8,
    present: bool,
    manners: &Manners,
    to: &Sender<Packet>,
    newest: &Mutex<Option<TcpStream>>,
    effort: &Sender<Vec<u8>>,
) {
    let mut buffer = [0; 4096];
    let mut pending = Vec::new();
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        pending.extend_from_slice(&buffer[..count]);
        while let Some(packet) = wire::next(&mut pending).unwrap() {
            let v5 = version == 5;
            let is_message = packet.kind() == kind::PUBLISH;
            let answer = match packet.kind() {
                silence if manners.ignores.contains(&silence) => Vec::new(),
                kind::CONNECT => {
                    *newest.lock().unwrap() = Some(stream.try_clone().unwrap());
                    let reason = match packet.body[7] {
                        // Connect flags (MQTT 5, 3.1.2.3): "QoS not supported", "Retain not supported".
                        flags if manners.plain_wills && flags & 0b01_1000 != 0 => 0x9b,
                        flags if manners.plain_wills && flags & 0b10_0000 != 0 => 0x9a,
                        _ => 0,
                    };
                    let length = [u8::try_from(manners.properties.len()).unwrap()];
                    let properties = [&length[..], &manners.properties].concat();
                    let rest = if v5 { properties.as_slice() } else { &[] };
                    acknowledgement(kind::CONNACK << 4, &[u8::from(present), reason], rest)
                }
                kind::PUBLISH => match (packet.head >> 1 & 3, packet.publish(version).unwrap().id) {
                    (1, Some(id)) => acknowledgement(kind::PUBACK << 4, &id.to_be_bytes(), &[]),
                    (2, Some(id)) => acknowledgement(kind::PUBREC << 4, &id.to_be_bytes(), &[]),
                    _ => Vec::new(),
                },
                kind::PUBREL => acknowledgement(kind::PUBCOMP << 4, &packet.id().to_be_bytes(), &[]),
                kind::SUBSCRIBE => acknowledgement(9 << 4, &packet.id().to_be_bytes(), if v5 { &[0, 1] } else { &[1] }),
                kind::UNSUBSCRIBE => {
                    acknowledgement(11 << 4, &packet.id().to_be_bytes(), if v5 { &[0, 0] } else { &[] })
                }
                kind::PINGREQ => vec![13 << 4, 0],
                _ => Vec::new(),
            };
            if to.send(packet).is_err() {
                return;
            }
            // A client that has hung up meanwhile is read to its end.
            if is_message && !manners.effort.is_zero() {
                let _ = effort.send(answer);
            } else {
                let _ = stream.write_all(&answer);
            }
        }
    }
}

fn acknowledgement(head: u8, start: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![head, u8::try_from(start.len() + rest.len()).unwrap()];
    bytes.extend_from_slice(start);
    bytes.extend_from_slice(rest);
    bytes
}
