//! The checksum that many parts on I2C send behind what they measure.

/// CRC-8 with polynomial 0x31 (x⁸ + x⁵ + x⁴ + 1), from `start` on, nothing reflected or inverted.
pub fn crc8(start: u8, bytes: &[u8]) -> u8 {
    bytes.iter().fold(start, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { (crc << 1) ^ 0x31 })
    })
}
