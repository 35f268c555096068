use super::sim::Terminal;
use super::*;
use crate::FaultKind;
use crate::port::{PortError, SerialOutput};
use crate::sim::SharedPart;
use crate::tests::tree::problems;

/// A port with a device at its end, and a record of each write.
#[derive(Clone)]
struct Cable {
    part: SharedPart,
    writes: Arc<std::sync::Mutex<Vec<Vec<u8>>>>,
    pulled: Arc<std::sync::atomic::AtomicBool>,
}

impl Cable {
    fn new(options: Options) -> Self {
        let part = SharedPart::new(Box::new(Terminal::new(options.ending)));
        Self { part, writes: Arc::default(), pulled: Arc::default() }
    }

    fn open(&self, options: Options) -> Box<dyn Actuator> {
        options.open(Wire::Serial(SerialPort(Box::new(self.clone())))).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        self.part.lock().texts()
    }

    fn pull(&self, pulled: bool) {
        self.pulled.store(pulled, std::sync::atomic::Ordering::SeqCst);
    }
}

impl SerialOutput for Cable {
    fn write(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        self.check()?;
        self.writes.lock().unwrap().push(bytes.to_vec());
        self.part.lock().serial().unwrap().receive(bytes, &mut Vec::new());
        Ok(())
    }

    fn check(&mut self) -> Result<(), PortError> {
        if self.pulled.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(PortError::new(FaultKind::Absent, "the port is gone"));
        }
        Ok(())
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// ITU-T V.250, section 5.2.1: a command line ends with the character of S3, which is CR (13). ISO/IEC 8859-1, table 1; RFC
/// 3629, section 7.
#[test]
fn bytes_of_the_standards() {
    let plain = Options::default();
    for (options, written, bytes) in [
        (Options { ending: Ending::Cr, ..plain }, "ATD123;", &b"\x41\x54\x44\x31\x32\x33\x3B\x0D"[..]),
        (Options { ending: Ending::Crlf, encoding: Characters::Latin1, ..plain }, "21 °C", b"21 \xB0C\x0D\x0A"),
        (
            Options { ending: Ending::None, encoding: Characters::Utf8, ..plain },
            "A\u{2262}\u{391}.",
            b"\x41\xE2\x89\xA2\xCE\x91\x2E",
        ),
        (plain, "OFF", b"OFF\n"),
    ] {
        let cable = Cable::new(options);
        let mut driver = cable.open(options);
        assert_eq!(driver.apply(&text(written)).unwrap(), text(written));
        assert_eq!(*cable.writes.lock().unwrap(), [bytes], "each text is one write");
    }
}

#[test]
fn the_device_gets_lines_and_the_same_one_twice() {
    let options = Options { ending: Ending::Crlf, ..Options::default() };
    let cable = Cable::new(options);
    let mut driver = cable.open(options);
    for line in ["one", "two", "two"] {
        driver.apply(&text(line)).unwrap();
    }
    assert_eq!(cable.lines(), ["one", "two", "two"]);
}

#[test]
fn nothing_is_written_by_itself_nor_for_an_empty_text() {
    let cable = Cable::new(Options::default());
    let mut driver = cable.open(Options::default());
    assert_eq!(driver.read().unwrap(), None);
    let control = Options::default().control();
    for off in [control.off(), control.left(&control.off())] {
        assert_eq!(driver.apply(&off).unwrap(), text(""));
        assert_eq!(driver.apply_at_once(&off).unwrap(), text(""));
    }
    assert!(cable.writes.lock().unwrap().is_empty());
    assert_eq!(control.left(&text("bye")), text("bye"), "what is safe is written at the end, too");
}

#[test]
fn refuses_what_is_not_allowed_and_writes_nothing_of_it() {
    let options = Options { max_length: 5, ..Options::default() };
    let cable = Cable::new(options);
    let mut driver = cable.open(options);
    for value in [text("a\nb"), text("\x1b"), text("é"), text("123456"), Value::Number(1.0), Value::Switch(true)] {
        assert_eq!(driver.apply(&value).unwrap_err().kind, FaultKind::Rejected, "{value}");
    }
    assert!(cable.writes.lock().unwrap().is_empty());
}

#[test]
fn a_port_that_is_gone_is_noticed_by_everything() {
    let cable = Cable::new(Options::default());
    let mut driver = cable.open(Options::default());
    cable.pull(true);
    assert_eq!(driver.read().unwrap_err().kind, FaultKind::Absent);
    assert_eq!(driver.apply(&text("x")).unwrap_err().kind, FaultKind::Absent);
    assert_eq!(driver.apply(&text("")).unwrap_err().kind, FaultKind::Absent);
    cable.pull(false);
    assert_eq!(driver.apply(&text("x")).unwrap(), text("x"));
}

#[test]
fn the_longest_text_is_written_in_time() {
    assert!(problems(&DRIVER, "{}").is_empty());
    assert!(problems(&DRIVER, "{ max_length: 1000, baud: 4800 }").is_empty());
    // 300 · 4 / 11 bytes, less the ending.
    let message = "`max_length` must be at most 108 at 300 Bd: a text must be written within 4 s";
    assert_eq!(problems(&DRIVER, "{ max_length: 109, baud: 300 }"), [message]);
    assert!(problems(&DRIVER, "{ max_length: 108, baud: 300 }").is_empty());
    for length in [0, 1001] {
        let wrong = problems(&DRIVER, &format!("{{ max_length: {length} }}"));
        assert_eq!(wrong, ["`max_length` must be from 1 to 1000"]);
    }
}
