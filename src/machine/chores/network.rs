//! `network`: what `[[network]]` of `sexton.toml` says, over netlink.
//!
//! ```text
//!   wait for the interface ─▶ mtu, up ─▶ each address ─▶ each route           RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE
//! ```
//!
//! See [rtnetlink(7)](https://man7.org/linux/man-pages/man7/rtnetlink.7.html).

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt,
    socket, sockopt::ReceiveTimeout,
};
use nix::sys::time::TimeVal;

use super::Job;
use crate::machine::early::words;
use crate::model::machine::{Interface, Prefix, Route};
use crate::sys::clock;

const NLM_F_ACK_REQUEST: u16 = 0x5;
const NLM_F_CREATE_REPLACE: u16 = 0x500;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const NLMSG_ERROR: u16 = 2;

pub(super) fn act(job: &mut Job<'_>) {
    for interface in &job.settings.network.clone() {
        for what in configure(interface) {
            job.fail(&format!("[[network]] {}: {what}", interface.name));
        }
    }
}

/// What could not be done; the rest is.
fn configure(interface: &Interface) -> Vec<String> {
    let Some(index) = await_interface(interface) else { return vec!["it is not there".to_owned()] };
    let mut talk = match Talk::open() {
        Ok(talk) => talk,
        Err(error) => return vec![format!("cannot talk to the kernel: {}", words(&error))],
    };
    let mut missed = Vec::new();
    let mut ask = |message: Message, wish: &dyn Fn() -> String| {
        if let Err(error) = talk.ask(message) {
            missed.push(format!("cannot {}: {}", wish(), words(&error)));
        }
    };
    ask(link_up(index, interface.mtu), &|| "take it up".to_owned());
    for address in &interface.addresses {
        ask(new_address(index, *address), &|| format!("give it '{}/{}'", address.address, address.length));
    }
    for route in &interface.routes {
        ask(new_route(index, *route), &|| format!("set {}", spoken(*route)));
    }
    missed
}

fn spoken(route: Route) -> String {
    let to = route.to.map_or("default".to_owned(), |to| format!("{}/{}", to.address, to.length));
    route.via.map_or(format!("the route '{to}'"), |via| format!("the route '{to} via {via}'"))
}

fn await_interface(interface: &Interface) -> Option<u32> {
    let until = clock::now() + interface.wait;
    let path = Path::new("/sys/class/net").join(&*interface.name).join("ifindex");
    loop {
        match std::fs::read_to_string(&path) {
            Ok(text) => return text.trim().parse().ok(),
            Err(_) if until <= clock::now() => return None,
            Err(_) => clock::pause(std::time::Duration::from_millis(50)),
        }
    }
}

/// A message: its kind, its flags, and what follows the header.
struct Message {
    kind: u16,
    flags: u16,
    body: Vec<u8>,
}

impl Message {
    fn new(kind: u16, flags: u16, head: &[u8]) -> Message {
        Message { kind, flags: flags | NLM_F_ACK_REQUEST, body: head.to_vec() }
    }

    /// An attribute: length, kind, bytes, and what fills it up to a multiple of four.
    fn with(mut self, kind: u16, bytes: &[u8]) -> Message {
        let length = u16::try_from(bytes.len() + 4).unwrap_or(4);
        self.body.extend(length.to_ne_bytes());
        self.body.extend(kind.to_ne_bytes());
        self.body.extend(bytes);
        self.body.resize(self.body.len().next_multiple_of(4), 0);
        self
    }

    fn encode(&self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.body.len() + 16).unwrap_or(0);
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(self.kind.to_ne_bytes());
        bytes.extend(self.flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(&self.body);
        bytes
    }
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { libc::AF_INET as u8 } else { libc::AF_INET6 as u8 }
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn link_up(index: u32, mtu: Option<u32>) -> Message {
    // struct ifinfomsg: family, pad, type, index, flags, which flags change.
    let up = libc::IFF_UP as u32;
    let mut head = vec![0; 4];
    head.extend(index.to_ne_bytes());
    head.extend(up.to_ne_bytes());
    head.extend(up.to_ne_bytes());
    let message = Message::new(RTM_NEWLINK, 0, &head);
    match mtu {
        Some(mtu) => message.with(4, &mtu.to_ne_bytes()),
        None => message,
    }
}

fn new_address(index: u32, prefix: Prefix) -> Message {
    // struct ifaddrmsg: family, length of the prefix, flags, scope, index.
    let mut head = vec![family(prefix.address), prefix.length, 0, 0];
    head.extend(index.to_ne_bytes());
    let own = bytes(prefix.address);
    let message = Message::new(RTM_NEWADDR, NLM_F_CREATE_REPLACE, &head).with(1, &own).with(2, &own);
    match prefix.address {
        IpAddr::V4(address) if prefix.length < 31 => {
            let hosts = u32::MAX >> prefix.length;
            message.with(4, &(u32::from(address) | hosts).to_be_bytes())
        }
        _ => message,
    }
}

fn new_route(index: u32, route: Route) -> Message {
    let address = route.to.map(|to| to.address).or(route.via).unwrap_or(IpAddr::from([0; 4]));
    let scope = if route.via.is_some() || !address.is_ipv4() { 0 } else { 253 };
    // struct rtmsg: family, lengths of destination and source, tos, table main, protocol static, scope, unicast, flags.
    let length = route.to.map_or(0, |to| to.length);
    let mut head = vec![family(address), length, 0, 0, 254, 4, scope, 1];
    head.extend([0; 4]);
    let mut message = Message::new(RTM_NEWROUTE, NLM_F_CREATE_REPLACE, &head);
    if let Some(to) = route.to {
        message = message.with(1, &network_of(to));
    }
    if let Some(via) = route.via {
        message = message.with(5, &bytes(via));
    }
    message.with(4, &index.to_ne_bytes())
}

/// The address without its host's bits, which the kernel refuses in a route.
fn network_of(prefix: Prefix) -> Vec<u8> {
    let mut all = bytes(prefix.address);
    for (place, byte) in all.iter_mut().enumerate() {
        let kept = usize::from(prefix.length).saturating_sub(place * 8).min(8);
        *byte &= u8::try_from(0xff00_u16 >> kept & 0xff).unwrap_or(0);
    }
    all
}

/// A conversation with the kernel.
struct Talk {
    socket: OwnedFd,
    sequence: u32,
}

impl Talk {
    fn open() -> io::Result<Talk> {
        let kind = (SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute);
        let socket = socket(AddressFamily::Netlink, kind.0, kind.1, kind.2)?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::new(5, 0))?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Talk { socket, sequence: 0 })
    }

    fn ask(&mut self, message: Message) -> io::Result<()> {
        self.sequence += 1;
        send(self.socket.as_raw_fd(), &message.encode(self.sequence), MsgFlags::empty())?;
        let mut answer = [0; 4096];
        loop {
            let length = recv(self.socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
            if let Some(errno) = verdict(answer.get(..length).unwrap_or_default(), self.sequence) {
                return if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) };
            }
        }
    }
}

/// The kernel's answer to a message: 0, or an error number.
fn verdict(answer: &[u8], sequence: u32) -> Option<i32> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let to = u32::from_ne_bytes(answer.get(8..12)?.try_into().ok()?);
    let number = i32::from_ne_bytes(answer.get(16..20)?.try_into().ok()?);
    (kind == NLMSG_ERROR && to == sequence).then_some(number.wrapping_neg())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_as_long_as_it_says_and_its_parts_are_in_fours() {
        let address = Prefix::parse("10.0.2.15/24").unwrap();
        let bytes = new_address(7, address).encode(3);
        assert_eq!(u32::from_ne_bytes(bytes[..4].try_into().unwrap()) as usize, bytes.len());
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(bytes[16..24], [2, 24, 0, 0, 7, 0, 0, 0]);
        // The broadcast address comes last.
        assert_eq!(bytes[bytes.len() - 4..], [10, 0, 2, 255]);
        let odd = Message::new(1, 0, &[]).with(3, b"abc");
        assert_eq!(odd.body.len(), 8);
    }

    #[test]
    fn a_route_names_the_network_without_the_hosts_bits() {
        let network = |text| network_of(Prefix::parse(text).unwrap());
        assert_eq!(network("10.9.8.7/12"), [10, 0, 0, 0]);
        assert_eq!(network("10.9.8.7/32"), [10, 9, 8, 7]);
        assert_eq!(network("fd00:1:2:3::9/48")[..8], [0xfd, 0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(spoken(Route::parse("default via 10.0.2.2").unwrap()), "the route 'default via 10.0.2.2'");
    }

    #[test]
    fn an_answer_that_is_none_is_waited_past() {
        assert_eq!(verdict(&[], 1), None);
        let mut answer = vec![0; 36];
        answer[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        answer[8..12].copy_from_slice(&5_u32.to_ne_bytes());
        answer[16..20].copy_from_slice(&(-17_i32).to_ne_bytes());
        assert_eq!((verdict(&answer, 5), verdict(&answer, 6)), (Some(17), None));
    }
}
