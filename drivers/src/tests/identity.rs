//! Each part is known by what it says of itself, and no other part is taken for it.

use super::rig::{Rig, model, sensors};
use crate::Attachment;
use crate::identity::{Identity, check};
use crate::port::{Delay, Wire};
use crate::sim::SharedPart;

#[test]
fn each_part_is_known_and_no_other_is_taken_for_it() {
    let mut known = 0;
    for (driver, _, attachment) in sensors().filter(|(driver, ..)| !driver.identity.is_empty()) {
        let Attachment::I2c { addresses } = attachment else { continue };
        for (other, other_spec, other_attachment) in sensors() {
            if !matches!(other_attachment, Attachment::I2c { .. }) {
                continue;
            }
            let rig = Rig::new(attachment, Some(SharedPart::new(model(&*other_spec))));
            let Wire::I2c(mut i2c, address) = rig.wire() else { continue };
            let fits = check(driver.identity, &mut i2c, address, &mut Delay).is_ok();
            assert_eq!(fits, driver.name == other.name, "{} at {addresses:02x?} meets {}", driver.name, other.name);
            known += usize::from(fits);
        }
    }
    assert!(known >= 8, "{known}");
}

/// 0xFE resets parts of another maker: it may only be sent once it is known who is there.
#[test]
fn the_first_question_is_harmless_to_parts_that_share_an_address() {
    for (driver, ..) in sensors() {
        assert_ne!(driver.identity.first().map(Identity::sent), Some(0xFE), "{}", driver.name);
    }
}
