use super::*;
use crate::sim::{Files, Machine, SharedPart};

fn options(text: &str) -> Options {
    serde_yaml::from_str(text).unwrap()
}

fn machine(devices: &[(&str, &[(&str, &str)])]) -> Machine {
    let machine = Machine::new();
    for (folder, files) in devices {
        machine.attach(SharedPart::new(Box::new(Files::new(folder, files))), None);
    }
    machine
}

fn read(machine: &Machine, device: Option<&str>, text: &str) -> Result<Vec<Value>, Fault> {
    let options = options(text);
    let mut sensor = options.open(Wire::Kernel(machine.port(), device.map(str::to_owned)))?;
    let mut out = Sample::new(options.channels.iter().len());
    sensor.sample(&mut out)?;
    Ok(out.values().iter().flatten().cloned().collect())
}

/// Recorded: a Raspberry Pi 5's fan and supply, a thermometer on I2C (the numbers of its files changed), and the two
/// thermometers on 1-Wire of Linux 6.12 that bear the same name.
const DEVICES: &[(&str, &[(&str, &str)])] = &[
    ("/sys/class/hwmon/hwmon0", &[("name", "cpu_thermal\n"), ("temp1_input", "48312\n")]),
    ("/sys/class/hwmon/hwmon1", &[("name", "w1_slave_temp\n"), ("temp1_input", "20000\n")]),
    ("/sys/class/hwmon/hwmon2", &[("name", "w1_slave_temp\n"), ("temp1_input", "21000\n")]),
    ("/sys/class/hwmon/hwmon3", &[("name", "rpi_volt\n"), ("in0_lcrit_alarm", "0\n")]),
    ("/sys/class/hwmon/hwmon4", &[("name", "pwmfan\n"), ("fan1_input", "2987\n"), ("pwm1", "125\n")]),
    ("/sys/bus/i2c/devices/1-0048/hwmon/hwmon5", &[("name", "lm75\n"), ("temp1_input", "-10500\n")]),
];

#[test]
fn devices_are_found_by_name_number_and_folder() {
    let machine = machine(DEVICES);
    let temperature = |device| read(&machine, Some(device), "{}");
    assert_eq!(temperature("cpu_thermal"), Ok(vec![Value::Number(48.312)]));
    assert_eq!(temperature("hwmon2"), Ok(vec![Value::Number(21.0)]));
    assert_eq!(temperature("/sys/class/hwmon/hwmon1"), Ok(vec![Value::Number(20.0)]));
    assert_eq!(temperature("/sys/bus/i2c/devices/1-0048"), Ok(vec![Value::Number(-10.5)]));

    let fault = temperature("w1_slave_temp").unwrap_err();
    let expected = "w1_slave_temp is the name of several, hwmon1 (w1_slave_temp), hwmon2 (w1_slave_temp): name the folder \
                    below /sys";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::WrongChip, expected));
    let fault = temperature("lm75").unwrap_err();
    assert_eq!(fault.kind, FaultKind::Absent);
    assert!(fault.message.starts_with("there is no hwmon device lm75, but hwmon0 (cpu_thermal), hwmon1"), "{fault}");
    let fault = read(&machine, None, "{}").unwrap_err();
    assert!(fault.kind == FaultKind::WrongChip && fault.message.contains("there are several"), "{fault}");
    let fault = temperature("/sys/bus/i2c/devices/1-0049").unwrap_err();
    assert_eq!(fault.message, "there is no hwmon device in /sys/bus/i2c/devices/1-0049");
}

/// sysfs-interface.rst: the units of each sort of file.
#[test]
fn units_of_the_kernels_documentation() {
    let files = [
        ("name", "many\n"),
        ("temp2_input", "-40000\n"),
        ("in0_input", "12050\n"),
        ("fan1_input", "1380\n"),
        ("curr1_input", "-2500\n"),
        ("power1_average", "15250000\n"),
        ("energy1_input", "7200000000\n"),
        ("humidity1_input", "45600\n"),
        ("temp2_crit_alarm", "1\n"),
        ("in0_alarm", "0\n"),
    ];
    let machine = machine(&[("/sys/class/hwmon/hwmon0", &files)]);
    let text = "{ channels: [temp2, in0, fan1, curr1, power1, energy1, humidity1, temp2_crit_alarm, in0_alarm] }";
    let numbers = [-40.0, 12.05, 1380.0, -2.5, 15.25, 2.0, 45.6].map(Value::Number);
    let alarms = [true, false].map(Value::Switch);
    let found = read(&machine, None, text).unwrap();
    for (found, expected) in found.iter().zip(numbers.iter().chain(&alarms)) {
        match (found, expected) {
            (Value::Number(found), Value::Number(expected)) => assert!((found - expected).abs() < 1e-9, "{found}"),
            (found, expected) => assert_eq!(found, expected),
        }
    }
    assert_eq!(found.len(), 9);
    let channels = options(text).channels();
    let units: Vec<_> = channels.iter().map(|channel| channel.quantity.unit.unwrap_or("")).collect();
    assert_eq!(units, ["°C", "V", "rpm", "A", "W", "Wh", "%", "", ""]);
    assert!(channels[7].range.is_none() && channels[7].quantity.device_class == Some("problem"));
}

#[test]
fn what_the_device_does_not_have_or_knows_to_be_bad_is_a_fault() {
    let machine = machine(DEVICES);
    let fault = read(&machine, Some("pwmfan"), "{}").unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::WrongChip, "pwmfan has no temp1: it has fan1"));
    for (files, kind, expected) in [
        (
            &[("name", "x"), ("temp1_input", "20000"), ("temp1_fault", "1\n")][..],
            FaultKind::Corrupt,
            "temp1: the sensor is open",
        ),
        (&[("name", "x"), ("temp1_input", "2000001")][..], FaultKind::Corrupt, "outside of what the part can measure"),
        (&[("name", "x"), ("temp1_input", "warm")][..], FaultKind::Corrupt, "holds \"warm\": not a number"),
        (&[("name", "x"), ("temp1_input", "")][..], FaultKind::Corrupt, "not a number"),
    ] {
        let fault = read(&self::machine(&[("/sys/class/hwmon/hwmon0", files)]), None, "{}").unwrap_err();
        assert!(fault.kind == kind && fault.message.contains(expected), "{fault}");
    }
}

/// The kernel gives its number to another device.
#[test]
fn another_device_in_its_place_is_noticed() {
    let machine = machine(&DEVICES[..1]);
    let options = options("{}");
    let mut sensor = options.open(Wire::Kernel(machine.port(), None)).unwrap();
    machine.detach();
    let other = Files::new("/sys/class/hwmon/hwmon0", &[("name", "lm75\n"), ("temp1_input", "20000\n")]);
    machine.attach(SharedPart::new(Box::new(other)), None);
    let fault = sensor.sample(&mut Sample::new(1)).unwrap_err();
    assert_eq!(
        (fault.kind, fault.message.as_str()),
        (FaultKind::WrongChip, "/sys/class/hwmon/hwmon0 is lm75 now, not cpu_thermal")
    );
}

#[test]
fn wrong_options_are_refused() {
    for text in ["temp", "temp1_input", "in0_alarm_x", "humid1", "temp1_CRIT_alarm", "../temp1", "pwm1", ""] {
        let message = serde_yaml::from_str::<Options>(&format!("channels: [{text:?}]")).unwrap_err().to_string();
        assert!(message.contains("a reading such as `temp1`"), "{text}: {message}");
    }
    for text in ["temp1", "in10", "temp1_alarm", "in0_lcrit_alarm"] {
        options(&format!("channels: [{text}]"));
    }
}
