//! The interfaces in Varlink's own words, as `GetInterfaceDescription` gives them to clients that build on them.

use super::method::INTERFACE;
use super::protocol::SERVICE_INTERFACE;

/// Every interface, with its description.
pub const INTERFACES: [(&str, &str); 2] = [
    (SERVICE_INTERFACE, include_str!("org.varlink.service.varlink")),
    (INTERFACE, include_str!("sexton.Manager.varlink")),
];

/// The description of an interface.
pub fn of(interface: &str) -> Option<&'static str> {
    INTERFACES.iter().find(|(name, _)| *name == interface).map(|(_, description)| *description)
}

#[cfg(test)]
mod tests;
