use super::sim::Strip;
use super::*;
use crate::sim::SpiPart;
use embedded_hal::spi::{ErrorType, Operation};

/// A bus with a strip at its end.
struct Bus {
    strip: Strip,
    broken: bool,
    sent: Vec<u8>,
}

impl ErrorType for Bus {
    type Error = crate::port::PortError;
}

impl SpiDevice for Bus {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Self::Error> {
        if self.broken {
            return Err(Self::Error::new(crate::FaultKind::Bus, "the transfer failed"));
        }
        for operation in operations {
            let Operation::Write(bytes) = operation else { panic!("{operation:?}") };
            self.sent = bytes.to_vec();
            for byte in *bytes {
                self.strip.exchange(*byte);
            }
        }
        Ok(())
    }
}

fn strip(options: Options) -> LedStrip<Bus> {
    let bus = Bus { strip: Strip::new(options.leds.into()), broken: false, sent: Vec::new() };
    LedStrip::new(bus, options)
}

/// The datasheet's times and its "composition of 24bit data": G7 to G0, R7 to R0, B7 to B0. The model goes by them.
#[test]
fn each_led_gets_its_bits_in_time_green_first_and_highest_bit_first() {
    let mut driver = strip(Options { leds: 3, colour: [0x81, 0x40, 0xFF], ..Options::default() });
    driver.apply(&Value::Number(100.0)).unwrap();
    assert_eq!(driver.spi.strip.shown(), [[0x40, 0x81, 0xFF]; 3]);
    assert_eq!(driver.spi.strip.wrong(), 0, "every bit within the times");
    let sent = &driver.spi.sent;
    assert_eq!(sent.len(), 2 * RESET + 3 * 9);
    assert_eq!(sent[RESET..RESET + 3], [0b1001_1010, 0b0100_1001, 0b0010_0100], "0x40: T0, T1, six times T0");
    // 280 µs at 2.4 MHz.
    assert!(sent[sent.len() - RESET..].iter().all(|byte| *byte == 0) && RESET * 8 >= 280 * 24 / 10);
}

#[test]
fn takes_another_order() {
    let mut driver = strip(Options { colour: [1, 2, 3], order: Order::Rgb, ..Options::default() });
    driver.apply(&Value::Number(100.0)).unwrap();
    assert_eq!(driver.spi.strip.shown(), [[1, 2, 3]]);
}

/// CIE: a lightness of 50 % is 18.4 % of the power.
#[test]
fn dims_as_the_eye_sees_and_is_dark_at_0_only() {
    let mut driver = strip(Options { colour: [255, 100, 0], ..Options::default() });
    for (level, shown) in [(50.0, [18, 47, 0]), (0.1, [1, 1, 0]), (0.0, [0, 0, 0])] {
        assert_eq!(driver.apply(&Value::Number(level)).unwrap(), Value::Number(level));
        assert_eq!(driver.spi.strip.shown(), [shown], "{level}");
    }
}

#[test]
fn sends_nothing_before_it_is_told_and_then_again_when_it_is_looked_at() {
    let mut driver = strip(Options::default());
    assert_eq!(driver.read().unwrap(), None);
    assert!(driver.spi.sent.is_empty());
    driver.apply(&Value::Number(100.0)).unwrap();
    driver.spi.strip = Strip::new(1);
    assert_eq!(driver.read().unwrap(), Some(Value::Number(100.0)));
    assert_eq!(driver.spi.strip.shown(), [[255; 3]], "it was without power");
}

#[test]
fn does_not_know_what_it_is_after_a_fault() {
    let mut driver = strip(Options::default());
    driver.apply(&Value::Number(100.0)).unwrap();
    driver.spi.broken = true;
    assert_eq!(driver.apply(&Value::Number(0.0)).unwrap_err().kind, crate::FaultKind::Bus);
    assert_eq!(driver.read().unwrap(), None);
}

#[test]
fn refuses_what_is_no_level() {
    let mut driver = strip(Options::default());
    for value in [Value::Switch(true), Value::Number(100.1), Value::Number(f64::NAN)] {
        assert_eq!(driver.apply(&value).unwrap_err().kind, crate::FaultKind::Rejected, "{value}");
    }
    assert!(driver.spi.sent.is_empty());
}
