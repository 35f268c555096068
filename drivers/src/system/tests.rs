use super::*;
use crate::fault::FaultKind;
use crate::sim::{Files, Machine, SharedPart};

fn machine(files: &[(&str, &str)]) -> Machine {
    let machine = Machine::new();
    machine.attach(SharedPart::new(Box::new(Files::new("", files))), None);
    machine
}

fn read(machine: &Machine, text: &str) -> Result<Vec<Value>, Fault> {
    let options: Options = serde_yaml::from_str(text).unwrap();
    let mut sensor = options.open(Wire::Kernel(machine.port(), None))?;
    let mut out = Sample::new(options.channels.iter().len());
    sensor.sample(&mut out)?;
    Ok(out.values().iter().flatten().cloned().collect())
}

fn number(machine: &Machine, channel: &str) -> Result<f64, Fault> {
    read(machine, &format!("{{ channels: [{channel}] }}")).map(|values| values[0].number().unwrap())
}

/// Recorded on Linux 6.12; the wireless interface as proc(5) and many a Raspberry Pi have it.
const RECORDED: &[(&str, &str)] = &[
    ("proc/loadavg", "10.46 10.40 7.73 9/184 2452\n"),
    (
        "proc/meminfo",
        "MemTotal:       24684084 kB\nMemFree:         2509756 kB\nMemAvailable:   23010080 kB\nBuffers:          177292 kB\n",
    ),
    ("proc/uptime", "1707.08 661.92\n"),
    (
        "proc/net/wireless",
        "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n face | tus | link level noise \
         |  nwid  crypt   frag  retry   misc | beacon | 22\n wlan0: 0000   57.  -53.  -256        0      0      0      0      \
         0        0\n wlan1: 0000   40.  -70.  -256        0      0      0      0      0        0\n",
    ),
    ("sys/class/thermal/thermal_zone0/type", "gpu-thermal\n"),
    ("sys/class/thermal/thermal_zone0/temp", "51000\n"),
    ("sys/class/thermal/thermal_zone1/type", "cpu-thermal\n"),
    ("sys/class/thermal/thermal_zone1/temp", "48312\n"),
];

#[test]
fn recorded_files() {
    let machine = machine(RECORDED);
    for (channel, expected) in [
        ("cpu_temperature", 48.312),
        ("load_1", 10.46),
        ("load_5", 10.4),
        ("load_15", 7.73),
        ("memory_used", 100.0 * (1.0 - 23_010_080.0 / 24_684_084.0)),
        ("uptime", 1707.08),
        ("signal", -53.0),
    ] {
        let found = number(&machine, channel).unwrap();
        assert!((found - expected).abs() < 1e-9, "{channel}: {found} is not {expected}");
    }
    let found = read(&machine, "{ channels: { wifi: signal }, interface: wlan1 }").unwrap();
    assert_eq!(found, [Value::Number(-70.0)]);
}

/// The example of the Raspberry Pi's documentation, 0x50000: both only in the past. Then each bit of the present.
#[test]
fn bits_of_the_firmware() {
    for (text, under_voltage, throttled) in [
        ("50000", false, false),
        ("50005", true, true),
        ("0", false, false),
        ("1", true, false),
        ("2", false, true),
        ("4", false, true),
        ("8", false, true),
        ("0x80008", false, true),
    ] {
        let machine = machine(&[("sys/devices/platform/soc/soc:firmware/get_throttled", text)]);
        let found = read(&machine, "{ channels: [under_voltage, throttled] }").unwrap();
        assert_eq!(found, [under_voltage, throttled].map(Value::Switch), "{text}");
    }
}

/// raspberrypi-hwmon.rst: under-voltage without the firmware's own file.
#[test]
fn under_voltage_of_hwmon() {
    for (text, on) in [("1\n", true), ("0\n", false)] {
        let machine =
            machine(&[("sys/class/hwmon/hwmon1/name", "rpi_volt\n"), ("sys/class/hwmon/hwmon1/in0_lcrit_alarm", text)]);
        assert_eq!(read(&machine, "{ channels: [under_voltage] }").unwrap(), [Value::Switch(on)]);
        assert_eq!(read(&machine, "{ channels: [throttled] }").unwrap_err().kind, FaultKind::Absent);
    }
}

#[test]
fn what_the_machine_does_not_have_is_a_fault() {
    let machine = machine(&[("proc/loadavg", "0.1 0.1 0.1 1/1 1\n")]);
    for (channel, expected) in [
        ("cpu_temperature", "this machine does not know its temperature: take this channel out"),
        ("under_voltage", "this machine does not tell of under-voltage: take this channel out"),
        ("throttled", "this machine does not tell whether it is throttled: take this channel out"),
        ("signal", "signal: no wireless interface is connected: take this channel out"),
        ("uptime", "uptime: there is no /proc/uptime"),
    ] {
        let fault = read(&machine, &format!("{{ channels: [{channel}] }}")).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Absent, expected));
    }
    // One that is there does not make up for one that is not.
    assert!(read(&machine, "{ channels: [load_1, uptime] }").is_err());
    let fault = read(&machine, "{ channels: [disk_used], disk: /nowhere }").unwrap_err();
    assert_eq!(fault.message, "disk_used: there is no /nowhere");
}

#[test]
fn what_cannot_be_is_a_fault() {
    for (file, text, channel) in [
        ("proc/loadavg", "nan 0 0\n", "load_1"),
        ("proc/loadavg", "0.1\n", "load_15"),
        ("proc/loadavg", "-1 0 0\n", "load_1"),
        ("proc/meminfo", "MemTotal: 10 kB\n", "memory_used"),
        ("proc/meminfo", "MemTotal: 10 kB\nMemAvailable: 11 kB\n", "memory_used"),
        ("proc/meminfo", "MemTotal: 0 kB\nMemAvailable: 0 kB\n", "memory_used"),
        ("proc/uptime", "", "uptime"),
        ("proc/net/wireless", "a\nb\n wlan0: 0000 57. loud -256\n", "signal"),
        ("sys/devices/platform/soc/soc:firmware/get_throttled", "none", "throttled"),
    ] {
        let fault = read(&machine(&[(file, text)]), &format!("{{ channels: [{channel}] }}")).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Corrupt, "{text}: {fault}");
    }
}

#[test]
fn the_processors_temperature_is_found() {
    let zone = |number: u8, kind: &'static str| {
        let folder = format!("sys/class/thermal/thermal_zone{number}");
        [(format!("{folder}/type"), kind), (format!("{folder}/temp"), "40000")]
    };
    for (kinds, found) in [
        (&["cpu_thermal"][..], true),
        (&["acpitz", "x86_pkg_temp"][..], true),
        (&["gpu-thermal", "soc-thermal"][..], true),
        (&["odd"][..], true),
        (&["odd", "strange"][..], false),
    ] {
        let files: Vec<_> = kinds.iter().zip(0..).flat_map(|(kind, number)| zone(number, kind)).collect();
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        assert_eq!(number(&machine(&files), "cpu_temperature").is_ok(), found, "{kinds:?}");
    }
}

#[test]
fn wrong_options_are_refused() {
    for text in ["{ channels: [cpu] }", "{ channels: [load_1, load_1] }", "{ disc: / }"] {
        assert!(serde_yaml::from_str::<Options>(text).is_err(), "{text}");
    }
}
