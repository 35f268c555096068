//! The pin header of Raspberry Pis: which GPIO is at which pin.
//!
//! From the manufacturer's documentation ("GPIO and the 40-pin header"). Boards with 26 pins have the first 26 of them.
//! The first Model B, of 2012, has other lines at three of its pins: see [`gpio_of_the_first`].

#[rustfmt::skip] // as it is on the board
/// GPIO numbers by the number of the pin, from 1.
const PINS: [Pin; 40] = {
    use Pin::{Five, Gpio, Ground, Three};
    [
        Three, Five, // 1, 2
        Gpio(2), Five, // 3, 4
        Gpio(3), Ground, // 5, 6
        Gpio(4), Gpio(14), // 7, 8
        Ground, Gpio(15), // 9, 10
        Gpio(17), Gpio(18), // 11, 12
        Gpio(27), Ground, // 13, 14
        Gpio(22), Gpio(23), // 15, 16
        Three, Gpio(24), // 17, 18
        Gpio(10), Ground, // 19, 20
        Gpio(9), Gpio(25), // 21, 22
        Gpio(11), Gpio(8), // 23, 24
        Ground, Gpio(7), // 25, 26
        Gpio(0), Gpio(1), // 27, 28
        Gpio(5), Ground, // 29, 30
        Gpio(6), Gpio(12), // 31, 32
        Gpio(13), Ground, // 33, 34
        Gpio(19), Gpio(16), // 35, 36
        Gpio(26), Gpio(20), // 37, 38
        Ground, Gpio(21), // 39, 40
    ]
};

/// Highest GPIO number on the header.
pub const HIGHEST: u32 = 27;

/// What is said of a pin that is not there.
pub(super) const NO_SUCH: &str = "the header has pins 1 to 40";

#[derive(Clone, Copy)]
enum Pin {
    Gpio(u8),
    Three,
    Five,
    Ground,
}

/// The GPIO number at a pin.
///
/// # Errors
/// What is there instead.
pub fn gpio(pin: u8) -> Result<u8, String> {
    match pin.checked_sub(1).and_then(|index| PINS.get(usize::from(index))) {
        Some(Pin::Gpio(gpio)) => Ok(*gpio),
        Some(Pin::Three) => Err(format!("pin {pin} of the header is the 3.3 V supply")),
        Some(Pin::Five) => Err(format!("pin {pin} of the header is the 5 V supply")),
        Some(Pin::Ground) => Err(format!("pin {pin} of the header is ground")),
        None => Err(NO_SUCH.to_owned()),
    }
}

/// The GPIO number at a pin of the first Model B, whose revision code is 0002 or 0003.
///
/// # Errors
/// What is there instead.
pub fn gpio_of_the_first(pin: u8) -> Result<u8, String> {
    match pin {
        3 => Ok(0),
        5 => Ok(1),
        13 => Ok(21),
        27.. => Err("the header of this board has pins 1 to 26".to_owned()),
        _ => gpio(pin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_gpio_is_at_one_pin() {
        let gpios: Vec<_> = (1..=40).filter_map(|pin| gpio(pin).ok()).collect();
        assert_eq!(gpios.len(), 28);
        assert_eq!(gpios.iter().copied().collect::<BTreeSet<_>>(), (0..=27).collect());
        let grounds = (1..=40).filter(|pin| gpio(*pin).is_err_and(|why| why.ends_with("ground"))).collect::<Vec<_>>();
        assert_eq!(grounds, [6, 9, 14, 20, 25, 30, 34, 39]);
    }

    /// As people know them.
    #[test]
    fn well_known_pins() {
        for (pin, number) in [(3, 2), (11, 17), (12, 18), (13, 27), (32, 12), (33, 13), (35, 19), (40, 21)] {
            assert_eq!(gpio(pin), Ok(number));
        }
        assert_eq!((gpio_of_the_first(13), gpio_of_the_first(11)), (Ok(21), Ok(17)));
        assert!(gpio_of_the_first(29).is_err());
        assert_eq!(gpio(1).unwrap_err(), "pin 1 of the header is the 3.3 V supply");
        assert!(gpio(0).is_err() && gpio(41).is_err());
    }
}
