use super::*;
use halyard_drivers::port::{Parity, SerialSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;

const SETTINGS: ModbusSettings =
    ModbusSettings { serial: SerialSettings::plain(115_200), timeout: Duration::from_millis(500) };

/// What a device at the other end of a line is asked, and what it answers.
type Exchange = (&'static [u8], &'static [u8]);

/// Opens lines whose device says this, one part of it after another however often the line is opened.
fn scripted(talk: &'static [Exchange]) -> Open {
    let talk = Arc::new(Mutex::new(talk.iter()));
    Box::new(move || {
        let (port, end) = duplex(256);
        crate::task::spawn(answer(end, Arc::clone(&talk)));
        Ok(Box::new(port))
    })
}

async fn answer(mut end: DuplexStream, talk: Arc<Mutex<std::slice::Iter<'static, Exchange>>>) {
    // All requests here have eight bytes. What is next is decided when one comes: it may be on a line opened anew.
    let mut bytes = [0; 8];
    while end.read_exact(&mut bytes).await.is_ok() {
        let (asked, answered) = *talk.lock().unwrap().next().expect("no further request");
        assert_eq!(&bytes, asked, "what goes over the line");
        if end.write_all(answered).await.is_err() {
            return;
        }
    }
}

/// Calls a device as its driver does: on a worker.
async fn ask<T: Send + 'static>(
    lines: &Arc<Lines>,
    link: &Link,
    unit: u8,
    open: Open,
    ask: impl FnOnce(&mut dyn Modbus) -> Result<T, PortError> + Send + 'static,
) -> Result<T, PortError> {
    let (lines, link) = (Arc::clone(lines), link.clone());
    let call = move || ask(&mut *lines.device(&link, unit, SETTINGS, open)?.0);
    let work = crate::task::blocking(call);
    tokio::time::timeout(Duration::from_secs(10), work).await.expect("an answer within the limit").unwrap()
}

fn wire() -> (Arc<Lines>, Link) {
    (Arc::default(), Link::Serial("/dev/ttyTEST".to_owned()))
}

/// The examples of the MODBUS Application Protocol Specification V1.1b3, sections 6.3 (registers 107 to 109) and 6.5 (coil 172
/// on), as RTU frames of unit 17.
#[tokio::test]
async fn frames_of_the_specification() {
    let (lines, link) = wire();
    let open = scripted(&[
        (
            &[0x11, 0x03, 0x00, 0x6B, 0x00, 0x03, 0x76, 0x87],
            &[0x11, 0x03, 0x06, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64, 0xC8, 0xBA],
        ),
        (&[0x11, 0x05, 0x00, 0xAC, 0xFF, 0x00, 0x4E, 0x8B], &[0x11, 0x05, 0x00, 0xAC, 0xFF, 0x00, 0x4E, 0x8B]),
    ]);
    let found = ask(&lines, &link, 0x11, open, |device| {
        let words = device.read(Table::Holding, 0x6B, 3)?;
        device.write(Table::Coil, 0xAC, &[1])?;
        Ok(words)
    });
    assert_eq!(found.await.unwrap(), [0x022B, 0x0000, 0x0064]);
}

#[tokio::test]
async fn refusals_and_silence() {
    let (lines, link) = wire();
    // Exception 2: illegal data address. Then nothing, and on the line that is opened anew an answer with a wrong check.
    let open = scripted(&[
        (&[0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB], &[0x01, 0x84, 0x02, 0xC2, 0xC1]),
        (&[0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB], &[]),
        (&[0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB], &[0x01, 0x04, 0x04, 0x43, 0x66, 0x33, 0x34, 0x1B, 0x39]),
        (&[0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB], &[0x01, 0x04, 0x04, 0x43, 0x66, 0x33, 0x34, 0x1B, 0x38]),
    ]);
    let faults = ask(&lines, &link, 1, open, |device| {
        let mut read = || device.read(Table::Input, 0, 2);
        Ok([read(), read(), read(), read()])
    });
    let [refused, silent, wrong, right] = faults.await.unwrap();
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind, FaultKind::Rejected, "{refused}");
    let silent = silent.unwrap_err();
    assert_eq!((silent.kind, silent.message.as_str()), (FaultKind::Absent, "unit 1 does not answer within 500ms"));
    let wrong = wrong.unwrap_err();
    assert!(matches!(wrong.kind, FaultKind::Corrupt | FaultKind::Absent), "{wrong}");
    assert_eq!(right.unwrap(), [0x4366, 0x3334], "the next one is answered");
}

#[tokio::test]
async fn a_line_has_one_setting() {
    let (lines, link) = wire();
    let first = lines.device(&link, 1, SETTINGS, scripted(&[])).unwrap();
    let even = SerialSettings { parity: Parity::Even, ..SETTINGS.serial };
    let fault = lines.device(&link, 2, ModbusSettings { serial: even, ..SETTINGS }, scripted(&[])).err().unwrap();
    assert_eq!(fault.kind, FaultKind::Rejected, "{fault}");
    assert!(lines.device(&link, 2, SETTINGS, scripted(&[])).is_ok());
    drop(first);
    assert!(
        lines.device(&link, 2, ModbusSettings { serial: even, ..SETTINGS }, scripted(&[])).is_ok(),
        "nobody else is there"
    );
}

/// MODBUS Messaging on TCP/IP Implementation Guide V1.0b, section 3.1: transaction, protocol, length, unit.
#[tokio::test]
async fn over_tcp() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let link = Link::Tcp(server.local_addr().unwrap().to_string());
    crate::task::spawn(async move {
        let (mut stream, _) = server.accept().await.unwrap();
        let mut request = [0; 12];
        stream.read_exact(&mut request).await.unwrap();
        assert_eq!(request[2..], [0, 0, 0, 6, 7, 3, 0, 0x10, 0, 1]);
        stream.write_all(&[request[0], request[1], 0, 0, 0, 5, 7, 3, 2, 0x12, 0x34]).await.unwrap();
        // Then it hangs up.
    });
    let lines = Arc::default();
    let both = ask(&lines, &link, 7, scripted(&[]), |device| {
        Ok([device.read(Table::Holding, 0x10, 1), device.read(Table::Holding, 0x10, 1)])
    });
    let [first, second] = both.await.unwrap();
    assert_eq!(first.unwrap(), [0x1234]);
    assert_eq!(second.unwrap_err().kind, FaultKind::Absent);
}
