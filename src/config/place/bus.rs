//! A device on I2C or SPI: the keys `bus` and `address`.

use crate::config::model::At;
use crate::config::stanza::Stanza;
use halyard_drivers::options::node::quote;
use halyard_drivers::options::{Content, Placed, Problem, read_rest};
use halyard_drivers::{Attachment, Driver};
use serde::Deserialize;

/// The addresses of I2C that are not reserved by its specification.
const ANY_ADDRESS: [u8; 112] = {
    let mut addresses = [0; 112];
    let mut address = 0x08;
    while address <= 0x77 {
        addresses[address as usize - 0x08] = address;
        address += 1;
    }
    addresses
};
/// Addresses that are listed one by one.
const MOST_LISTED: usize = 16;

impl Stanza<'_> {
    /// A device on a bus.
    pub(super) fn bus(&self, driver: &'static Driver, fits: bool, problems: &mut Vec<Problem>) -> Option<Placed<At>> {
        #[derive(Deserialize)]
        struct Keys {
            address: Option<Placed<i64>>,
        }
        let keys: Keys = read_rest(&self.attachment, problems)?;
        let Some(bus) = self.named("bus") else {
            if fits {
                self.missing("bus", problems);
            }
            return None;
        };
        if matches!(bus.content, Content::Unknown) {
            return None;
        }
        let addresses = driver.attachments.iter().find_map(|at| match at {
            Attachment::I2c { addresses } => Some(*addresses),
            Attachment::Described => Some(ANY_ADDRESS.as_slice()),
            _ => None,
        });
        let on_spi = driver.attachments.contains(&Attachment::Spi);
        match (bus.text().and_then(bus_of), addresses) {
            (Some(Bus::I2c(number)), Some(addresses)) => {
                let (address, place) = match keys.address {
                    Some(address) => (check_address(&address, addresses, problems)?, address.place),
                    // What is there but cannot be read was reported.
                    None if self.named("address").is_some() => return None,
                    None => match addresses {
                        [only] => (*only, bus.place),
                        _ => {
                            self.missing("address", problems);
                            return None;
                        }
                    },
                };
                Some(Placed { place, origin: None, value: At::I2c { bus: number, address } })
            }
            (Some(Bus::Spi(number, chip_select)), _) if on_spi => {
                if let Some(address) = keys.address {
                    let message = "`address` is for I2C; on SPI the chip select says which part it is";
                    problems.push(Problem::new(address.place, message));
                }
                Some(Placed { place: bus.place, origin: None, value: At::Spi { bus: number, chip_select } })
            }
            (_, addresses) => {
                let expected = match (addresses.is_some(), on_spi) {
                    (true, true) => "`i2c-N` or `spiB.C`, such as `i2c-1` or `spi0.0`",
                    (true, false) => "`i2c-N`, such as `i2c-1`",
                    _ => "`spiB.C`, such as `spi0.0`",
                };
                let hint = match bus
                    .text()
                    .and_then(|text| text.strip_prefix("/dev/"))
                    .map(|rest| rest.replace("spidev", "spi"))
                {
                    Some(rest) if bus.origin.is_none() => format!("; did you mean {}?", quote(&rest)),
                    _ => String::new(),
                };
                let message = format!("`bus` of {} must be {expected}, not {}{hint}", driver.name, bus.shown());
                problems.push(Problem::new(bus.place, message));
                None
            }
        }
    }
}

enum Bus {
    I2c(u8),
    Spi(u8, u8),
}

fn bus_of(text: &str) -> Option<Bus> {
    let number = |text: &str| {
        let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
        if plain { text.parse::<u8>().ok() } else { None }
    };
    if let Some(rest) = text.strip_prefix("i2c-") {
        return number(rest).map(Bus::I2c);
    }
    let (bus, chip_select) = text.strip_prefix("spi")?.split_once('.')?;
    Some(Bus::Spi(number(bus)?, number(chip_select)?))
}

fn check_address(address: &Placed<i64>, addresses: &[u8], problems: &mut Vec<Problem>) -> Option<u8> {
    let has = |number: i64| addresses.iter().copied().find(|address| i64::from(*address) == number);
    if let Some(address) = has(address.value) {
        return Some(address);
    }
    // 76 where 0x76 was meant.
    let hint = i64::from_str_radix(&address.value.to_string(), 16)
        .ok()
        .and_then(has)
        .map(|near| format!("; did you mean `{near:#04x}`?"))
        .unwrap_or_default();
    let found = if hint.is_empty() && address.value >= 0 {
        format!("{:#04x}", address.value)
    } else {
        address.value.to_string()
    };
    let message = format!("`address` must be {}, not `{found}`{hint}", listed(addresses));
    problems.push(Problem::new(address.place, message));
    None
}

/// `0x44, 0x45 or 0x46`; of many, runs of them: `0x40 to 0x6f`.
pub(super) fn listed(addresses: &[u8]) -> String {
    let code = |address: &u8| format!("`{address:#04x}`");
    let texts: Vec<String> = if addresses.len() > MOST_LISTED {
        let runs = addresses.chunk_by(|one, next| one + 1 == *next);
        runs.map(|run| match run {
            [first, .., last] => format!("{} to {}", code(first), code(last)),
            other => other.iter().map(code).collect(),
        })
        .collect()
    } else {
        addresses.iter().map(code).collect()
    };
    match texts.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        other => other.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_buses() {
        assert!(matches!(bus_of("i2c-1"), Some(Bus::I2c(1))));
        assert!(matches!(bus_of("spi10.2"), Some(Bus::Spi(10, 2))));
        for text in ["", "i2c-", "i2c-01", "i2c-256", "i2c-+1", "i2c1", "spi0", "spi0.", "spi.0", "spi0.0.0", "I2C-1"] {
            assert!(bus_of(text).is_none(), "{text}");
        }
    }
}
