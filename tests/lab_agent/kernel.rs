//! What the kernel's own drivers measure: 1-Wire, IIO, hwmon, and the machine itself.

use super::guest;
use super::lab::{Parts, connect, wait_until};
use super::world::{Listener, World};
use std::fs;
use std::time::{Duration, Instant};

/// How many thermometers are on the wire.
const MANY: u8 = 8;
/// How long one conversion takes.
const CONVERSION: Duration = Duration::from_millis(750);

/// Turns a knob of the simulated 1-Wire bus.
fn wire(name: &str, value: i32) {
    fs::write(format!("/sys/kernel/debug/labw1/{name}"), value.to_string()).unwrap();
}

/// The id of a thermometer, by its number.
fn id(number: u8) -> String {
    format!("28-{:012x}", 0x0003_5a10 + u32::from(number))
}

/// Waits until the kernel has found all thermometers.
fn found() {
    wait_until("thermometers", || {
        let devices = fs::read_dir("/sys/bus/w1/devices").unwrap();
        devices.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("28-")).count()
            == usize::from(MANY)
    });
}

#[test]
fn thermometers_on_one_wire() {
    let setup = format!("rmmod labw1\ninsmod /lib/modules/$(uname -r)/labw1.ko n={MANY}");
    guest("kernel::thermometers_on_one_wire", &setup, || {
        found();
        let sensors: String = (0..MANY)
            .map(|number| format!("  - {{ id: t{number}, driver: ds18b20, device: {}, every: 1s }}\n", id(number)))
            .collect();
        let world = World::new(&format!("sensors:\n{sensors}"));
        for number in 0..MANY {
            wire(&format!("temp{number}"), i32::from(number) * 10_000 - 20_125);
        }

        // One after another they would take eight conversions.
        let start = Instant::now();
        let (code, out, err) = world.halyard("read", &[]);
        let took = start.elapsed();
        assert!(code == 0 && out.lines().count() == usize::from(MANY), "{out}{err}");
        assert!(took < CONVERSION * u32::from(MANY) * 3 / 4, "{took:?}");

        let listener = world.listen();
        let mut agent = world.start(&listener);
        for number in 0..MANY {
            listener.about(0, &format!("t{number}"), "temperature", f64::from(number) * 10.0 - 20.125, 0.01);
        }

        // What a part has after power-on: 0x0550, and 0x0C in byte 6, which this model always has.
        let from = listener.mark();
        wire("temp3", 85_000);
        listener.problem(from, "t3", "not-ready");
        listener.next(from, "t3/availability", "offline");
        wire("temp3", 84_500);
        listener.about(from, "t3", "temperature", 84.5, 0.01);
        // From near by it is believed.
        let from = listener.mark();
        wire("temp3", 85_000);
        listener.about(from, "t3", "temperature", 85.0, 0.001);
        // Not so by whoever begins anew, as the one does that is hit below.
        wire("temp3", 9_875);
        listener.about(from, "t3", "temperature", 9.875, 0.01);

        // The kernel tries five times. Whose results these are is a matter of chance.
        let from = listener.mark();
        wire("crcerr", 5);
        wait_until("a fault", || listener.since(from).iter().any(|message| message.payload == "offline"));
        let all = listener.since(from);
        let hit = &all.iter().find(|message| message.payload == "offline").unwrap().topic;
        listener.next(from, hit, "online");

        let from = listener.mark();
        wire("present5", 0);
        listener.next(from, "t5/availability", "offline");
        let silent = listener.mark();
        for number in (0..MANY).filter(|number| *number != 5) {
            let topic = format!("t{number}");
            wait_until(&topic, || listener.on(silent, &topic).len() >= 2);
        }
        assert!(listener.on(silent, "t5").is_empty());
        wire("present5", 1);
        listener.next(silent, "t5/availability", "online");

        agent.signal(libc::SIGTERM);
        assert!(agent.wait().success());

        world.configure("sensors: [ { id: any, driver: ds18b20 } ]");
        let (code, _, err) = world.halyard("read", &[]);
        assert!(code == 69 && err.contains("there are several: `device` has to name one of 28-"), "{code} {err}");
        // Whoever may not start a conversion of all lets the kernel convert each.
        world.configure(&format!("sensors: [ {{ id: t0, driver: ds18b20, device: {} }} ]", id(0)));
        let (code, out, err) = world.halyard_as_nobody("read", &[]);
        assert!(code == 0 && out.contains("temperature -20.13"), "{code} {out} {err}");
        let text = format!("sensors: [ {{ id: t0, driver: ds18b20, device: {}, resolution: 9 }} ]", id(0));
        world.configure(&text);
        let (code, _, err) = world.halyard_as_nobody("read", &[]);
        assert!(code == 77 && err.contains("no permission for writing"), "{code} {err}");
    });
}

/// Adds or takes away the kernel's own driver of the BME280.
fn kernel_driver(there: bool) {
    let (file, text) = if there { ("new_device", "bme280 0x76") } else { ("delete_device", "0x76") };
    fs::write(format!("/sys/bus/i2c/devices/i2c-1/{file}"), text).unwrap();
}

/// Of the BME280: °C, % and hPa.
const CLIMATES: [[f64; 3]; 2] = [[21.5, 40.0, 1020.0], [-7.25, 82.0, 975.0]];

/// Gives the chip this climate, and waits until the room has it.
fn follows(parts: &Parts, listener: &Listener, climate: [f64; 3]) {
    const CHANNELS: [(&str, f64); 3] = [("temperature", 0.02), ("humidity", 0.1), ("pressure", 0.1)];
    let from = listener.mark();
    for ((channel, _), value) in CHANNELS.iter().zip(climate) {
        parts.stimulate("chip", channel, value).unwrap();
    }
    for ((channel, within), value) in CHANNELS.iter().zip(climate) {
        listener.about(from, "room", channel, value, *within);
    }
}

#[test]
fn whatever_the_kernel_drives() {
    guest("kernel::whatever_the_kernel_drives", "mkdir /sys/kernel/config/iio/devices/dummy/example", || {
        let parts = connect("sensors: [ { id: chip, driver: bme280, bus: i2c-1, address: 0x76 } ]");
        kernel_driver(true);
        wait_until("thermometer", || fs::exists(format!("/sys/bus/w1/devices/{}", id(0))).unwrap());
        let world = World::new(&format!(
            "sensors:
  - {{ id: room, driver: iio, device: bme280, every: 1s, channels: [temp, humidityrelative, pressure] }}
  - {{ id: example, driver: iio, device: example, every: 1s, channels: {{ a: voltage0, b: voltage1-voltage2 }} }}
  - {{ id: wire, driver: hwmon, device: /sys/bus/w1/devices/{}, every: 1s }}
  - {{ id: computer, driver: system, every: 1s, channels: [load_1, memory_used, disk_used, uptime], disk: /proc/.. }}",
            id(0)
        ));
        let listener = world.listen();
        let mut agent = world.start(&listener);
        for climate in CLIMATES {
            follows(&parts, &listener, climate);
            let from = listener.mark();
            wire("temp0", 31_250);
            listener.about(from, "wire", "temp1", 31.25, 0.01);
        }
        // (73 + 7) of 0.001333 mV, and 33 of 0.000001344 mV: less than is shown.
        listener.about(0, "example", "a", 0.0001, 1e-9);
        let from = listener.mark();
        let computer = listener.find(from, "computer", |_| true).json();
        let number = |channel: &str| computer[channel].as_f64().unwrap();
        let uptime: f64 = fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!((uptime - number("uptime")).abs() < 30.0, "{computer} {uptime}");
        assert!((0.1..100.0).contains(&number("memory_used")) && number("load_1") >= 0.0, "{computer}");
        assert!((0.0..=100.0).contains(&number("disk_used")), "{computer}");

        let from = listener.mark();
        kernel_driver(false);
        listener.next(from, "room/availability", "offline");
        listener.problem(from, "room", "absent");
        kernel_driver(true);
        listener.next(from, "room/availability", "online");
        agent.signal(libc::SIGTERM);
        assert!(agent.wait().success());

        world.configure("sensors: [ { id: a, driver: iio, device: bme280, channels: [voltage0] } ]");
        let (code, _, err) = world.halyard("read", &[]);
        let expected = "bme280 has no voltage0: it has humidityrelative, pressure, temp";
        assert!(code == 69 && err.contains(expected), "{code} {err}");
        world.configure("sensors: [ { id: a, driver: system, channels: [cpu_temperature] } ]");
        let (code, _, err) = world.halyard("read", &[]);
        assert!(code == 69 && err.contains("this machine does not know its temperature"), "{code} {err}");
    });
}

/// The text of a file of the only IIO device.
fn of_iio(file: &str) -> String {
    fs::read_to_string(format!("/sys/bus/iio/devices/iio:device0/{file}")).unwrap().trim().to_owned()
}

#[test]
fn a_timer_fills_a_buffer() {
    guest("kernel::a_timer_fills_a_buffer", "", || {
        let parts = connect("sensors: [ { id: chip, driver: bme280, bus: i2c-1, address: 0x76 } ]");
        kernel_driver(true);
        let sensor = |rate: &str| {
            let channels = "[temp, humidityrelative, pressure]";
            format!(
                "sensors: [ {{ id: room, driver: iio, device: bme280, every: 1s, rate: {rate}, channels: {channels} }} ]"
            )
        };
        let world = World::new(&sensor("20Hz"));
        let listener = world.listen();
        let mut agent = world.start(&listener);
        for climate in CLIMATES {
            follows(&parts, &listener, climate);
        }
        assert_eq!(
            (of_iio("buffer/enable"), of_iio("trigger/current_trigger")),
            ("1".into(), "halyard-device0".into())
        );
        let timer = fs::read_to_string("/sys/bus/iio/devices/trigger0/sampling_frequency").unwrap();
        assert_eq!(timer.trim().parse(), Ok(20.0));
        agent.signal(libc::SIGTERM);
        assert!(agent.wait().success());
        assert_eq!(of_iio("buffer/enable"), "0", "it is left to others");

        // The timer is there already, and gets another rate.
        world.configure(&sensor("50Hz"));
        let (code, out, err) = world.halyard("read", &[]);
        assert!(code == 0 && out.contains("temperature -7.2"), "{code} {out} {err}");
        // Who may not make triggers is told so.
        let (code, out, err) = world.halyard_as_nobody("read", &[]);
        assert!(code == 77 && err.contains("no permission"), "{code} {out} {err}");
    });
}
