//! Which block device has which file system on it: superblocks, and tables of partitions, read by hand.
//!
//! ```text
//!   "UUID=…", "LABEL=…", "PARTUUID=…", "PARTLABEL=…", "/dev/vda1", "98:0"
//!       ──▶ /sys/class/block/* ──▶ the first bytes of each ──▶ probe ──▶ the device that is meant
//! ```
//!
//! What is on a disk may be anything: every read is bounded, and what is no superblock is nothing.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::sys::clock;

/// As much as the last of the superblocks that are known needs.
const HEAD: usize = 0x1_1000;

/// How often a device that is waited for is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// What stands in a superblock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// The kind of file system, as the kernel and `fsck` call it.
    pub kind: &'static str,
    /// Its number, where it has one.
    pub uuid: String,
    /// Its name, where it has one.
    pub label: String,
}

/// Tells what is on a device from its first bytes.
pub fn probe(head: &[u8]) -> Option<Volume> {
    let is = |at: usize, magic: &[u8]| head.get(at..at + magic.len()) == Some(magic);
    let volume = |kind, uuid: Option<usize>, label: Option<(usize, usize)>| Volume {
        kind,
        uuid: uuid.and_then(|at| head.get(at..at + 16)).map(uuid_words).unwrap_or_default(),
        label: label.and_then(|(at, len)| head.get(at..at + len)).map(text).unwrap_or_default(),
    };
    if is(0x438, &[0x53, 0xef]) {
        return Some(volume(ext_kind(head), Some(0x468), Some((0x478, 16))));
    }
    if is(0, b"XFSB") {
        return Some(volume("xfs", Some(32), Some((108, 12))));
    }
    if is(0x1_0040, b"_BHRfS_M") {
        return Some(volume("btrfs", Some(0x1_0020), Some((0x1_012b, 256))));
    }
    if is(4086, b"SWAPSPACE2") {
        return Some(volume("swap", Some(1036), Some((1052, 16))));
    }
    if is(1024, &[0x10, 0x20, 0xf5, 0xf2]) {
        return Some(volume("f2fs", Some(1132), None));
    }
    if is(0, b"hsqs") {
        return Some(volume("squashfs", None, None));
    }
    if is(1024, &[0xe2, 0xe1, 0xf5, 0xe0]) {
        return Some(volume("erofs", Some(1072), Some((1088, 16))));
    }
    if is(0x8001, b"CD001") {
        return Some(volume("iso9660", None, Some((0x8028, 32))));
    }
    fat(head)
}

/// The second bytes of three words of features tell the three apart.
fn ext_kind(head: &[u8]) -> &'static str {
    let word = |at: usize| {
        let bytes = head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    };
    let (compatible, incompatible, read_only) = (word(0x45c), word(0x460), word(0x464));
    // What ext3 does not know either: extents, 64 bits, flexible groups; huge files, checksums, many links.
    if incompatible & !0x16 != 0 || read_only & !0x7 != 0 {
        "ext4"
    } else if compatible & 0x4 != 0 {
        "ext3"
    } else {
        "ext2"
    }
}

fn fat(head: &[u8]) -> Option<Volume> {
    let is = |at: usize, magic: &[u8]| head.get(at..at + magic.len()) == Some(magic);
    if !is(0x1fe, &[0x55, 0xaa]) {
        return None;
    }
    let (serial, label) = match () {
        () if is(0x52, b"FAT32") => (0x43, 0x47),
        () if is(0x36, b"FAT") => (0x27, 0x2b),
        () => return None,
    };
    let [a, b, c, d] = head.get(serial..serial + 4)?.try_into().ok()?;
    let label = text(head.get(label..label + 11)?);
    let label = if label == "NO NAME" { String::new() } else { label };
    Some(Volume { kind: "vfat", uuid: format!("{d:02X}{c:02X}-{b:02X}{a:02X}"), label })
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).trim_end().to_owned()
}

/// `8-4-4-4-12`, as everybody writes it.
fn uuid_words(bytes: &[u8]) -> String {
    let mut words = String::with_capacity(36);
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            words.push('-');
        }
        words.push_str(&format!("{byte:02x}"));
    }
    words
}

/// What is on this device.
pub fn look(device: &Path) -> Option<Volume> {
    let file = File::open(device).ok()?;
    let mut head = vec![0; HEAD];
    let mut got = 0;
    while let Some(rest) = head.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, got as u64) {
            Ok(0) | Err(_) => break,
            Ok(n) => got += n,
        }
    }
    head.truncate(got);
    probe(&head)
}

/// The device that is meant, if it is there.
pub fn find(spec: &str) -> Option<PathBuf> {
    let (key, value) = spec.split_once('=').unwrap_or(("", spec));
    let value = value.trim_matches('"');
    match key {
        "UUID" => {
            search(|device, _| look(device).is_some_and(|volume| volume.uuid.eq_ignore_ascii_case(value)))
        }
        "LABEL" => search(|device, _| look(device).is_some_and(|volume| volume.label == value)),
        "PARTUUID" => search(|_, name| part(name).is_some_and(|part| part.uuid.eq_ignore_ascii_case(value))),
        "PARTLABEL" => search(|_, name| part(name).is_some_and(|part| part.label == value)),
        _ if spec.starts_with('/') => Some(PathBuf::from(spec)).filter(|path| path.exists()),
        _ if spec.split_once(':').is_some_and(|(a, b)| is_number(a) && is_number(b)) => {
            let link = fs::read_link(Path::new("/sys/dev/block").join(spec)).ok()?;
            Some(Path::new("/dev").join(link.file_name()?)).filter(|path| path.exists())
        }
        _ => None,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// As [`find`], for as long as a device may take to turn up.
pub fn await_device(spec: &str, wait: Duration) -> Option<PathBuf> {
    let until = clock::now() + wait;
    loop {
        match find(spec) {
            Some(device) => return Some(device),
            None if until <= clock::now() => return None,
            None => clock::pause(LOOK),
        }
    }
}

/// Is this a device, or something else that a file system has as its source (`tmpfs`, `server:/path`)?
pub fn is_device(spec: &str) -> bool {
    let keys = ["UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "/dev/"];
    keys.iter().any(|key| spec.starts_with(key))
}

fn search(is_meant: impl Fn(&Path, &str) -> bool) -> Option<PathBuf> {
    let mut names: Vec<String> = fs::read_dir("/sys/class/block")
        .ok()?
        .take(4096)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with("ram") && !name.starts_with("fd"))
        .collect();
    names.sort();
    let devices = names.into_iter().map(|name| (Path::new("/dev").join(name.replace('!', "/")), name));
    devices.into_iter().find(|(device, name)| is_meant(device, name)).map(|(device, _)| device)
}

/// What a table of partitions says of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Its number.
    pub uuid: String,
    /// Its name.
    pub label: String,
}

fn part(name: &str) -> Option<Part> {
    let own = Path::new("/sys/class/block").join(name);
    let number: usize = fs::read_to_string(own.join("partition")).ok()?.trim().parse().ok()?;
    let disk = fs::canonicalize(&own).ok()?.parent()?.file_name()?.to_str()?.to_owned();
    let file = File::open(Path::new("/dev").join(disk.replace('!', "/"))).ok()?;
    let mut head = vec![0; 34 * 512];
    file.read_exact_at(&mut head, 0).ok()?;
    part_of(&head, number)
}

/// The entry of a partition, counted from 1, in the first sectors of its disk.
pub fn part_of(head: &[u8], number: usize) -> Option<Part> {
    let index = number.checked_sub(1)?;
    if head.get(512..520) == Some(b"EFI PART") {
        let word = |at: usize| {
            let bytes = head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u32::from_le_bytes) as usize
        };
        let size = word(512 + 84);
        let at = word(512 + 72).checked_mul(512)?.checked_add(index.checked_mul(size)?)?;
        let entry = head.get(at..at.checked_add(128)?)?;
        let name: Vec<u16> =
            entry.get(56..)?.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        let end = name.iter().position(|unit| *unit == 0).unwrap_or(name.len());
        let label = String::from_utf16_lossy(name.get(..end)?);
        return Some(Part { uuid: guid_words(entry.get(16..32)?.try_into().ok()?), label });
    }
    let signature: [u8; 4] = head.get(440..444)?.try_into().ok()?;
    let is_table = head.get(510..512) == Some(&[0x55, 0xaa]);
    let uuid = format!("{:08x}-{number:02x}", u32::from_le_bytes(signature));
    is_table.then_some(Part { uuid, label: String::new() })
}

/// The first three parts of a GUID are stored with their low byte first.
fn guid_words(mut bytes: [u8; 16]) -> String {
    let (first, rest) = bytes.split_at_mut(4);
    first.reverse();
    let (second, rest) = rest.split_at_mut(2);
    second.reverse();
    let (third, _) = rest.split_at_mut(2);
    third.reverse();
    uuid_words(&bytes)
}

#[cfg(test)]
mod tests;
