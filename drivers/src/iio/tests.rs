use super::*;
use crate::sim::{Files, Machine, SharedPart};
use crate::value::Value;

const DEVICE: &str = "/sys/bus/iio/devices/iio:device0";

/// Recorded: a BME280 at 21.5 °C, 40 % and 1006.53 hPa with the kernel's driver bmp280, Linux 6.12.
const BME280: &[(&str, &str)] = &[
    ("name", "bme280\n"),
    ("in_humidityrelative_input", "40001.953125000\n"),
    ("in_humidityrelative_raw", "40962\n"),
    ("in_humidityrelative_scale", "0.976562500\n"),
    ("in_pressure_input", "100.653113281\n"),
    ("in_pressure_raw", "25767197\n"),
    ("in_pressure_scale", "0.000003906\n"),
    ("in_temp_input", "21500.000000000\n"),
    ("in_temp_oversampling_ratio", "2\n"),
    ("in_temp_raw", "2150\n"),
    ("in_temp_scale", "10.000000000\n"),
];

/// Recorded: the kernel's own example of a device, iio_dummy, Linux 6.12.
const DUMMY: &[(&str, &str)] = &[
    ("name", "d0\n"),
    ("in_accel_x_calibscale", "0.000100\n"),
    ("in_accel_x_raw", "34\n"),
    ("in_activity_walking_input", "4\n"),
    ("in_steps_input", "47\n"),
    ("in_voltage-voltage_scale", "0.000001344\n"),
    ("in_voltage0_offset", "7\n"),
    ("in_voltage0_raw", "73\n"),
    ("in_voltage0_scale", "0.001333\n"),
    ("in_voltage1-voltage2_raw", "33\n"),
    ("in_voltage3-voltage4_raw", "-34\n"),
];

fn machine(files: &[(&str, &str)]) -> Machine {
    let machine = Machine::new();
    machine.attach(SharedPart::new(Box::new(Files::new(DEVICE, files))), None);
    machine
}

fn options(text: &str) -> Options {
    serde_yaml::from_str(text).unwrap()
}

fn read(machine: &Machine, device: Option<&str>, text: &str) -> Result<Vec<f64>, Fault> {
    let options = options(text);
    let mut sensor = options.open(Wire::Kernel(machine.port(), device.map(str::to_owned)))?;
    sample(&mut *sensor, options.channels.iter().len())
}

fn sample(sensor: &mut dyn Sensor, channels: usize) -> Result<Vec<f64>, Fault> {
    let mut out = Sample::new(channels);
    sensor.sample(&mut out)?;
    Ok(out.values().iter().map(|value| value.as_ref().and_then(Value::number).unwrap()).collect())
}

#[test]
fn a_recorded_device() {
    let all = "{ channels: [temp, humidityrelative, pressure] }";
    let found = read(&machine(BME280), Some("bme280"), all).unwrap();
    for (found, expected) in found.iter().zip([21.5, 40.001_953, 1_006.531_133]) {
        assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
    }
    // Without processed values, its raw ones say the same.
    let raw: Vec<_> = BME280.iter().copied().filter(|(file, _)| !file.ends_with("_input")).collect();
    let found = read(&machine(&raw), Some("iio:device0"), all).unwrap();
    for (found, expected) in found.iter().zip([21.5, 40.001_953, 1006.466]) {
        assert!((found - expected).abs() < 1e-3, "{found} is not {expected}");
    }
    let names: Vec<_> = options(all).channels().into_iter().map(|channel| channel.name).collect();
    assert_eq!(names, ["temperature", "humidity", "pressure"]);
}

/// Offset and scale of one channel, a scale that all differences share.
#[test]
fn another_recorded_device() {
    let text = "{ channels: { a: voltage0, b: voltage1-voltage2, c: voltage3-voltage4 } }";
    let found = read(&machine(DUMMY), None, text).unwrap();
    for (found, milli) in found.iter().zip([(73.0 + 7.0) * 0.001_333, 33.0 * 0.000_001_344, -34.0 * 0.000_001_344]) {
        assert!((found - milli / 1000.0_f64).abs() < 1e-15, "{found} is not {milli} mV");
    }
    let fault = read(&machine(DUMMY), None, "{ channels: [accel_x] }").unwrap_err();
    let expected = "the kernel does not know the scale of accel_x: its values are in no unit";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Rejected, expected));
    let fault = read(&machine(DUMMY), None, "{ channels: [temp] }").unwrap_err();
    let expected =
        "d0 has no temp: it has accel_x, activity_walking, steps, voltage0, voltage1-voltage2, voltage3-voltage4";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::WrongChip, expected));
}

/// sysfs-bus-iio: the units of the types after offset and scale.
#[test]
fn units_of_the_kernels_documentation() {
    for (source, unit, of_one) in [
        ("temp_ambient", "°C", 1e-3),
        ("humidityrelative", "%", 1e-3),
        ("pressure0", "hPa", 10.0),
        ("voltage12", "V", 1e-3),
        ("current_q", "A", 1e-3),
        ("power0", "W", 1e-3),
        ("illuminance", "lx", 1.0),
        ("accel_x", "m/s²", 1.0),
        ("anglvel_z", "rad/s", 1.0),
        ("magn_y", "µT", 100.0),
        ("concentration_co2", "ppm", 10_000.0),
        ("electricalconductivity", "µS/cm", 10_000.0),
        ("distance", "m", 1.0),
    ] {
        let found = Source::parse(source).unwrap();
        assert_eq!(found.channel("x").quantity.unit, Some(unit), "{source}");
        let value = found.value(0.005).unwrap();
        assert!((value - 0.005 * of_one).abs() < 1e-12, "{source}: {value}");
    }
    for wrong in ["", "temperature", "tempo", "voltage0_raw", "in_temp", "../temp", "Temp", "accel_", "magnet"] {
        assert_eq!(Source::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn shared_files_are_found() {
    for (source, file) in [
        ("voltage0", "in_voltage_scale"),
        ("accel_x", "in_accel_scale"),
        ("accel_x", "in_scale"),
        ("voltage1-voltage3", "in_voltage-voltage_scale"),
        ("temp_object0", "in_temp_object_scale"),
        ("temp0", "scale"),
    ] {
        assert!(Source::parse(source).unwrap().shared("scale").iter().any(|other| other == file), "{source} {file}");
    }
    let first = Source::parse("voltage0").unwrap().shared("offset").remove(0);
    assert_eq!(first, "in_voltage0_offset");
}

fn buffered(text: &str) -> (Machine, SharedPart, Options) {
    let options = options(text);
    let (machine, part) = (Machine::new(), SharedPart::new(options.simulate().unwrap()));
    machine.attach(part.clone(), Some("adc"));
    (machine, part, options)
}

const FAST: &str = "{ channels: [voltage0, voltage1], rate: 50Hz }";

#[test]
fn with_a_rate_the_buffer_is_read() {
    let (machine, part, options) = buffered(FAST);
    machine.record();
    let mut sensor = options.open(Wire::Kernel(machine.port(), None)).unwrap();
    part.stimulate("voltage0", 1.5);
    part.stimulate("voltage1", -0.25);
    assert_eq!(sample(&mut *sensor, 2), Ok(vec![1.5, -0.25]));
    sensor.halt().unwrap();
    let written: Vec<_> = machine.recorded().into_iter().filter(|line| line.contains(" W ")).collect();
    let expected = [
        "/sys/bus/iio/devices/iio:device0/buffer/enable W \"0\\n\"",
        "/sys/bus/iio/devices/trigger0/sampling_frequency W \"50\\n\"",
        "/sys/bus/iio/devices/iio:device0/trigger/current_trigger W \"halyard-device0\\n\"",
        "/sys/bus/iio/devices/iio:device0/scan_elements/in_voltage0_en W \"1\\n\"",
        "/sys/bus/iio/devices/iio:device0/scan_elements/in_voltage1_en W \"1\\n\"",
        "/sys/bus/iio/devices/iio:device0/buffer/length W \"3000\\n\"",
        "/sys/bus/iio/devices/iio:device0/buffer/enable W \"1\\n\"",
        "/sys/bus/iio/devices/iio:device0/buffer/enable W \"0\\n\"",
    ];
    assert_eq!(written, expected);
}

#[test]
fn what_keeps_a_buffer_from_running_is_said() {
    let (machine, _, options) = buffered("{ channels: [voltage0], rate: 50Hz, trigger: nosuch }");
    let fault = options.open(Wire::Kernel(machine.port(), None)).err().unwrap();
    assert_eq!(fault.message, "there is no trigger nosuch; there are: ");
    let fault = read(&self::machine(BME280), None, "{ rate: 10Hz }").unwrap_err();
    assert_eq!(fault.message, "bme280 has no buffer: leave out `rate`");

    // Its trigger was taken away.
    let (machine, _, options) = buffered(FAST);
    let mut sensor = options.open(Wire::Kernel(machine.port(), None)).unwrap();
    machine.port().files.write(&format!("{DEVICE}/trigger/current_trigger"), "\n").unwrap();
    let fault = sample(&mut *sensor, 2).unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotReady);
    assert!(fault.message.contains("does the trigger run?"), "{fault}");
}

#[test]
fn what_is_out_of_range_is_a_fault() {
    let files =
        [("name", "x"), ("in_humidityrelative_input", "100001"), ("in_temp_input", "nan"), ("in_pressure_input", "")];
    for (channel, expected) in [
        ("humidityrelative", "humidity: humidityrelative in % of 100.00 is outside"),
        ("temp", "not a number"),
        ("pressure", "not a number"),
    ] {
        let fault = read(&machine(&files), None, &format!("{{ channels: [{channel}] }}")).unwrap_err();
        assert!(fault.kind == FaultKind::Corrupt && fault.message.contains(expected), "{fault}");
    }
}

#[test]
fn wrong_options_are_refused() {
    for (text, expected) in [
        ("{ channels: [temperature] }", "of one of the types temp, humidityrelative,"),
        ("{ rate: 10 }", "a frequency with its unit"),
        ("{ channels: [] }", "at least one channel"),
    ] {
        let message = serde_yaml::from_str::<Options>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
