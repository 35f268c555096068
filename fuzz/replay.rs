//! Feeds a fuzz target with what it was fed with before, and what once made it fail. Tests of two crates share it.

use std::path::Path;

/// Each input in this folder of the corpus, again.
pub fn replay(name: &str, target: fn(&[u8])) {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let folder = above.map(|folder| folder.join("fuzz/corpus")).find(|corpus| corpus.is_dir()).unwrap().join(name);
    let inputs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!inputs.is_empty());
    for input in inputs {
        println!("{}", input.display());
        target(&std::fs::read(input).unwrap());
    }
}
