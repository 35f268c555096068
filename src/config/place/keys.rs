//! The keys that say where the parts of a driver are connected, and what they are, in words.

use super::INTERRUPT;
use super::bus::listed;
use halyard_drivers::{Attachment, Driver, KernelClass, Spec};

/// The keys that say where parts of this driver are connected.
pub fn place_keys(driver: &Driver) -> Vec<&'static str> {
    let mut keys = Vec::new();
    for attachment in driver.attachments {
        let more: Vec<&'static str> = match attachment {
            Attachment::I2c { .. } => vec!["bus", "address"],
            Attachment::Spi => vec!["bus"],
            Attachment::InputLine | Attachment::OutputLine => vec!["line", "pin"],
            Attachment::Serial => vec!["port"],
            Attachment::Pwm => vec!["pwm"],
            Attachment::Kernel(KernelClass::System) => vec![],
            Attachment::Kernel(_) => vec!["device"],
            Attachment::Described => vec!["bus", "address"],
            Attachment::Modbus => vec!["port", "host", "address"],
            Attachment::Several(members) => members.iter().map(|member| member.key).collect(),
        };
        for key in more {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    // Where there are inputs there is an interrupt.
    if let Spec::Expander(spec) = (driver.defaults)()
        && spec.offer().inputs
    {
        keys.push(INTERRUPT);
    }
    keys
}

/// Completes "it is …".
pub fn wants(driver: &Driver) -> String {
    let ways: Vec<String> = driver
        .attachments
        .iter()
        .map(|attachment| match attachment {
            Attachment::I2c { addresses } => {
                format!("on I2C, with `bus`, such as `i2c-1`, and `address`, {}", listed(addresses))
            }
            Attachment::Spi => "on SPI, with `bus`, such as `spi0.0`".to_owned(),
            Attachment::InputLine | Attachment::OutputLine => {
                "on a GPIO line, with `line`, such as `GPIO17`".to_owned()
            }
            Attachment::Serial => "on a serial port, with `port`, such as `/dev/ttyAMA0`".to_owned(),
            Attachment::Pwm => "on a PWM channel, with `pwm`, such as `{ chip: pwmchip0, channel: 0 }`".to_owned(),
            Attachment::Kernel(class) => match class {
                KernelClass::OneWire => "on 1-Wire, with `device`, such as `28-00000a1b2c3d`, or without: the only one",
                KernelClass::Iio => "an IIO device of the kernel, with `device`, such as `bme280` or `iio:device0`",
                KernelClass::Hwmon => "an hwmon device of the kernel, with `device`, such as `cpu_thermal` or `hwmon0`",
                KernelClass::System => "the machine itself",
            }
            .to_owned(),
            Attachment::Described => "on I2C, with `bus`, such as `i2c-1`, and `address`".to_owned(),
            Attachment::Modbus => {
                "on Modbus, with `port`, such as `/dev/ttyUSB0`, or `host`, such as `192.0.2.7:502`, and `address`"
                    .to_owned()
            }
            Attachment::Several(members) => {
                let keys: Vec<_> = members
                    .iter()
                    .map(|member| {
                        let optional = if member.required { "" } else { "optional, " };
                        format!("`{}` ({optional}{})", member.key, member.what)
                    })
                    .collect();
                format!("connected by {}", keys.join(", "))
            }
        })
        .collect();
    ways.join(", or ")
}
