use super::*;
use crate::bus::{Loads, open};
use crate::config::{Board, SensorConfig, Store};
use crate::mqtt::Settings;
use embedded_hal::digital::{OutputPin, StatefulOutputPin};
use embedded_hal::i2c::I2c;
use embedded_hal::spi::{MODE_0, SpiDevice};
use halyard_drivers::port::Wire;
use halyard_drivers::sim::{I2cFaults, I2cPart, Nack};
use halyard_drivers::{Channel, EdgeSensor, EdgeSpec, Sample, SensorSpec, Value};
use std::time::Duration;

/// Answers one byte to every read.
struct Echo(u8);

impl Part for Echo {
    fn stimulate(&mut self, _channel: &str, value: f64) -> bool {
        self.0 = if value > 0.0 { 1 } else { 0 };
        true
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Echo {
    fn write(&mut self, _bytes: &[u8]) -> Result<(), Nack> {
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        buffer.fill(self.0);
        Ok(())
    }
}

const AT: At = At::I2c { bus: 1, address: 0x44 };

fn door() -> LineName {
    LineName::Name("GPIO17".to_owned())
}

async fn next(edges: &mut Box<dyn Edges>) -> Result<Edge, PortError> {
    tokio::time::timeout(Duration::from_secs(10), edges.next()).await.expect("an edge within the limit")
}

#[test]
fn a_part_is_at_its_place_and_nothing_elsewhere() {
    let buses = Simulated::default();
    buses.place(&AT, Some(Box::new(Echo(7))));
    let mut byte = [0];
    let mut port = buses.i2c(1, 0x44).unwrap();
    port.read(0x44, &mut byte).unwrap();
    assert_eq!(byte, [7]);
    assert_eq!(port.read(0x45, &mut byte).unwrap_err().kind, FaultKind::Absent);
    assert_eq!(buses.i2c(2, 0x44).unwrap().read(0x44, &mut byte).unwrap_err().kind, FaultKind::Absent);

    assert!(buses.part(&AT).unwrap().stimulate("any", 1.0));
    port.read(0x44, &mut byte).unwrap();
    assert_eq!(byte, [1]);
    assert!(buses.part(&At::Line(door())).is_none());
}

#[test]
fn faults_reach_ports_that_are_open() {
    let buses = Simulated::default();
    buses.place(&AT, Some(Box::new(Echo(7))));
    let mut port = buses.i2c(1, 0x44).unwrap();
    buses.i2c_bus(1).set_faults(0x44, I2cFaults { timeout: true, ..I2cFaults::default() });
    assert_eq!(port.read(0x44, &mut [0]).unwrap_err().kind, FaultKind::Bus);

    let settings = SpiSettings { mode: MODE_0, max_hz: 1_000_000 };
    let mut port = buses.spi(0, 1, settings).unwrap();
    let mut bytes = [0; 2];
    port.read(&mut bytes).unwrap();
    assert_eq!(bytes, [0xFF; 2]);
    buses.spi_slot(0, 1).set_broken(true);
    assert!(port.read(&mut bytes).is_err());
}

#[test]
fn opening_an_output_changes_nothing_and_takes_the_line() {
    let buses = Simulated::default();
    buses.line(&door()).pull(true);
    let mut port = buses.output(&door()).unwrap();
    assert!(port.is_set_high().unwrap());
    assert!(buses.line(&door()).is_high());
    let busy = buses.output(&door()).err().expect("in use");
    assert!(busy.message.contains("in use"), "{busy}");
    port.set_low().unwrap();
    assert!(!buses.line(&door()).is_high());
    drop(port);
    assert!(buses.output(&door()).is_ok());
}

#[tokio::test]
async fn edges_arrive_once_and_in_order() {
    let buses = Simulated::default();
    let mut edges = buses.input(&door(), InputSettings::default()).unwrap();
    assert!(!edges.level().unwrap().high);
    assert!(buses.input(&door(), InputSettings::default()).is_err(), "a second user");
    let line = buses.line(&door());
    let before = SystemTime::now();
    line.pull(true);
    line.pull(true);
    line.pull(false);
    let [up, down] = [next(&mut edges).await.unwrap(), next(&mut edges).await.unwrap()];
    assert_eq!([up.high, down.high], [true, false]);
    assert!(before <= up.time && up.time <= down.time && down.time <= SystemTime::now());

    // Dropped in the middle of waiting: nothing is lost by it.
    assert!(tokio::time::timeout(Duration::ZERO, edges.next()).await.is_err());
    line.pull(true);
    assert!(next(&mut edges).await.unwrap().high);
}

#[tokio::test]
async fn edges_of_several_lines_come_in_order() {
    let buses = Simulated::default();
    let names = ["A", "B"].map(|name| LineName::Name(name.to_owned()));
    let lines = [buses.line(&names[0]), buses.line(&names[1])];
    lines[1].pull(true);
    let mut edges = buses.inputs(&names, InputSettings::default()).unwrap();
    let levels: Vec<_> = edges.levels().unwrap().iter().map(|edge| (edge.line, edge.high)).collect();
    assert_eq!(levels, [(0, false), (1, true)]);
    assert!(buses.input(&names[1], InputSettings::default()).is_err(), "a second user");
    for (line, high) in [(0, true), (1, false), (1, true), (0, false)] {
        lines[line].pull(high);
        let edge = next(&mut edges).await.unwrap();
        assert_eq!((edge.line, edge.high, edge.lost), (line, high, 0));
    }
}

#[test]
fn a_part_on_lines_answers_to_what_is_driven() {
    use halyard_drivers::ultrasonic;
    let [trigger, echo] = ["T", "E"].map(|name| LineName::Name(name.to_owned()));
    let at = At::Several(vec![("trigger", At::Line(trigger.clone())), ("echo", At::Line(echo.clone()))]);
    let buses = Simulated::default();
    let spec = ultrasonic::Options::default();
    buses.place(&at, spec.simulate());
    assert!(buses.part(&at).unwrap().stimulate("distance", 2.5));
    let wire = crate::sensing::wire(&buses, &at, &spec as &dyn SensorSpec).unwrap();
    assert!(buses.listen(&echo, InputSettings::default()).is_err(), "a second user");
    let mut sensor = spec.open(wire).unwrap();
    let mut sample = Sample::new(1);
    sensor.sample(&mut sample).unwrap();
    let Some(Value::Number(metres)) = sample.values()[0] else { panic!("{sample:?}") };
    assert!((metres - 2.5).abs() < 0.001, "{metres}");
    drop(sensor);
    assert!(buses.output(&trigger).is_ok());
}

#[tokio::test]
async fn of_too_many_edges_the_newest_are_kept() {
    let buses = Simulated::default();
    let mut edges = buses.input(&door(), InputSettings::default()).unwrap();
    let line = buses.line(&door());
    for count in 0..KEPT + 3 {
        line.pull(count % 2 == 0);
    }
    let mut last = None;
    for count in 0..KEPT {
        let edge = next(&mut edges).await.unwrap();
        assert_eq!(edge.lost, if count == 0 { 3 } else { 0 });
        last = Some(edge);
    }
    assert!(tokio::time::timeout(Duration::ZERO, edges.next()).await.is_err(), "more than was kept");
    assert_eq!(last.map(|edge| edge.high), Some(line.is_high()));
}

/// A closed contact to ground opens: the pull-up makes it high.
#[derive(Debug)]
struct PulledUp;

impl EdgeSpec for PulledUp {
    fn channels(&self) -> Vec<Channel> {
        Vec::new()
    }

    fn input(&self) -> InputSettings {
        InputSettings { pull: Pull::Up, ..InputSettings::default() }
    }

    fn open(&self) -> Box<dyn EdgeSensor> {
        unreachable!("a bus opens no sensor")
    }
}

fn sensor(at: At, source: Source) -> SensorConfig {
    SensorConfig {
        id: at.to_string(),
        name: None,
        driver: &halyard_drivers::sht4x::DRIVER,
        at,
        source,
        filters: Vec::new(),
        store: Store::Latest,
        fingerprint: Default::default(),
    }
}

#[test]
fn configured_parts_are_where_they_are_configured() {
    let spec: Arc<dyn SensorSpec> = Arc::new(halyard_drivers::sht4x::Options::default());
    let config = Config {
        agent: "agent".to_owned(),
        watchdog: None,
        store: Default::default(),
        board: Board::Simulated,
        broker: None,
        mqtt: Settings::new(Vec::new(), ""),
        base: "halyard".to_owned(),
        discovery: None,
        metrics: None,
        sensors: vec![
            sensor(AT, Source::Sampled { spec: spec.clone(), every: Duration::from_secs(1) }),
            sensor(At::Line(door()), Source::Edges { spec: Arc::new(PulledUp), every: None }),
        ],
        actuators: Vec::new(),
        expanders: Vec::new(),
    };
    let buses = Simulated::new(&config);
    assert!(buses.part(&AT).unwrap().stimulate("temperature", 37.5));
    assert!(buses.line(&door()).is_high());

    let mut sensor = spec.open(Wire::I2c(buses.i2c(1, 0x44).unwrap(), 0x44)).unwrap();
    let mut sample = Sample::new(spec.channels().len());
    sensor.sample(&mut sample).unwrap();
    let Some(Value::Number(celsius)) = sample.values()[0] else { panic!("{sample:?}") };
    assert!((celsius - 37.5).abs() < 0.01, "{celsius}");

    let elsewhere =
        spec.open(Wire::I2c(open(config.board, &config, Loads::default()).unwrap().i2c(1, 0x45).unwrap(), 0x45));
    assert_eq!(elsewhere.err().unwrap().kind, FaultKind::Absent);
}

#[tokio::test]
async fn a_serial_port_carries_the_model_both_ways() {
    use halyard_drivers::port::SerialSettings;
    use halyard_drivers::{SerialSpec, mhz19, pms5003};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let bus = Simulated::default();
    let (dust, air) = (At::Serial("/dev/ttyUSB0".into()), At::Serial("/dev/ttyUSB1".into()));
    bus.place(&dust, Some(pms5003::Options::default().simulate()));
    bus.place(&air, Some(mhz19::Options::default().simulate()));
    let open = |path: &str| bus.serial(path, SerialSettings::plain(9600));
    let limit = std::time::Duration::from_secs(20);

    assert!(bus.part(&dust).unwrap().stimulate("pm2_5", 77.0));
    let mut message = [0; 32];
    let mut port = open("/dev/ttyUSB0").unwrap();
    tokio::time::timeout(limit, port.read_exact(&mut message)).await.unwrap().unwrap();
    assert_eq!((message[0], message[13]), (0x42, 77));

    let mut answer = [0; 9];
    let mut port = open("/dev/ttyUSB1").unwrap();
    port.write_all(&[0xFF, 0x01, 0x86, 0, 0, 0, 0, 0, 0x79]).await.unwrap();
    tokio::time::timeout(limit, port.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer[..2], [0xFF, 0x86]);

    let error = open("/dev/ttyUSB2").err().unwrap();
    assert_eq!((error.kind, error.message.as_str()), (FaultKind::Absent, "there is no /dev/ttyUSB2"));
}
