//! What tests in the hardware lab rely on.
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests

mod lab;

use lab::{Lab, connect, in_guest, wait_until};
use std::fs::{self, read_to_string};
use std::process::Command;

#[test]
fn commands_are_run_as_they_are() {
    let Some(lab) = Lab::own() else { return };
    let share = tempfile::tempdir().unwrap();
    fs::write(share.path().join("in"), "from outside\n").unwrap();
    let script = "\
cat /host/in; echo error >&2
echo from inside > /host/out
echo lost > /etc/halyard-lab && cat /etc/halyard-lab
ls /dev/i2c-1 /dev/spidev0.3 /dev/labbus
exit 7";
    let output = lab.run(&["--share", share.path().to_str().unwrap()], script);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let nodes = "/dev/i2c-1\n/dev/labbus\n/dev/spidev0.3\n";
    assert_eq!(text(&output.stdout), format!("from outside\nlost\n{nodes}"));
    assert_eq!((text(&output.stderr).as_str(), output.status.code()), ("error\n", Some(7)));
    assert_eq!(read_to_string(share.path().join("out")).unwrap(), "from inside\n");
    assert!(!fs::exists("/etc/halyard-lab").unwrap(), "what is not below /host stays in the guest");
}

#[test]
fn what_takes_too_long_is_ended() {
    let Some(lab) = Lab::own() else { return };
    let output = lab.run(&["--timeout", "1"], "sleep 600");
    assert_eq!(output.status.code(), Some(124), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_guest_can_be_a_board() {
    let Some(lab) = Lab::own() else { return };
    let output = lab.run(
        &["--board", "raspberry-pi-4"],
        "tr '\\0' '\\n' < /proc/device-tree/model; lab-gpio list | grep -E 'GPIO(17|27) |ACT'",
    );
    let expected = "\
Raspberry Pi 4 Model B Rev 1.4
gpiochip0:17 GPIO17 0 pull-down -
gpiochip0:27 GPIO27 0 pull-down -
gpiochip0:42 STATUS_LED_G_CLK 0 pull-down ACT
";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{}", String::from_utf8_lossy(&output.stderr));
}

/// A driver that is not ours reads a model that is.
#[test]
fn the_kernels_own_driver_reads_a_model() {
    in_guest("the_kernels_own_driver_reads_a_model", "", || {
        let parts = connect("sensors: [ { id: water, driver: lm75, bus: i2c-1, address: 0x48 } ]");
        fs::write("/sys/bus/i2c/devices/i2c-1/new_device", "lm75 0x48").unwrap();
        let folder = fs::read_dir("/sys/bus/i2c/devices/1-0048/hwmon").unwrap().next().unwrap().unwrap().path();
        for celsius in [21.5, -40.0] {
            parts.stimulate("water", "temperature", celsius).unwrap();
            // The kernel keeps a reading for a while.
            wait_until(&format!("{celsius} °C"), || {
                let text = read_to_string(folder.join("temp1_input")).unwrap();
                text.trim().parse::<f64>().unwrap() == celsius * 1000.0
            });
        }
    });
}

#[test]
fn what_has_modules_of_its_own() {
    in_guest("what_has_modules_of_its_own", "", || {
        let thermometer = "/sys/bus/w1/devices/28-000000035a10/temperature";
        wait_until("1-Wire", || fs::exists(thermometer).unwrap());
        fs::write("/sys/kernel/debug/labw1/temp0", "-10125").unwrap();
        assert_eq!(read_to_string(thermometer).unwrap(), "-10125\n");

        let chip = "/sys/class/pwm/pwmchip0";
        for (file, value) in
            [("export", "0"), ("pwm0/period", "20000000"), ("pwm0/duty_cycle", "1500000"), ("pwm0/enable", "1")]
        {
            fs::write(format!("{chip}/{file}"), value).unwrap();
        }
        let pin = read_to_string("/sys/kernel/debug/labpwm/pwm0").unwrap();
        assert!(pin.starts_with("20000000 1500000 1 normal"), "{pin}");
    });
}

#[test]
fn a_kernel_is_for_the_sources_that_it_was_built_from() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = |variable: &str| {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/lab/lab"));
        command.env_remove("HALYARD_LAB_PREBUILT").env(variable, folder.path()).arg("kernel");
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let text = kernel("HALYARD_LAB_CACHE");
    assert!(text.contains("no kernel in") && text.contains("lab build"), "{text}");
    fs::copy("/bin/true", folder.path().join("linux")).unwrap();
    fs::write(folder.path().join("sources"), "0123456789abcdef\n").unwrap();
    let text = kernel("HALYARD_LAB_PREBUILT");
    assert!(text.contains("built from other sources (0123456789abcdef)"), "{text}");
}
