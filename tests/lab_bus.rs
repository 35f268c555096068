//! The buses of Linux over real device nodes.
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests

mod lab;

use embedded_hal::digital::{OutputPin, StatefulOutputPin};
use embedded_hal::i2c::{I2c, Operation};
use embedded_hal::spi::{self, MODE_0, MODE_3, SpiDevice};
use gpiocdev::line::Direction;
use halyard::bus::{Bus, Edges, Linux};
use halyard::config::{LineName, PwmName};
use halyard_drivers::port::{I2cPort, InputSettings, OutputPort, PortError, Pull, PwmOutput, SpiPort, SpiSettings};
use halyard_drivers::{Edge, FaultKind};
use lab::{Outside, command, connect, in_guest, knob, wait_until};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

const GPIO: &str = "lab-gpio create > /dev/null";

/// Address and identity of the BME280.
const BME280: u8 = 0x76;
const IDENTITY: (u8, u8) = (0xD0, 0x60);
const CLIMATE: &str = "sensors: [ { id: climate, driver: bme280, bus: i2c-1, address: 0x76 } ]";

fn identity(port: &mut I2cPort) -> Result<u8, PortError> {
    let mut byte = [0];
    port.write_read(BME280, &[IDENTITY.0], &mut byte).map(|()| byte[0])
}

fn name(name: &str) -> LineName {
    LineName::Name(name.to_owned())
}

fn offset(chip: &str, offset: u32) -> LineName {
    LineName::Offset { chip: chip.to_owned(), offset }
}

fn message<T>(result: Result<T, PortError>) -> String {
    result.err().expect("an error").message
}

/// The next edge, within a limit.
async fn next(edges: &mut Box<dyn Edges>) -> Result<Edge, PortError> {
    tokio::time::timeout(Duration::from_secs(30), edges.next()).await.expect("an edge in time")
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn i2c_transfers() {
    in_guest("i2c_transfers", "", || {
        let _parts = connect(CLIMATE);
        let mut port = Linux::new().i2c(1, BME280).unwrap();
        assert_eq!(identity(&mut port).unwrap(), IDENTITY.1);

        // Two writes are one message and two reads are another: the register keeps what came in the second write.
        let (mut first, mut second) = ([0; 1], [0; 2]);
        port.transaction(BME280, &mut [Operation::Write(&[0xF2]), Operation::Write(&[0x05])]).unwrap();
        let mut operations = [
            Operation::Write(&[]),
            Operation::Write(&[0xF2]),
            Operation::Read(&mut first),
            Operation::Read(&mut second),
        ];
        port.transaction(BME280, &mut operations).unwrap();
        assert_eq!((first, second), ([0x05], [0, 0]));
        let mut all = [0; 3];
        port.write_read(BME280, &[0xF2], &mut all).unwrap();
        assert_eq!(all, [0x05, 0, 0]);
        port.transaction(BME280, &mut []).unwrap();
    });
}

#[test]
fn i2c_faults() {
    in_guest("i2c_faults", "", || {
        let parts = connect(CLIMATE);
        let bus = Linux::new();
        let mut port = bus.i2c(1, BME280).unwrap();
        for (errno, text) in [(6, "no acknowledge (ENXIO)"), (121, "no acknowledge (EREMOTEIO)")] {
            knob("nak_errno", errno);
            knob("nak", 1);
            let error = identity(&mut port).unwrap_err();
            assert_eq!((error.kind, error.message.as_str()), (FaultKind::Absent, text));
            assert_eq!(port.read(0x20, &mut [0]).unwrap_err().message, text);
            assert_eq!(identity(&mut port).unwrap(), IDENTITY.1, "the part is back");
        }
        knob("timeout", 1);
        let error = identity(&mut port).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (FaultKind::Bus, "timed out (ETIMEDOUT)"));
        assert_eq!(identity(&mut port).unwrap(), IDENTITY.1, "the bus is back");

        std::fs::write("/sys/bus/i2c/devices/i2c-1/new_device", "bmp280 0x76").unwrap();
        let mut taken = bus.i2c(1, BME280).unwrap();
        let error = identity(&mut taken).unwrap_err();
        assert_eq!(error.message, "the kernel's own driver bmp280 has the device at this address (EBUSY)");
        std::fs::write("/sys/bus/i2c/devices/i2c-1/delete_device", "0x76").unwrap();
        assert_eq!(identity(&mut taken).unwrap(), IDENTITY.1, "the address is free");

        drop((port, taken, parts));
        command("rmmod", &["labbus"]);
        let gone = bus.i2c(1, BME280).err().unwrap();
        command("modprobe", &["labbus", "i2c_nr=1", "spi_nr=0"]);
        let _parts = connect(CLIMATE);
        assert_eq!(gone.kind, FaultKind::Absent);
        assert_eq!(identity(&mut bus.i2c(1, BME280).unwrap()).unwrap(), IDENTITY.1, "the adapter is back");

        let error = bus.i2c(9, BME280).err().unwrap();
        assert_eq!(error.kind, FaultKind::Absent);
        assert_eq!(error.message, "there is no /dev/i2c-9: is the interface enabled?");
    });
}

#[test]
fn a_conversion_does_not_hold_the_bus() {
    in_guest("a_conversion_does_not_hold_the_bus", "", || {
        const LIGHT: u8 = 0x23;
        let parts = connect(
            "\
sensors:
  - { id: climate, driver: bme280, bus: i2c-1, address: 0x76 }
  - { id: light, driver: bh1750, bus: i2c-1, address: 0x23 }",
        );
        parts.stimulate("light", "illuminance", 400.0).unwrap();
        let bus = Linux::new();
        let (mut climate, mut light) = (bus.i2c(1, BME280).unwrap(), bus.i2c(1, LIGHT).unwrap());
        let (converting, converts) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for command in [0x01, 0x10] {
                    light.write(LIGHT, &[command]).unwrap();
                }
                converting.send(()).unwrap();
                // The conversion takes until the other device has had its turn.
                is_done.recv_timeout(Duration::from_secs(30)).expect("the other device got the bus");
                wait_until("end of the conversion", || {
                    let mut counts = [0; 2];
                    light.read(LIGHT, &mut counts).unwrap();
                    u16::from_be_bytes(counts) == 480
                });
            });
            converts.recv_timeout(Duration::from_secs(30)).unwrap();
            assert_eq!(identity(&mut climate).unwrap(), IDENTITY.1);
            done.send(()).unwrap();
        });
    });
}

#[test]
fn spi_transfers() {
    fn identity(port: &mut SpiPort) -> Result<u8, PortError> {
        let mut byte = [0];
        let mut operations =
            [spi::Operation::Write(&[IDENTITY.0]), spi::Operation::DelayNs(1), spi::Operation::Read(&mut byte)];
        port.transaction(&mut operations).map(|()| byte[0])
    }
    in_guest("spi_transfers", "", || {
        let parts = connect(
            "\
sensors:
  - { id: climate, driver: bme280, bus: spi0.0 }
  - { id: soil, driver: mcp3008, bus: spi0.1, reference: 4.096, channels: { bed: 3, pot: 7 } }",
        );
        let bus = Linux::new();
        let settings = SpiSettings { mode: MODE_0, max_hz: 1_000_000 };
        // Selected from the first operation to the last, and let go between transactions.
        let mut climate = bus.spi(0, 0, SpiSettings { mode: MODE_3, ..settings }).unwrap();
        assert_eq!(identity(&mut climate).unwrap(), IDENTITY.1);
        assert_eq!(identity(&mut climate).unwrap(), IDENTITY.1);

        let mut converter = bus.spi(0, 1, settings).unwrap();
        parts.stimulate("soil", "bed", 0.004 * 682.5).unwrap();
        parts.stimulate("soil", "pot", 4.1).unwrap();
        let mut bytes = [0x01, 0x80 | 3 << 4, 0];
        converter.transfer_in_place(&mut bytes).unwrap();
        assert_eq!(u16::from_be_bytes([bytes[1] & 3, bytes[2]]), 682);
        let mut reply = [0; 3];
        converter.transfer(&mut reply, &[0x01, 0x80 | 7 << 4]).unwrap();
        assert_eq!(u16::from_be_bytes([reply[1] & 3, reply[2]]), 1023);

        knob("spi_fail", 1);
        let error = identity(&mut climate).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (FaultKind::Bus, "Input/output error (EIO)"));
        assert_eq!(identity(&mut climate).unwrap(), IDENTITY.1);

        std::fs::write("/sys/bus/spi/drivers/spidev/unbind", "spi0.0").unwrap();
        let error = identity(&mut climate).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (FaultKind::Absent, "the device is gone (ESHUTDOWN)"));
        std::fs::write("/sys/bus/spi/drivers/spidev/bind", "spi0.0").unwrap();
        let mut climate = bus.spi(0, 0, settings).unwrap();
        assert_eq!(identity(&mut climate).unwrap(), IDENTITY.1, "the device is back");

        let error = climate.transaction(&mut [spi::Operation::DelayNs(70_000_000)]).unwrap_err();
        assert_eq!(error.kind, FaultKind::Rejected);
        assert!(message(bus.spi(0, 9, settings)).starts_with("there is no /dev/spidev0.9"));
    });
}

#[test]
fn without_permission() {
    in_guest("without_permission", GPIO, || {
        // The user that counts for files is a matter of each thread.
        let stranger = || {
            // SAFETY: no memory is involved.
            unsafe { libc::setfsuid(65_534) };
            let bus = Linux::new();
            let settings = SpiSettings { mode: MODE_0, max_hz: 1_000_000 };
            let messages = [
                ("i2c", message(bus.i2c(1, BME280))),
                ("spi", message(bus.spi(0, 0, settings))),
                ("gpio", message(bus.output(&name("GPIO17")))),
                ("gpio", message(bus.output(&offset("gpiochip0", 17)))),
            ];
            for (group, message) in messages {
                let end = format!("has to be a member of the group {group}");
                assert!(message.starts_with("no permission for /dev/") && message.ends_with(&end), "{message}");
            }
        };
        std::thread::spawn(stranger).join().unwrap();
    });
}

#[test]
fn outputs() {
    in_guest("outputs", GPIO, || {
        let direction = || gpiocdev::find_named_line("GPIO27").unwrap().info.direction;
        let bus = Linux::new();
        let outside = Outside::of(27);
        outside.pull(true);
        let mut port = bus.output(&name("GPIO27")).unwrap();
        assert!(port.is_set_high().unwrap(), "as it was found");
        assert!(outside.is_high());
        assert_eq!(direction(), Direction::Input, "as it was found");

        port.set_high().unwrap();
        assert_eq!(direction(), Direction::Output);
        // What drives a pin wins against a pull.
        outside.pull(false);
        assert!(outside.is_high() && port.is_set_high().unwrap());
        for high in [false, true, true, false] {
            port.set_state(high.into()).unwrap();
            assert_eq!((outside.is_high(), port.is_set_high().unwrap()), (high, high));
        }
        assert_eq!(
            message(bus.output(&offset("gpiochip0", 27))),
            "the line gpiochip0/27 is in use by \"halyard\" (EBUSY)"
        );
        drop(port);

        let low = Outside::of(22);
        let mut port = bus.output(&offset("gpiochip0", 22)).unwrap();
        assert!(!low.is_high() && !port.is_set_high().unwrap());
        port.set_high().unwrap();
        assert!(low.is_high());
    });
}

/// Lines of a chip that says that it is a Raspberry Pi's, some of them with other names than their numbers.
#[test]
fn lines_of_a_header() {
    in_guest("lines_of_a_header", "", || {
        let bus = Linux::new();
        assert!(message(bus.output(&LineName::Header(11))).contains("no Raspberry Pi"));
        command("lab-gpio", &["create", "expander", "--lines", "8", "--names", "GPIO4"]);
        let chip = ["create", "header", "--lines", "54", "--label", "pinctrl-bcm2835", "--names", "ID_SDA,ID_SCL,SDA1"];
        assert_eq!(command("lab-gpio", &chip).trim(), "/dev/gpiochip1");
        for (line, offset) in [(LineName::Header(11), 17), (name("GPIO2"), 2), (name("GPIO27"), 27), (name("SDA1"), 2)]
        {
            let mut port = bus.output(&line).unwrap();
            port.set_high().unwrap();
            assert_eq!(command("lab-gpio", &["value", &format!("gpiochip1:{offset}")]).trim(), "1", "{line}");
            let taken = message(bus.output(&LineName::Offset { chip: "gpiochip1".to_owned(), offset }));
            assert!(taken.contains("in use by \"halyard\""), "{taken}");
            port.set_low().unwrap();
        }
        // A name that there is comes first.
        bus.output(&name("GPIO4")).unwrap().set_high().unwrap();
        assert_eq!(command("lab-gpio", &["value", "gpiochip1:4"]).trim(), "0");
        assert_eq!(message(bus.output(&name("GPIO28"))), "there is no line GPIO28: is it GPIO4?");
        assert!(message(bus.output(&LineName::Header(6))).contains("ground"));
    });
}

#[test]
fn lines_that_cannot_be_had() {
    in_guest("lines_that_cannot_be_had", GPIO, || {
        let bus = Linux::new();
        let mut holder = Command::new("lab-io").args(["gpio-set", "gpiochip0", "27", "1", "600"]).spawn().unwrap();
        wait_until("holder", || gpiocdev::find_named_line("GPIO27").unwrap().info.used);
        let busy = message(bus.output(&name("GPIO27")));
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert_eq!(busy, "the line GPIO27 is in use by \"lab-io\" (EBUSY)");

        assert_eq!(message(bus.output(&name("gpio-17"))), "there is no line gpio-17: is it GPIO17?");
        assert_eq!(message(bus.output(&name("PUMP"))), "there is no line PUMP");
        assert_eq!(message(bus.output(&offset("gpiochip0", 54))), "gpiochip0 has 54 lines, from 0: there is no 54");
        assert!(message(bus.output(&offset("gpiochip7", 0))).starts_with("there is no /dev/gpiochip7"));
        assert_eq!(message(bus.output(&offset("null", 0))), "/dev/null is not a GPIO chip");
        let debounce = Duration::from_secs(5_000);
        assert!(
            message(bus.input(&name("GPIO17"), InputSettings { debounce, ..Default::default() })).contains("71 min")
        );

        command("lab-gpio", &["create", "second", "--names", "PUMP,GPIO17"]);
        assert_eq!(
            message(bus.output(&name("GPIO17"))),
            "2 lines are called GPIO17: gpiochip0/17, gpiochip1/1: name one by chip and offset"
        );
        assert!(bus.output(&name("PUMP")).is_ok());
    });
}

#[test]
fn every_edge_arrives_once() {
    in_guest("every_edge_arrives_once", GPIO, || {
        run(async {
            let outside = Outside::of(17);
            let mut edges = Linux::new().input(&name("GPIO17"), InputSettings::default()).unwrap();
            assert!(!edges.level().unwrap().high);
            for count in 0..20 {
                let high = count % 2 == 0;
                let before = SystemTime::now();
                outside.pull(high);
                let after = SystemTime::now();
                let edge = next(&mut edges).await.unwrap();
                assert_eq!((edge.high, edges.level().unwrap().high), (high, high));
                assert!((before..=after).contains(&edge.time), "{before:?} {edge:?} {after:?}");
            }
            // A wait that is given up takes no edge with it.
            assert!(tokio::time::timeout(Duration::ZERO, edges.next()).await.is_err(), "an edge too many");
            let before = SystemTime::now();
            command("lab-gpio", &["pulse", "GPIO17", "1", "5"]);
            let mut last = before;
            for count in 0..10 {
                let edge = next(&mut edges).await.unwrap();
                assert_eq!(edge.high, count % 2 == 0);
                assert!(edge.time >= last);
                last = edge.time;
            }
            assert!(last <= SystemTime::now());
            outside.pull(true);
            let edge = next(&mut edges).await.unwrap();
            assert!(edge.high && edge.time > last, "one too many: {edge:?}");
        });
    });
}

#[test]
fn a_bounce_gives_no_edge() {
    in_guest("a_bounce_gives_no_edge", GPIO, || {
        run(async {
            let outside = Outside::of(17);
            let settings = InputSettings { pull: Pull::Down, debounce: Duration::from_secs(2) };
            let mut edges = Linux::new().input(&name("GPIO17"), settings).unwrap();
            for up in [true, false, true, false] {
                outside.pull(up);
            }
            for up in [true, false] {
                let before = SystemTime::now();
                outside.pull(up);
                let edge = next(&mut edges).await.unwrap();
                assert!(edge.high == up && edge.time >= before, "{before:?} {edge:?}");
            }
        });
    });
}

#[test]
fn too_many_edges() {
    in_guest("too_many_edges", GPIO, || {
        const KEPT: usize = 1024;
        const LOST: usize = 77;
        let log = tempfile::NamedTempFile::new().unwrap();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.reopen().unwrap()).finish();
        let _default = tracing::subscriber::set_default(subscriber);
        run(async {
            let outside = Outside::of(17);
            let mut edges = Linux::new().input(&name("GPIO17"), InputSettings::default()).unwrap();
            for count in 0..KEPT + LOST {
                outside.pull(count % 2 == 0);
            }
            for count in LOST..KEPT + LOST {
                assert_eq!(next(&mut edges).await.unwrap().high, count % 2 == 0, "edge {count}");
            }
            let text = std::fs::read_to_string(log.path()).unwrap();
            assert!(text.contains("line=GPIO17 lost=77") && text.lines().count() == 1, "{text}");
            let high = !edges.level().unwrap().high;
            outside.pull(high);
            assert_eq!(next(&mut edges).await.unwrap().high, high);
        });
    });
}

#[test]
fn edges_of_several_lines_come_in_order() {
    in_guest("edges_of_several_lines_come_in_order", GPIO, || {
        run(async {
            let outside = [17, 22, 5].map(Outside::of);
            let lines = ["GPIO17", "GPIO22", "GPIO5"].map(name);
            outside[1].pull(true);
            let mut edges = Linux::new().inputs(&lines, InputSettings::default()).unwrap();
            let levels = edges.levels().unwrap();
            assert_eq!(
                levels.iter().map(|edge| (edge.line, edge.high)).collect::<Vec<_>>(),
                [(0, false), (1, true), (2, false)]
            );
            let pulls: Vec<_> = (0..200).map(|count| (count * count % 3, count % 2 == 0)).collect();
            let mut expected = Vec::new();
            let mut highs = [false, true, false];
            for (line, high) in pulls {
                outside[line].pull(high);
                if std::mem::replace(&mut highs[line], high) != high {
                    expected.push((line, high));
                }
            }
            let mut last = SystemTime::UNIX_EPOCH;
            for (line, high) in expected {
                let edge = next(&mut edges).await.unwrap();
                assert_eq!((edge.line, edge.high, edge.lost), (line, high, 0));
                assert!(edge.time >= last);
                last = edge.time;
            }
            assert!(tokio::time::timeout(Duration::from_millis(20), edges.next()).await.is_err(), "an edge too many");
        });
    });
}

#[test]
fn lines_of_several_chips_have_no_order() {
    const CHIPS: &str = "lab-gpio create > /dev/null; lab-gpio create other --lines 4 > /dev/null";
    in_guest("lines_of_several_chips_have_no_order", CHIPS, || {
        run(async {
            let lines = [offset("gpiochip0", 17), offset("gpiochip1", 1)];
            let error = message(Linux::new().inputs(&lines, InputSettings::default()));
            assert!(error.contains("gpiochip0/17, gpiochip1/1 are on different chips"), "{error}");
        });
    });
}

#[test]
fn a_line_is_listened_to() {
    in_guest("a_line_is_listened_to", GPIO, || {
        let outside = Outside::of(17);
        let mut line = Linux::new().listen(&name("GPIO17"), InputSettings::default()).unwrap().0;
        assert_eq!(line.edge(Duration::ZERO).unwrap(), None);
        assert!(!line.level().unwrap());
        let before = std::time::Instant::now();
        outside.pull(true);
        std::thread::sleep(Duration::from_millis(20));
        outside.pull(false);
        let most = before.elapsed();
        let mut next = || line.edge(Duration::from_secs(30)).unwrap().unwrap();
        let (first, second) = (next(), next());
        assert!(first.0 && !second.0);
        let width = second.1 - first.1;
        assert!(width >= Duration::from_millis(20) && width <= most, "{width:?} {most:?}");
        command("lab-gpio", &["remove", "lab"]);
        assert_eq!(line.level().unwrap_err().kind, FaultKind::Absent);
    });
}

#[test]
fn a_chip_goes_and_comes_back() {
    in_guest("a_chip_goes_and_comes_back", GPIO, || {
        run(async {
            let bus = Linux::new();
            let mut edges = bus.input(&name("GPIO17"), InputSettings::default()).unwrap();
            let mut port: OutputPort = bus.output(&name("GPIO27")).unwrap();
            port.set_high().unwrap();
            #[allow(clippy::disallowed_methods)] // the library's own is private
            let removal = tokio::task::spawn_blocking(|| command("lab-gpio", &["remove", "lab"]));
            let error = next(&mut edges).await.unwrap_err();
            removal.await.unwrap();
            assert_eq!((error.kind, error.message.as_str()), (FaultKind::Absent, "the device is gone (ENODEV)"));
            assert_eq!(next(&mut edges).await.unwrap_err().kind, FaultKind::Absent, "still gone");
            assert_eq!(edges.level().unwrap_err().kind, FaultKind::Absent);
            assert_eq!(port.set_low().unwrap_err().kind, FaultKind::Absent);
            drop((edges, port));
            assert_eq!(bus.output(&name("GPIO27")).err().unwrap().kind, FaultKind::Absent);

            command("lab-gpio", &["create"]);
            let mut edges = bus.input(&name("GPIO17"), InputSettings::default()).unwrap();
            Outside::of(17).pull(true);
            assert!(next(&mut edges).await.unwrap().high);
        });
    });
}

/// What a channel of the simulated PWM chip gives: period and high time in ns, whether it is on, and how often it was set.
fn given(channel: u32) -> (u64, u64, bool, u32) {
    let text = std::fs::read_to_string(format!("/sys/kernel/debug/labpwm/pwm{channel}")).unwrap();
    let words: Vec<_> = text.split_whitespace().collect();
    let [period, high, on, "normal", changes] = words[..] else { unreachable!("{text}") };
    (period.parse().unwrap(), high.parse().unwrap(), on == "1", changes.parse().unwrap())
}

fn channel(number: u32) -> PwmName {
    PwmName::Channel { chip: "pwmchip0".to_owned(), channel: number }
}

#[test]
fn pwm() {
    in_guest("pwm", "", || {
        let bus = Linux::new();
        let found = given(0);
        let mut port = bus.pwm(&channel(0)).unwrap();
        assert_eq!((given(0), port.found().unwrap()), (found, None), "opening it changes nothing");
        // A period that is longer than what there was, then shorter ones, then another width.
        for (period, high) in [(20_000_000, 1_500_000), (40_000, 30_000), (40_000, 0), (40_000, 40_000), (1_000_000, 1)]
        {
            let before = given(0);
            port.pulses(period, high).unwrap();
            let (given_period, given_high, on, changes) = given(0);
            assert_eq!((given_period, given_high, on), (period, high, true));
            assert_eq!(port.found().unwrap(), Some((period, high)));
            assert!(changes - before.3 <= 3, "{before:?}");
        }
        let changes = given(0).3;
        port.pulses(1_000_000, 1).unwrap();
        assert_eq!(given(0).3, changes, "nothing to change");
        assert!(message(bus.pwm(&channel(0))).contains("in use by \"halyard\""));

        std::fs::write("/sys/kernel/debug/labpwm/fail", "1").unwrap();
        let error = port.pulses(1_000_000, 500_000).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (FaultKind::Bus, "Input/output error (EIO)"));
        std::fs::write("/sys/kernel/debug/labpwm/min_ns", "10000").unwrap();
        assert_eq!(port.pulses(5_000, 1).unwrap_err().kind, FaultKind::Rejected);
        port.pulses(20_000, 10_000).unwrap();

        // Let go, it goes on; who opens it then finds it so.
        drop(port);
        let left = given(0);
        assert_eq!((left.0, left.1, left.2), (20_000, 10_000, true));
        let mut port = bus.pwm(&channel(0)).unwrap();
        assert_eq!((port.found().unwrap(), given(0)), (Some((20_000, 10_000)), left));

        assert_eq!(message(bus.pwm(&channel(2))), "pwmchip0 has 2 channels, from 0: there is no 2");
        let none = PwmName::Channel { chip: "pwmchip7".to_owned(), channel: 0 };
        assert!(message(bus.pwm(&none)).starts_with("there is no pwmchip7"));
        assert!(message(bus.pwm(&PwmName::Line(name("GPIO18")))).contains("name a channel"));
        let stranger = || {
            // SAFETY: no memory is involved. Rights to files go with the user of each thread.
            unsafe { libc::setfsuid(65_534) };
            message(Linux::new().pwm(&channel(1)))
        };
        let denied = std::thread::spawn(stranger).join().unwrap();
        assert!(denied.contains("no permission") && denied.contains("group gpio"), "{denied}");
    });
}
