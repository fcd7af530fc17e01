//! What `sexton.toml` says of a machine that sexton is the init of: its boot and its network.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

/// How often a machine starts anew because its boot failed, when nothing else is said: often enough for a fault that
/// passes, seldom enough that somebody gets to see one that does not.
pub const BOOT_TRIES: u32 = 3;

/// `[boot]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// By when all that starts at boot has settled; without it nobody waits for that.
    pub timeout: Option<Duration>,
    /// What is done when it has not, or an essential unit failed.
    pub on_failure: OnBootFailure,
    /// How long the hardware watchdog waits before it resets a machine whose init does not turn; without it nobody does.
    pub watchdog: Option<Duration>,
    /// How often in a row a failed boot is answered by another one.
    pub tries: u32,
}

/// What a failed boot is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBootFailure {
    /// A shell on the console.
    Rescue,
    /// Another boot, and a shell once the tries are used up.
    Reboot,
    /// Nothing: what runs is left to run.
    Hold,
    /// The machine is switched off.
    PowerOff,
}

impl OnBootFailure {
    /// The words of `on-failure`, in the order of the variants.
    pub const WORDS: [&'static str; 4] = ["rescue", "reboot", "hold", "poweroff"];
    /// Every answer, as [`OnBootFailure::WORDS`] names them.
    pub const ALL: [OnBootFailure; 4] =
        [OnBootFailure::Rescue, OnBootFailure::Reboot, OnBootFailure::Hold, OnBootFailure::PowerOff];
}

impl Default for Boot {
    fn default() -> Boot {
        Boot { timeout: None, watchdog: None, on_failure: OnBootFailure::Rescue, tries: BOOT_TRIES }
    }
}

/// One `[[network]]`: an interface with what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's name of it.
    pub name: Rc<str>,
    /// Its addresses.
    pub addresses: Vec<Prefix>,
    /// What is reached through it.
    pub routes: Vec<Route>,
    /// The largest packet, where it is said.
    pub mtu: Option<u32>,
    /// How long it is waited for.
    pub wait: Duration,
}

/// An address with the length of its network's part: `10.0.2.15/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The address.
    pub address: IpAddr,
    /// How many of its bits are the network's.
    pub length: u8,
}

/// A route: `default via 10.0.2.2`, `10.9.0.0/16 via 10.0.2.9`, `10.9.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to; everywhere for `default`.
    pub to: Option<Prefix>,
    /// By whom; directly where nobody is named.
    pub via: Option<IpAddr>,
}

impl Prefix {
    /// Reads `ADDRESS/LENGTH`, or an address on its own.
    pub fn parse(text: &str) -> Option<Prefix> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
        };
        (length <= most).then_some(Prefix { address, length })
    }
}

impl Route {
    /// Reads `default via ADDRESS`, `NETWORK via ADDRESS` or `NETWORK`.
    pub fn parse(text: &str) -> Option<Route> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (to, via) = match words.as_slice() {
            [to] => (*to, None),
            [to, "via", via] => (*to, Some(via.parse::<IpAddr>().ok()?)),
            _ => return None,
        };
        let to = if to == "default" { None } else { Some(Prefix::parse(to)?) };
        let is_one_kind = to.zip(via).is_none_or(|(to, via)| to.address.is_ipv4() == via.is_ipv4());
        ((to.is_some() || via.is_some()) && is_one_kind).then_some(Route { to, via })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_length_that_its_kind_can_have() {
        let prefix = |text| Prefix::parse(text).map(|prefix| (prefix.address.to_string(), prefix.length));
        assert_eq!(prefix("10.0.2.15/24"), Some(("10.0.2.15".into(), 24)));
        assert_eq!(prefix("10.0.2.15"), Some(("10.0.2.15".into(), 32)));
        assert_eq!(prefix("fd00::2/64"), Some(("fd00::2".into(), 64)));
        for wrong in ["", "/", "10.0.2/24", "10.0.2.15/33", "::1/129", "10.0.2.15/", "10.0.2.15/+8", "a/8"] {
            assert_eq!(prefix(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_route_says_where_to_or_by_whom() {
        let of = |text| Route::parse(text).map(|route| (route.to.map(|to| to.length), route.via.is_some()));
        assert_eq!(of("default via 10.0.2.2"), Some((None, true)));
        assert_eq!(of("10.9.0.0/16 via 10.0.2.9"), Some((Some(16), true)));
        assert_eq!(of("fd01::/48"), Some((Some(48), false)));
        for wrong in
            ["", "default", "default 10.0.2.2", "10.9.0.0/16 via fd00::1", "x via 10.0.0.1", "a b c d"]
        {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
