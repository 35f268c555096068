//! Modbus devices on the loopback interface that count how often they were asked.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

/// A device with one value of two registers at address 0: each answer has the next number.
pub struct Meter {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    next: AtomicU32,
    /// Numbers after which the same process asked again: it has done with them what it does with a sample.
    taken: Mutex<Vec<u32>>,
    is_silent: AtomicBool,
}

impl Meter {
    /// Counts from `first` on.
    pub fn start(first: u32) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            next: AtomicU32::new(first),
            taken: Mutex::default(),
            is_silent: AtomicBool::new(false),
        });
        let of_thread = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = of_thread.clone();
                std::thread::spawn(move || drop(shared.answer(stream)));
            }
        });
        Self { address, shared }
    }

    /// A stanza of a sensor that asks it.
    pub fn stanza(&self, id: &str, rest: &str) -> String {
        let host = self.address;
        let count = "{ table: input, register: 0, type: u32, min: 0, max: 4000000000 }";
        format!("{{ id: {id}, driver: registers, host: \"{host}\", address: 1, registers: {{ n: {count} }}, {rest} }}")
    }

    /// Numbers that whoever asked has taken.
    pub fn taken(&self) -> Vec<u32> {
        self.shared.taken.lock().unwrap().clone()
    }

    /// How many those are.
    pub fn count(&self) -> usize {
        self.shared.taken.lock().unwrap().len()
    }

    /// Answers no more.
    pub fn silence(&self) {
        self.shared.is_silent.store(true, SeqCst);
    }
}

impl Shared {
    /// MODBUS Messaging on TCP/IP Implementation Guide V1.0b, section 3.1; function 4, read input registers.
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let (mut last, mut is_first) = (None, true);
        loop {
            let mut request = [0; 12];
            stream.read_exact(&mut request)?;
            assert_eq!(request[2..8], [0, 0, 0, 6, 1, 4], "{request:?}");
            assert_eq!(request[8..], [0, 0, 0, 2], "{request:?}");
            self.taken.lock().unwrap().extend(last);
            if self.is_silent.load(SeqCst) {
                return Ok(());
            }
            let number = self.next.fetch_add(1, SeqCst);
            let mut answer = vec![request[0], request[1], 0, 0, 0, 7, 1, 4, 4];
            answer.extend(number.to_be_bytes());
            stream.write_all(&answer)?;
            // With the first, the driver looks whether somebody is there.
            last = Some(number).filter(|_| !std::mem::take(&mut is_first));
        }
    }
}
