//! What a process may do beyond what its user may: capabilities, by number as the kernel has them.

use std::fmt;

/// Their names as `capabilities(7)` has them, each at its number.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// A set of capabilities.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Capabilities(u64);

/// What bounds a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bound {
    /// It does not start without these.
    pub needed: Capabilities,
    /// It has these where they can be had (written with a leading `-`).
    pub wanted: Capabilities,
}

impl Capabilities {
    /// The set whose bit n is capability n.
    pub const fn from_bits(bits: u64) -> Capabilities {
        Capabilities(bits)
    }

    /// Bit n is capability n.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Is capability n in it?
    pub const fn holds(self, number: u8) -> bool {
        number < 64 && self.0 & 1 << number != 0
    }

    /// Those in either.
    pub const fn and(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 | other.0)
    }

    /// Those in both.
    pub const fn within(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 & other.0)
    }

    /// The numbers of those in it.
    pub fn numbers(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |number| self.holds(*number))
    }

    /// The set with one more, by its name as `capabilities(7)` has it, in whatever case, with or without `CAP_`.
    pub fn with(self, name: &str) -> Option<Capabilities> {
        let lower = name.to_ascii_lowercase();
        let short = lower.strip_prefix("cap_").unwrap_or(&lower);
        let number = NAMES.iter().position(|known| *known == short)?;
        Some(Capabilities(self.0 | 1 << number))
    }

    /// The name of capability n: `net_admin`.
    pub fn name(number: u8) -> String {
        NAMES.get(usize::from(number)).map_or_else(|| number.to_string(), |name| (*name).to_owned())
    }

    /// All names.
    pub fn names() -> Vec<String> {
        NAMES.map(str::to_owned).to_vec()
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.numbers().map(Capabilities::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_has_the_number_and_the_name_of_the_kernel() {
        let set =
            Capabilities::default().with("net_bind_service").and_then(|set| set.with("CAP_CHOWN")).unwrap();
        assert_eq!(set.bits(), 1 << 10 | 1);
        assert_eq!(set.numbers().map(Capabilities::name).collect::<Vec<_>>(), ["chown", "net_bind_service"]);
        assert_eq!(Capabilities::default().with("net_bind"), None);
        assert_eq!(Capabilities::name(63), "63");
        assert!(Capabilities::names().contains(&"checkpoint_restore".to_owned()));
        assert_eq!(format!("{set:?}"), "[\"chown\", \"net_bind_service\"]");
    }
}
