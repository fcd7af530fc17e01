//! `reboot --firmware`: asks an EFI firmware to show its setup at the next start.

use std::fs;
use std::io;
use std::path::Path;

/// Where the kernel shows the firmware's variables.
pub const VARIABLES: &str = "/sys/firmware/efi/efivars";

const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// `EFI_OS_INDICATIONS_BOOT_TO_FW_UI`.
const TO_SETUP: u64 = 1;
/// Kept over a start, for the boot and for the system that runs.
const ATTRIBUTES: u32 = 7;

/// Asks for it, where the firmware says that it can be asked.
#[doc(alias = "OsIndications")]
pub fn ask_for_setup(variables: &Path) -> io::Result<()> {
    let path = |name: &str| variables.join(format!("{name}-{GLOBAL}"));
    let value = |name: &str| fs::read(path(name)).map(|bytes| number(&bytes));
    let supported = value("OsIndicationsSupported").map_err(|_| {
        io::Error::other("this machine has no EFI firmware, or its variables are not mounted")
    })?;
    if supported & TO_SETUP == 0 {
        return Err(io::Error::other("this firmware cannot be asked for it"));
    }
    let wished = value("OsIndications").unwrap_or(0) | TO_SETUP;
    let mut bytes = ATTRIBUTES.to_le_bytes().to_vec();
    bytes.extend(wished.to_le_bytes());
    fs::write(path("OsIndications"), bytes)
}

/// Four bytes of attributes come before the value.
fn number(bytes: &[u8]) -> u64 {
    let mut value = [0; 8];
    value.iter_mut().zip(bytes.get(4..).unwrap_or_default()).for_each(|(place, byte)| *place = *byte);
    u64::from_le_bytes(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_firmware_is_asked_only_for_what_it_can_do() {
        let root = std::env::temp_dir().join(format!("sexton-efi-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let path = |name: &str| root.join(format!("{name}-{GLOBAL}"));
        assert!(
            ask_for_setup(&root).unwrap_err().to_string().starts_with("this machine has no EFI firmware")
        );
        fs::write(path("OsIndicationsSupported"), [6, 0, 0, 0, 2]).unwrap();
        assert_eq!(ask_for_setup(&root).unwrap_err().to_string(), "this firmware cannot be asked for it");
        fs::write(path("OsIndicationsSupported"), [6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        ask_for_setup(&root).unwrap();
        assert_eq!(fs::read(path("OsIndications")).unwrap(), [7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        fs::remove_dir_all(root).unwrap();
    }
}
