//! `docs/adding-a-driver.md` shows the code as it is.

use crate::tmp117::DRIVER;
use std::fs::read_to_string;
use std::path::Path;

#[test]
fn the_guide_quotes_what_is_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = read_to_string(folder.join("../docs/adding-a-driver.md")).unwrap();
    let files = ["tmp117.rs", "tmp117/sim.rs", "tmp117/tests.rs", "lib.rs"];
    let code = files.map(|file| read_to_string(folder.join("src").join(file)).unwrap()).concat();
    let mut quoted = 0;
    for block in guide.split("```rust\n").skip(1) {
        let block = block.split("```").next().unwrap();
        // A line of … stands for what is left out; what is between such lines is quoted as a whole.
        for passage in block.split("…\n").map(str::trim_end).filter(|passage| !passage.is_empty()) {
            assert!(code.contains(passage.trim_end()), "docs/adding-a-driver.md quotes what is not there:\n{passage}");
            quoted += 1;
        }
    }
    assert!(quoted > 5);
    assert!(guide.contains(DRIVER.example), "docs/adding-a-driver.md shows another stanza than {DRIVER:?} has");
}
