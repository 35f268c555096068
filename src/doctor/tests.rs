use super::machine::Access;
use super::*;
use crate::bus::{Bus, Edges, Serial, Simulated};
use crate::config::{At, LineName, Link, PwmName, parse};
use halyard_drivers::port::{
    I2cPort, InputPort, InputSettings, KernelPort, ModbusPort, ModbusSettings, OutputPort, PortError, PwmPort,
    SerialSettings, SpiPort, SpiSettings,
};
use halyard_drivers::{FaultKind, Spec, find};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// A Raspberry Pi, by its files, with nothing enabled.
struct Pi(TempDir);

impl Pi {
    fn new() -> Self {
        let pi = Self(tempfile::tempdir().unwrap());
        pi.file("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0");
        pi.file("boot/firmware/config.txt", "# For more options see\n#dtparam=i2c_arm=on\ndtparam=audio=on\n");
        pi.file("dev/gpiochip0", "");
        pi
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.0.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn user(&self, id: u32, groups: &[u32]) -> Machine {
        Machine::at(self.0.path(), User { name: "anna".to_owned(), id, groups: groups.to_vec() })
    }

    fn root(&self) -> Machine {
        self.user(0, &[])
    }
}

fn config(parts: &str) -> Config {
    parse(&format!("agent: {{ id: a }}\n{parts}"), "config.yaml").unwrap()
}

const CLIMATE: &str = "sensors: [ { id: climate, driver: bme280, bus: i2c-1, address: 0x76 } ]";

/// The one finding about this that is not fine.
#[track_caller]
fn only<'a>(findings: &'a [Finding], about: &str) -> &'a Finding {
    let bad: Vec<_> = findings.iter().filter(|finding| finding.level != Level::Ok && finding.about == about).collect();
    assert_eq!(bad.len(), 1, "{findings:#?}");
    bad[0]
}

#[track_caller]
fn says(finding: &Finding, what: &str, mend: &str) {
    assert!(finding.what.contains(what), "{finding:#?}");
    assert!(finding.mend.as_deref().unwrap_or_default().contains(mend), "{finding:#?}");
}

#[test]
fn an_interface_that_is_off() {
    let pi = Pi::new();
    let config = config(
        "
sensors:
  - { id: climate, driver: bme280, bus: i2c-1, address: 0x76 }
  - { id: hall, driver: bme280, bus: spi0.0 }
  - { id: other, driver: bme280, bus: i2c-3, address: 0x76 }
  - { id: dust, driver: pms5003, port: /dev/serial0 }",
    );
    let findings = machine(&pi.root(), Some(&config));
    let i2c = only(&findings, "i2c-1");
    assert_eq!(i2c.level, Level::Problem);
    says(i2c, "/boot/firmware/config.txt has no line `dtparam=i2c_arm=on`", "sudo raspi-config nonint do_i2c 0");
    says(only(&findings, "spidev0.0"), "`dtparam=spi=on`", "raspi-config nonint do_spi 0");
    says(only(&findings, "i2c-3"), "`dtoverlay=i2c3`", "echo dtoverlay=i2c3 | sudo tee -a /boot/firmware/config.txt");
    says(only(&findings, "serial0"), "`enable_uart=1`", "do_serial_hw 0");

    // Older systems have it elsewhere.
    fs::remove_dir_all(pi.0.path().join("boot/firmware")).unwrap();
    pi.file("boot/config.txt", "[all]\ndtparam=i2c_arm=on,i2c_arm_baudrate=400000\n");
    says(only(&machine(&pi.root(), Some(&config)), "i2c-1"), "/boot/config.txt has the line", "sudo reboot");
    pi.file("sys/bus/i2c/devices/i2c-1/name", "bcm2835");
    says(only(&machine(&pi.root(), Some(&config)), "i2c-1"), "i2c-dev is not loaded", "sudo modprobe i2c-dev");
    pi.file("dev/i2c-1", "");
    assert!(
        machine(&pi.root(), Some(&config))
            .iter()
            .any(|finding| finding == &Finding::ok("i2c-1", "/dev/i2c-1 can be opened"))
    );
}

#[test]
fn without_a_configuration_what_is_off_is_a_warning() {
    let findings = machine(&Pi::new().root(), None);
    assert_eq!(findings.len(), 3, "{findings:#?}");
    assert!(findings.iter().all(|finding| finding.level == Level::Warning));
    says(only(&findings, "1-wire"), "`dtoverlay=w1-gpio`", "do_onewire 0");
}

#[test]
fn another_board_has_no_raspi_config() {
    let pi = Pi::new();
    pi.file("proc/device-tree/model", "Rockchip RK3566");
    pi.file("sys/bus/i2c/devices/i2c-0/name", "rk3x");
    let finding = machine(&pi.root(), Some(&config(CLIMATE)));
    says(only(&finding, "i2c-1"), "there is i2c-0", "overlay");
    assert!(machine(&pi.root(), None).is_empty());
}

#[test]
fn rights() {
    let pi = Pi::new();
    pi.file("dev/i2c-1", "");
    pi.mode("dev/i2c-1", 0o660);
    let node = pi.0.path().join("dev/i2c-1");
    // A test that runs as root makes files whose group is root, which is never one to join.
    let _ = std::os::unix::fs::chown(&node, None, Some(998));
    let file = fs::metadata(&node).unwrap();
    let (owner, group, other) = (file.uid(), file.gid(), 4_242);
    let config = config(CLIMATE);
    let look = |machine: &Machine| super::machine(machine, Some(&config));
    assert_eq!(pi.root().access("/dev/i2c-1"), Access::Fine);
    assert_eq!(pi.user(owner, &[]).access("/dev/i2c-1"), Access::Fine);
    assert_eq!(pi.user(other, &[group]).access("/dev/i2c-1"), Access::Fine);
    assert_eq!(pi.user(other, &[]).access("/dev/none"), Access::Missing);
    pi.file("etc/group", &format!("root:x:0:\ni2c:x:{group}:\n"));
    let findings = look(&pi.user(other, &[]));
    says(only(&findings, "i2c-1"), "anna is not a member of the group i2c", "sudo usermod -aG i2c anna");
    pi.file("etc/group", &format!("i2c:x:{group}:pi,anna\n"));
    says(only(&look(&pi.user(other, &[])), "i2c-1"), "when this session began", "log out");
    pi.mode("dev/i2c-1", 0o600);
    says(only(&look(&pi.user(other, &[group])), "i2c-1"), "belongs to root alone", "60-halyard.rules");
    pi.mode("dev/i2c-1", 0o666);
    assert_eq!(pi.user(other, &[]).access("/dev/i2c-1"), Access::Fine);
}

#[test]
fn a_console_or_a_login_on_the_port() {
    let pi = Pi::new();
    pi.file("dev/ttyS0", "");
    symlink("ttyS0", pi.0.path().join("dev/serial0")).unwrap();
    pi.file("boot/firmware/cmdline.txt", "console=serial0,115200 console=tty1 root=/dev/mmcblk0p2");
    pi.file("proc/cmdline", "coherent_pool=1M console=ttyS0,115200 console=tty1");
    for port in ["/dev/serial0", "/dev/ttyS0"] {
        let config = config(&format!("sensors: [ {{ id: dust, driver: pms5003, port: {port} }} ]"));
        let findings = machine(&pi.root(), Some(&config));
        says(only(&findings, about(port)), "the kernel's console is on", "sudo raspi-config nonint do_serial_cons 1");
        pi.file("proc/cmdline", "console=serial0,115200");
        says(only(&machine(&pi.root(), Some(&config)), about(port)), "the kernel's console is on", "do_serial_cons 1");
        pi.file("proc/cmdline", "console=tty1");
        assert!(machine(&pi.root(), Some(&config)).iter().all(|finding| finding.level == Level::Ok));
        let folder = pi.0.path().join("run/systemd/generator/getty.target.wants");
        fs::create_dir_all(&folder).unwrap();
        symlink("/nowhere", folder.join("serial-getty@ttyS0.service")).unwrap();
        let findings = machine(&pi.root(), Some(&config));
        says(only(&findings, about(port)), "a login waits", "sudo systemctl disable --now serial-getty@ttyS0");
        fs::remove_dir_all(folder).unwrap();
        pi.file("proc/cmdline", "console=ttyS0,115200");
    }
}

fn about(port: &str) -> &str {
    port.trim_start_matches("/dev/")
}

#[test]
fn the_supply() {
    let pi = Pi::new();
    let file = "sys/devices/platform/soc/soc:firmware/get_throttled";
    let look = |text: &str| {
        pi.file(file, text);
        power::check(&pi.root())
    };
    assert_eq!(look("0\n")[0].level, Level::Ok);
    let findings = look("50005\n");
    let [finding] = findings.as_slice() else { panic!("{findings:#?}") };
    assert_eq!(finding.level, Level::Problem);
    assert_eq!(finding.what, "now: under-voltage, the processor is throttled");
    let findings = look("0x50000");
    assert_eq!(findings[0].level, Level::Warning);
    says(&findings[0], "since the start: under-voltage, the processor is throttled", "5.1 V");
    says(&look("80008")[0], "limit of the temperature", "heat sink");
    fs::remove_file(pi.0.path().join(file)).unwrap();
    assert!(power::check(&pi.root()).is_empty());
    pi.file("sys/class/hwmon/hwmon1/name", "rpi_volt\n");
    pi.file("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n");
    says(&power::check(&pi.root())[0], "under-voltage", "supply");
    pi.file("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n");
    assert_eq!(power::check(&pi.root())[0].level, Level::Ok);
}

#[test]
fn the_clock() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    assert_eq!(clock(at(1_795_341_600), true).level, Level::Ok);
    assert_eq!(clock(at(1_795_341_600), false).level, Level::Warning);
    let wrong = clock(at(1_000), true);
    assert_eq!(wrong.level, Level::Problem);
    says(&wrong, "1970-01-01", "timedatectl set-ntp true");
    let pi = Pi::new();
    pi.file("run/systemd/timesync/synchronized", "");
    assert!(is_synchronized(&pi.root()));
}

#[test]
fn secrets_that_everybody_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    let password = folder.path().join("password");
    fs::write(&password, "x").unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let look = |text: &str| {
        fs::write(&file, text).unwrap();
        secrets(&file).into_iter().map(|finding| finding.what).collect::<Vec<_>>()
    };
    fs::write(&file, "").unwrap();
    mode(&file, 0o644);
    mode(&password, 0o640);
    assert!(look("mqtt: { password: { file: password } }").is_empty());
    mode(&password, 0o644);
    assert!(look("mqtt: { password: { file: password } }")[0].contains("password has a secret"));
    assert!(look("mqtt: { password: hello }")[0].contains("config.yaml has a secret"));
    assert!(look("mqtt: { url: \"mqtt://a\" }").is_empty());
    mode(&file, 0o600);
    assert!(look("mqtt: { password: hello }").is_empty());
}

/// Simulated buses with lines as somebody has them.
struct Held(Simulated, fn(&LineName) -> Result<Option<String>, PortError>);

impl Bus for Held {
    fn i2c(&self, bus: u8, address: u8) -> Result<I2cPort, PortError> {
        self.0.i2c(bus, address)
    }
    fn i2c_buses(&self) -> Vec<u8> {
        self.0.i2c_buses()
    }
    fn i2c_taken(&self, _: u8, address: u8) -> Option<String> {
        (address == 0x77).then(|| "bmp280".to_owned())
    }
    fn spi(&self, bus: u8, chip_select: u8, settings: SpiSettings) -> Result<SpiPort, PortError> {
        self.0.spi(bus, chip_select, settings)
    }
    fn output(&self, line: &LineName) -> Result<OutputPort, PortError> {
        self.0.output(line)
    }
    fn kernel(&self) -> Result<KernelPort, PortError> {
        self.0.kernel()
    }
    fn pwm(&self, channel: &PwmName) -> Result<PwmPort, PortError> {
        self.0.pwm(channel)
    }
    fn modbus(&self, link: &Link, unit: u8, settings: ModbusSettings) -> Result<ModbusPort, PortError> {
        self.0.modbus(link, unit, settings)
    }
    fn inputs(&self, lines: &[LineName], settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        self.0.inputs(lines, settings)
    }
    fn listen(&self, line: &LineName, settings: InputSettings) -> Result<InputPort, PortError> {
        self.0.listen(line, settings)
    }
    fn line_holder(&self, line: &LineName) -> Result<Option<String>, PortError> {
        self.1(line)
    }
    fn input(&self, line: &LineName, settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        self.0.input(line, settings)
    }
    fn serial(&self, path: &str, settings: SerialSettings) -> Result<Box<dyn Serial>, PortError> {
        self.0.serial(path, settings)
    }
}

fn with_parts(parts: &[(u8, u8, &str)]) -> Held {
    let buses = Simulated::default();
    for (bus, address, name) in parts {
        let Spec::Sensor(spec) = (find(name).unwrap().defaults)() else { panic!("{name}") };
        buses.place(&At::I2c { bus: *bus, address: *address }, spec.simulate());
    }
    Held(buses, |_| Ok(None))
}

fn climate_at(address: u8) -> Config {
    config(&CLIMATE.replace("0x76", &format!("{address:#04x}")))
}

#[test]
fn parts_where_they_should_not_be() {
    let check = |config: &Config, bus: &Held| {
        let findings = parts(&Pi::new().root(), config, bus);
        assert_eq!(findings.len(), 1, "{findings:#?}");
        findings[0].clone()
    };
    let here = check(&climate_at(0x76), &with_parts(&[(1, 0x76, "bme280")]));
    assert_eq!(here.level, Level::Ok);
    assert_eq!(here.about, "climate (bme280 at i2c-1/0x76)");

    let nobody = check(&climate_at(0x76), &with_parts(&[(1, 0x44, "sht4x")]));
    says(&nobody, "nobody answers at i2c-1/0x76", "halyard scan");
    assert_eq!(nobody.level, Level::Problem);
    let other_bus = check(&climate_at(0x76), &with_parts(&[(1, 0x44, "sht4x"), (3, 0x76, "bme280")]));
    says(&other_bus, "but a bme280 answers at i2c-3/0x76", "bus: i2c-3, address: 0x76");
    let another = check(&climate_at(0x76), &with_parts(&[(1, 0x76, "bmp388")]));
    says(&another, "another part answers at i2c-1/0x76: a bmp388", "halyard scan");
    let taken = check(&climate_at(0x77), &with_parts(&[(1, 0x77, "bme280")]));
    says(&taken, "the kernel's own driver bmp280 has", "echo 1-0077 | sudo tee /sys/bus/i2c/drivers/bmp280/unbind");

    let light = config("sensors: [ { id: light, driver: bh1750, bus: i2c-1, address: 0x23 } ]");
    assert_eq!(check(&light, &with_parts(&[(1, 0x23, "bh1750")])).level, Level::Ok);
    says(&check(&light, &with_parts(&[(1, 0x5C, "bh1750")])), "what answers at i2c-1/0x5c may be it", "address: 0x5c");
}

#[test]
fn the_other_address_is_named() {
    let buses = Simulated::default();
    let Spec::Sensor(spec) = (find("bme280").unwrap().defaults)() else { unreachable!() };
    buses.place(&At::I2c { bus: 1, address: 0x77 }, spec.simulate());
    let findings = parts(&Pi::new().root(), &climate_at(0x76), &buses);
    says(&findings[0], "configured at i2c-1/0x76, but a bme280 answers at i2c-1/0x77", "address: 0x77");
}

#[test]
fn lines_that_somebody_has() {
    let pi = Pi::new();
    pi.file("proc/77/comm", "gpioset\n");
    fs::create_dir_all(pi.0.path().join("proc/77/fd")).unwrap();
    symlink("anon_inode:gpio-line", pi.0.path().join("proc/77/fd/5")).unwrap();
    let config = config("actuators: [ { id: pump, driver: switch, line: GPIO27 } ]");
    let check = |machine: &Machine, holder| parts(machine, &config, &Held(Simulated::default(), holder)).remove(0);
    assert_eq!(check(&pi.root(), |_| Ok(None)).level, Level::Ok);
    assert_eq!(check(&pi.root(), |_| Ok(Some("halyard".to_owned()))).level, Level::Ok);
    let busy = check(&pi.root(), |_| Ok(Some("gpioset".to_owned())));
    assert_eq!((busy.level, busy.about.as_str()), (Level::Problem, "pump (switch at GPIO27)"));
    says(&busy, "in use by \"gpioset\"; the program gpioset (77) holds lines", "sudo kill 77");
    let kernel = check(&Pi::new().root(), |_| Ok(Some("led0".to_owned())));
    says(&kernel, "in use by \"led0\"", "fuser");
    let none =
        check(&pi.root(), |_| Err(PortError::new(FaultKind::Absent, "there is no line GPIO27: is it GPIO2 or GPIO7?")));
    says(&none, "is it GPIO2 or GPIO7?", "gpioinfo");
}
