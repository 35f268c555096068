use super::*;

#[test]
fn checksum_of_the_datasheet() {
    // Section 4.4, table 7: CRC(0xBEEF) = 0x92.
    assert_eq!(crc8([0xBE, 0xEF]), 0x92);
}
