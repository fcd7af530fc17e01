//! The archive that a kernel unpacks as its first root: cpio, "newc", as `Documentation/driver-api/early-userspace` has it.
//!
//! ```text
//!   "070701" · thirteen numbers of eight hexadecimal digits · name\0 · up to four bytes · content · up to four bytes
//!   …
//!   "TRAILER!!!"
//! ```

use std::io::Write;

use super::tree::{Kind, Tree};

/// What the kernel reads in one go.
const ALIGNMENT: usize = 4;

/// The whole tree as one archive.
pub fn archive(tree: &Tree) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, (path, node)) in tree.nodes().enumerate() {
        let empty: &[u8] = &[];
        let (kind, content, device) = match &node.kind {
            Kind::Directory => (0o040_000, empty, (0, 0)),
            Kind::File(content) => (0o100_000, &**content, (0, 0)),
            Kind::Link(target) => (0o120_000, target.as_bytes(), (0, 0)),
            Kind::Device(major, minor) => (0o020_000, empty, (*major, *minor)),
        };
        put(&mut bytes, path, number + 1, kind | node.mode, content, device);
    }
    put(&mut bytes, "TRAILER!!!", 0, 0, &[], (0, 0));
    bytes
}

fn put(bytes: &mut Vec<u8>, name: &str, number: usize, mode: u32, content: &[u8], device: (u32, u32)) {
    let fields = [
        number,
        mode as usize,
        0,
        0,
        1,
        0,
        content.len(),
        0,
        0,
        device.0 as usize,
        device.1 as usize,
        name.len() + 1,
        0,
    ];
    bytes.extend(b"070701");
    for field in fields {
        write!(bytes, "{field:08x}").unwrap_or_else(|e| panic!("memory: {e}"));
    }
    bytes.extend(name.as_bytes());
    bytes.push(0);
    pad(bytes);
    bytes.extend(content);
    pad(bytes);
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}
