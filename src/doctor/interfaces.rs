//! Whether the interfaces that the configuration needs are enabled, free, and open to the user.

use super::Finding;
use super::machine::{Access, Machine};
use super::parts::places;
use crate::config::{At, Config, Link, PwmName};
use halyard_drivers::KernelClass;
use std::collections::BTreeSet;
use std::path::Path;

/// What a configuration needs of the machine.
#[derive(Default)]
struct Needs {
    i2c: BTreeSet<u8>,
    spi: BTreeSet<(u8, u8)>,
    ports: BTreeSet<String>,
    lines: bool,
    pwm: BTreeSet<String>,
    one_wire: bool,
}

impl Needs {
    fn of(config: &Config) -> Self {
        let mut needs = Self::default();
        for (_, _, at) in places(config) {
            match &at {
                At::I2c { bus, .. } => drop(needs.i2c.insert(*bus)),
                At::Spi { bus, chip_select } => drop(needs.spi.insert((*bus, *chip_select))),
                At::Kernel { class: KernelClass::OneWire, .. } => needs.one_wire = true,
                At::Serial(path) | At::Modbus { link: Link::Serial(path), .. } => {
                    needs.ports.insert(path.clone());
                }
                At::Line(line) => needs.lines |= line.expander().is_none(),
                At::Pwm(PwmName::Channel { chip, .. }) => drop(needs.pwm.insert(chip.clone())),
                // Nothing of this machine but its network.
                At::Modbus { link: Link::Tcp(_), .. } => {}
                // On a line of an expander, or of the board, whose way it is; and each of several is a place of its own.
                // Other devices of the kernel have no interface of their own.
                At::Pwm(PwmName::Line(_)) | At::Several(_) | At::Kernel { .. } => {}
            }
        }
        needs
    }
}

/// The checks; without a configuration, of what a Raspberry Pi has switched off.
pub(super) fn check(machine: &Machine, config: Option<&Config>) -> Vec<Finding> {
    let Some(needs) = config.map(Needs::of) else { return switched_off(machine) };
    let mut findings = Vec::new();
    for bus in needs.i2c {
        let node = format!("/dev/i2c-{bus}");
        findings.push(if machine.has(&node) { access(machine, &node) } else { no_i2c(machine, bus) });
    }
    for (bus, chip_select) in needs.spi {
        let node = format!("/dev/spidev{bus}.{chip_select}");
        findings.push(if machine.has(&node) { access(machine, &node) } else { no_spi(machine, bus, &node) });
    }
    for port in needs.ports {
        if machine.has(&port) {
            findings.push(access(machine, &port));
            findings.extend(console(machine, &port));
        } else {
            findings.push(no_port(machine, &port));
        }
    }
    if needs.lines {
        let chips = machine.names("dev").into_iter().filter(|name| name.starts_with("gpiochip"));
        let chips: Vec<_> = chips.map(|name| access(machine, &format!("/dev/{name}"))).collect();
        if chips.is_empty() {
            let mend =
                "enable the GPIO driver of this board in its kernel or device tree; then: ls /sys/bus/gpio/devices";
            findings.push(Finding::problem("gpio", "there is no /dev/gpiochip0: this machine has no GPIO lines", mend));
        }
        findings.extend(chips);
    }
    findings.extend(needs.pwm.iter().filter_map(|chip| no_pwm(machine, chip)));
    if needs.one_wire && !has_one_wire(machine) {
        findings.push(no_one_wire(machine));
    }
    findings
}

/// Whether the user can open a device that is there.
fn access(machine: &Machine, node: &str) -> Finding {
    let about = about(node);
    let user = &machine.user().name;
    match machine.access(node) {
        Access::Fine | Access::Missing => Finding::ok(about, format!("{node} can be opened")),
        Access::NotIn(group) => Finding::problem(
            about,
            format!("no permission for {node}: {user} is not a member of the group {group}"),
            format!("sudo usermod -aG {group} {user}    # and log in again"),
        ),
        Access::Since(group) => Finding::problem(
            about,
            format!("no permission for {node}: {user} is a member of {group}, but was not when this session began"),
            "log out and in again; a service: sudo systemctl restart halyard",
        ),
        Access::Nobody => Finding::problem(
            about,
            format!("no permission for {node}: it belongs to root alone"),
            "sudo install -m 644 systemd/60-halyard.rules /etc/udev/rules.d/ && sudo udevadm control --reload && sudo udevadm trigger",
        ),
    }
}

/// `i2c-1` of `/dev/i2c-1`.
fn about(node: &str) -> String {
    node.trim_start_matches("/dev/").to_owned()
}

/// Whether `config.txt` has a line `dtparam=` or `dtoverlay=` with one of these values.
fn has_setting(text: &str, key: &str, values: &[&str]) -> bool {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let settings = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    settings.flat_map(|setting| setting.split(',')).any(|setting| values.contains(&setting.trim()))
}

/// An interface that is not there on a Raspberry Pi: `command` writes `line` into `config.txt`.
fn raspberry_pi(
    machine: &Machine,
    about: String,
    missing: &str,
    line: &str,
    aliases: &[&str],
    command: &str,
) -> Finding {
    let (file, text) = machine.boot_file("config.txt");
    let (key, _) = line.split_once('=').unwrap_or((line, ""));
    if has_setting(&text, key, aliases) {
        let what = format!("{missing}, although {file} has the line `{line}`: it counts from the next start on");
        return Finding::problem(about, what, "sudo reboot");
    }
    let what = format!("{missing}: {file} has no line `{line}`");
    let does = if command.contains(line) { String::new() } else { format!("    # writes `{line}` into {file}") };
    Finding::problem(about, what, format!("{command} && sudo reboot{does}"))
}

fn no_i2c(machine: &Machine, bus: u8) -> Finding {
    let (about, missing) = (format!("i2c-{bus}"), format!("there is no /dev/i2c-{bus}"));
    let adapters = machine.names("sys/bus/i2c/devices");
    if adapters.contains(&format!("i2c-{bus}")) {
        let what = format!("{missing}, but the bus is there: the module i2c-dev is not loaded");
        return Finding::problem(
            about,
            what,
            "sudo modprobe i2c-dev && echo i2c-dev | sudo tee /etc/modules-load.d/i2c-dev.conf",
        );
    }
    if machine.is_raspberry_pi() {
        let (file, _) = machine.boot_file("config.txt");
        let by_hand = |line: &str| format!("echo {line} | sudo tee -a {file}");
        return match bus {
            1 => {
                let names = ["i2c_arm=on", "i2c=on", "i2c_arm", "i2c"];
                raspberry_pi(
                    machine,
                    about,
                    &missing,
                    "dtparam=i2c_arm=on",
                    &names,
                    "sudo raspi-config nonint do_i2c 0",
                )
            }
            0 => {
                let line = "dtparam=i2c_vc=on";
                raspberry_pi(machine, about, &missing, line, &["i2c_vc=on", "i2c0=on"], &by_hand(line))
            }
            _ => {
                let (line, name) = (format!("dtoverlay=i2c{bus}"), format!("i2c{bus}"));
                raspberry_pi(machine, about, &missing, &line, &[&name], &by_hand(&line))
            }
        };
    }
    let others: Vec<_> = adapters.into_iter().filter(|name| name.starts_with("i2c-")).collect();
    let what = if others.is_empty() { missing } else { format!("{missing}; there is {}", others.join(", ")) };
    Finding::problem(about, what, "sudo modprobe i2c-dev; or enable the bus by an overlay of this board's device tree")
}

fn no_spi(machine: &Machine, bus: u8, node: &str) -> Finding {
    let missing = format!("there is no {node}");
    let others: Vec<_> = machine.names("dev").into_iter().filter(|name| name.starts_with("spidev")).collect();
    if !others.is_empty() {
        let what = format!("{missing}; there is {}", others.join(", "));
        return Finding::problem(
            about(node),
            what,
            "halyard check: name another `bus`; or add the chip select by an overlay",
        );
    }
    if machine.is_raspberry_pi() {
        if bus == 0 {
            let names = ["spi=on", "spi"];
            return raspberry_pi(
                machine,
                about(node),
                &missing,
                "dtparam=spi=on",
                &names,
                "sudo raspi-config nonint do_spi 0",
            );
        }
        let (file, _) = machine.boot_file("config.txt");
        let line = format!("dtoverlay=spi{bus}-1cs");
        let command = format!("echo {line} | sudo tee -a {file}");
        let name = line.trim_start_matches("dtoverlay=");
        return raspberry_pi(machine, about(node), &missing, &line, &[name], &command);
    }
    Finding::problem(
        about(node),
        missing,
        "sudo modprobe spidev; or enable the bus by an overlay of this board's device tree",
    )
}

fn no_port(machine: &Machine, port: &str) -> Finding {
    let missing = format!("there is no {port}");
    let of_board = ["/dev/serial0", "/dev/ttyAMA0", "/dev/ttyS0"].contains(&port);
    if machine.is_raspberry_pi() && of_board {
        let (file, text) = machine.boot_file("config.txt");
        if !has_setting(&text, "enable_uart", &["1"]) {
            let what = format!("{missing}: {file} has no line `enable_uart=1`");
            let mend = format!(
                "sudo raspi-config nonint do_serial_hw 0 && sudo reboot    # writes `enable_uart=1` into {file}"
            );
            return Finding::problem(about(port), what, mend);
        }
    }
    let is_port = |name: &String| ["ttyUSB", "ttyACM", "ttyAMA"].iter().any(|start| name.starts_with(start));
    let others: Vec<_> = machine.names("dev").into_iter().filter(is_port).collect();
    let what = if others.is_empty() { missing } else { format!("{missing}; there is {}", others.join(", ")) };
    Finding::problem(about(port), what, "ls -l /dev/serial/by-id    # is it plugged in?")
}

/// Whether the kernel's console or a login is on a port.
fn console(machine: &Machine, port: &str) -> Option<Finding> {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<String> = name(Path::new(port)).into_iter().collect();
    // serial0 is a link to the port that it is.
    names.extend(std::fs::canonicalize(machine.path(port)).ok().and_then(|target| name(&target)));
    let links = machine.names("dev").into_iter().filter(|name| name.starts_with("serial"));
    for link in links {
        let target = std::fs::read_link(machine.path(format!("dev/{link}"))).ok().and_then(|target| name(&target));
        if target.is_some_and(|target| names.contains(&target)) {
            names.push(link);
        }
    }
    let command_line = machine.text("proc/cmdline").unwrap_or_default();
    let consoles = command_line.split_whitespace().filter_map(|word| word.strip_prefix("console="));
    let mut consoles = consoles.map(|console| console.split(',').next().unwrap_or_default());
    if let Some(console) = consoles.find(|console| names.iter().any(|name| name == console)) {
        let (file, _) = machine.boot_file("cmdline.txt");
        let mend = if machine.is_raspberry_pi() {
            format!(
                "sudo raspi-config nonint do_serial_cons 1 && sudo reboot    # takes `console={console}` out of {file}"
            )
        } else {
            format!("take `console={console}` out of the kernel's command line, and reboot")
        };
        return Some(Finding::problem(about(port), format!("the kernel's console is on {port}"), mend));
    }
    let folders = ["etc/systemd/system", "run/systemd/generator", "run/systemd/system"];
    let login = |name: &&String| {
        let unit = format!("getty.target.wants/serial-getty@{name}.service");
        folders.iter().any(|folder| machine.path(folder).join(&unit).symlink_metadata().is_ok())
    };
    let name = names.iter().find(login)?;
    let mend = format!("sudo systemctl disable --now serial-getty@{name}");
    Some(Finding::problem(about(port), format!("a login waits on {port}"), mend))
}

fn has_one_wire(machine: &Machine) -> bool {
    machine.names("sys/bus/w1/devices").iter().any(|name| name.starts_with("w1_bus_master"))
}

fn no_one_wire(machine: &Machine) -> Finding {
    let missing = "there is no 1-Wire bus";
    if machine.is_raspberry_pi() {
        let command = "sudo raspi-config nonint do_onewire 0";
        return raspberry_pi(
            machine,
            "1-wire".to_owned(),
            missing,
            "dtoverlay=w1-gpio",
            &["w1-gpio", "w1-gpio-pi5"],
            command,
        );
    }
    Finding::problem(
        "1-wire",
        missing,
        "sudo modprobe w1-gpio; or enable the bus by an overlay of this board's device tree",
    )
}

/// A PWM chip that is not there.
fn no_pwm(machine: &Machine, chip: &str) -> Option<Finding> {
    if machine.has(format!("sys/class/pwm/{chip}")) {
        return None;
    }
    let others = machine.names("sys/class/pwm");
    let missing = format!("there is no /sys/class/pwm/{chip}");
    if !others.is_empty() {
        let what = format!("{missing}; there is {}", others.join(", "));
        return Some(Finding::problem(chip, what, "ls -l /sys/class/pwm    # and name another `chip`"));
    }
    if machine.is_raspberry_pi() {
        let (file, _) = machine.boot_file("config.txt");
        let (line, names) = ("dtoverlay=pwm-2chan", ["pwm-2chan", "pwm"]);
        let command = format!("echo {line} | sudo tee -a {file}");
        return Some(raspberry_pi(machine, chip.to_owned(), &missing, line, &names, &command));
    }
    Some(Finding::problem(chip, missing, "enable the PWM by an overlay of this board's device tree"))
}

/// What a Raspberry Pi has not enabled: nobody knows whether it is needed.
fn switched_off(machine: &Machine) -> Vec<Finding> {
    if !machine.is_raspberry_pi() {
        return Vec::new();
    }
    let mut all = Vec::new();
    if !machine.has("/dev/i2c-1") {
        all.push(no_i2c(machine, 1));
    }
    if !machine.has("/dev/spidev0.0") {
        all.push(no_spi(machine, 0, "/dev/spidev0.0"));
    }
    if !has_one_wire(machine) {
        all.push(no_one_wire(machine));
    }
    all.into_iter().map(|finding| Finding { level: super::Level::Warning, ..finding }).collect()
}
