//! Arbitrary bytes as what a machine holds: `cargo +nightly fuzz run machine`.
//!
//! The kernel's command line, its table of mounts, fstab, files of variables, the first bytes of a disk, and what services
//! say of themselves. Nothing may crash, and who complains names a line that is there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sexton::machine::{fstab, mount_table, volumes};
use sexton::model::kernel_line::KernelLine;
use sexton::model::{Text, env_file};
use sexton::run::notify;

fuzz_target!(|bytes: &[u8]| {
    let said = notify::parse(bytes);
    assert!(said.len() <= 6, "each thing once");
    let _ = (volumes::probe(bytes), volumes::part_of(bytes, usize::from(bytes.first().copied().unwrap_or(1))));

    let text = String::from_utf8_lossy(bytes);
    let _ = (KernelLine::parse(&text), mount_table::parse(&text));
    let lines = text.lines().count();
    let (entries, broken) = fstab::parse(&text);
    assert!(entries.iter().all(|entry| (1..=lines).contains(&entry.number)));
    assert!(broken.iter().all(|broken| (1..=lines).contains(&broken.number)));
    for entry in &entries {
        let _ = fstab::flags_and_data(entry.options.iter().map(String::as_str));
    }
    if let Ok(variables) = env_file::parse(&text) {
        assert!(variables.iter().all(|(name, _)| !name.is_empty() && !name.contains(['=', '\n'])));
    }
    if let Ok(text) = Text::parse(&text) {
        let _ = text.expand(|_| Some("x"));
    }
});
