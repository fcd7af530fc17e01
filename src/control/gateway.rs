//! The way in for the host of a virtual machine: what it asks goes to the control socket, as far as it may.
//!
//! ```text
//!   the host ── vsock, or a port of virtio ──▶ Gateway ── a call that is allowed ──▶ the control socket
//!            ◀────────── answers ────────────         └── one that is not: PermissionDenied, and no further
//! ```
//!
//! It is a process of its own: whatever a host does costs PID 1 one client. It never waits for one side alone, and
//! holds of each no more than the bounds of [`framing`](super::framing).

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::ops::ControlFlow::{self, Break, Continue};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::MethodError;
use super::framing::{Inbox, OF_A_CLIENT, OF_A_SERVER};
use super::method::Method;
use super::policy::Access;
use super::protocol::{self, Continues, Replies, Reply, Target};
use crate::sys::poll::{Interest, Poller, Readiness, Token};
use crate::sys::{socket, vsock};

/// Connections of the host at a time.
pub const PLACES: usize = 8;

/// How much waits for the host to be read before no more answers are fetched.
const MUCH: usize = 64 * 1024;

/// How many connections are taken in before others have their turn.
const PER_TURN: usize = 32;

/// How long a port has to be left before its host is taken for gone while an answer is awaited. Whether somebody is there is
/// told by another queue than what he says: one who comes right after another has left may be heard before both.
const GRACE: Duration = Duration::from_millis(200);

const DOOR: u8 = 0;
const HOST: u8 = 1;
const SEXTON: u8 = 2;

/// Where the host comes in.
#[derive(Debug)]
pub enum Door {
    /// A listening vsock socket, for this machine alone.
    Vsock {
        /// The socket.
        listener: OwnedFd,
        /// Who may connect: a CID.
        peer: u32,
    },
    /// A port of virtio: one connection that is always there, whether somebody is at its other end or not.
    Port(File),
}

/// What passes through it.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The control socket.
    pub socket: PathBuf,
    /// What the host may do.
    pub access: Access,
}

/// Serves until something fails that is not a matter of one connection.
pub fn serve(door: Door, terms: &Terms) -> io::Error {
    match run(door, terms) {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

fn run(door: Door, terms: &Terms) -> io::Result<std::convert::Infallible> {
    let poller = Poller::new()?;
    let mut places: Vec<Option<Bridge>> = (0..PLACES).map(|_| None).collect();
    let listener = match door {
        Door::Vsock { listener, peer } => {
            poller.add(listener.as_fd(), Token::new(DOOR, 0), Interest::Read)?;
            Some((listener, peer))
        }
        Door::Port(port) => {
            let bridge = Bridge::new(port, Lasts::ForEver);
            poller.add_edge(bridge.host.as_fd(), Token::new(HOST, 0))?;
            if let Some(place) = places.first_mut() {
                *place = Some(bridge);
            }
            None
        }
    };
    let mut ready: Vec<Readiness> = Vec::new();
    loop {
        let is_left = |place: &Option<Bridge>| place.as_ref().is_some_and(|bridge| bridge.left.is_some());
        poller.wait(&mut ready, places.iter().any(is_left).then_some(GRACE))?;
        if let Some(bridge) = places.first_mut().filter(|place| is_left(place)).and_then(Option::as_mut) {
            let _ = bridge.carry(terms, &poller, Token::new(SEXTON, 0)); // A port is never over.
        }
        for token in ready.iter().map(|readiness| readiness.token).filter(|token| token.class() != DOOR) {
            let Some(place) = places.get_mut(token.index() as usize) else { continue };
            let Some(bridge) = place else { continue };
            if bridge.carry(terms, &poller, Token::new(SEXTON, token.index())).is_break() {
                *place = None;
            }
        }
        // Last, so that what was told of a place is not taken for the next connection's.
        if let Some((listener, peer)) = &listener
            && ready.iter().any(|readiness| readiness.token.class() == DOOR)
        {
            welcome(listener, *peer, &mut places, &poller)?;
        }
    }
}

/// Takes in who waits at the door.
fn welcome(listener: &OwnedFd, peer: u32, places: &mut [Option<Bridge>], poller: &Poller) -> io::Result<()> {
    for _ in 0..PER_TURN {
        let (stream, cid) = match vsock::accept(listener.as_fd()) {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // That one is gone; others may wait behind it.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ECONNABORTED | libc::ECONNRESET)) => {
                continue;
            }
            Err(error) => return Err(error),
        };
        let mut bridge = Bridge::new(File::from(stream), Lasts::AsLongAsItsHost);
        // Whoever waits for nothing makes place.
        let free = places.iter().position(Option::is_none);
        let free =
            free.or_else(|| places.iter().position(|place| place.as_ref().is_some_and(Bridge::is_idle)));
        let (false, Some(index)) = (cid != peer, free) else {
            let reason = match cid == peer {
                true => format!("it already has {PLACES} connections"),
                false => format!("only the machine with the CID {peer} is served here, and this is {cid}"),
            };
            bridge.send(&protocol::write_error(&MethodError::Disconnected(reason)));
            let _ = bridge.write_to_host(); // Who cannot be told is gone.
            continue;
        };
        poller.add_edge(bridge.host.as_fd(), Token::new(HOST, u32::try_from(index).unwrap_or(0)))?;
        if let Some(place) = places.get_mut(index) {
            *place = Some(bridge);
        }
    }
    Ok(())
}

/// How long a connection lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lasts {
    /// Until one side ends it.
    AsLongAsItsHost,
    /// It is never closed; who is at its other end may change.
    ForEver,
}

/// Goes on, or is over.
type Flow = ControlFlow<()>;

/// One connection of the host, and the one to sexton that belongs to it.
#[derive(Debug)]
struct Bridge {
    host: File,
    lasts: Lasts,
    sexton: Option<UnixStream>,
    requests: Inbox,
    answers: Inbox,
    to_sexton: Vec<u8>,
    to_host: Vec<u8>,
    /// Calls that sexton has not given its last answer to. Two at most: an `Abandon` overtakes.
    awaited: u8,
    /// What waits behind the call that is being served was looked at.
    looked_ahead: bool,
    /// Since when nobody is at the other end of a port, while an answer is awaited.
    left: Option<Instant>,
    /// Closed as soon as the host has what lies there for it.
    is_ending: bool,
}

impl Bridge {
    fn new(host: File, lasts: Lasts) -> Bridge {
        Bridge {
            host,
            lasts,
            sexton: None,
            requests: Inbox::new(OF_A_CLIENT),
            answers: Inbox::new(OF_A_SERVER),
            to_sexton: Vec::new(),
            to_host: Vec::new(),
            awaited: 0,
            looked_ahead: false,
            left: None,
            is_ending: false,
        }
    }

    fn is_idle(&self) -> bool {
        self.awaited == 0 || self.is_ending
    }

    /// Carries over what can be carried, until neither side has or takes anything more.
    fn carry(&mut self, terms: &Terms, poller: &Poller, token: Token) -> Flow {
        loop {
            let mut moved = self.write_to_host()?;
            if self.is_ending {
                if self.to_host.is_empty() {
                    return Break(());
                }
            } else {
                moved |= self.hear_host()?;
                moved |= self.serve(terms, poller, token);
            }
            moved |= self.write_to_sexton();
            moved |= self.hear_sexton();
            if !moved {
                return Continue(());
            }
        }
    }

    /// The host is gone: of a connection that lasts, what belonged to him is forgotten.
    fn host_is_gone(&mut self) -> ControlFlow<(), bool> {
        match self.lasts {
            Lasts::AsLongAsItsHost => Break(()),
            Lasts::ForEver => {
                let is_waited_for = self.awaited > 0 || !self.to_host.is_empty();
                if is_waited_for && self.left.get_or_insert_with(Instant::now).elapsed() < GRACE {
                    return Continue(false);
                }
                self.left = None;
                self.part_from_sexton();
                self.requests.clear();
                self.to_host.clear();
                Continue(false)
            }
        }
    }

    fn part_from_sexton(&mut self) {
        self.sexton = None;
        self.answers.clear();
        self.to_sexton.clear();
        self.awaited = 0;
        self.looked_ahead = false;
    }

    /// Something ends the connection: the host is told, and heard no more. One that lasts begins anew.
    fn send_away(&mut self, reason: String) {
        self.part_from_sexton();
        self.requests.clear();
        self.send(&protocol::write_error(&MethodError::Disconnected(reason)));
        self.is_ending = self.lasts == Lasts::AsLongAsItsHost;
    }

    fn send(&mut self, message: &[u8]) {
        self.to_host.extend_from_slice(message);
    }

    fn write_to_host(&mut self) -> ControlFlow<(), bool> {
        match write_some(&mut self.host, &mut self.to_host) {
            Ok(moved) => Continue(moved),
            Err(_) => self.host_is_gone(),
        }
    }

    fn hear_host(&mut self) -> ControlFlow<(), bool> {
        let mut chunk = [0; 8 * 1024];
        // Who does not read is not listened to either.
        if self.to_host.len() >= MUCH {
            return Continue(false);
        }
        match self.host.read(&mut chunk) {
            Ok(0) => self.host_is_gone(),
            Ok(length) => {
                self.left = None;
                if let Err(overrun) = self.requests.push(chunk.get(..length).unwrap_or_default()) {
                    self.send_away(overrun.to_string());
                }
                Continue(true)
            }
            Err(error) if is_nothing(&error) => {
                self.left = None;
                Continue(false)
            }
            Err(_) => self.host_is_gone(),
        }
    }

    /// Hands on what the host asks, one call after the other.
    fn serve(&mut self, terms: &Terms, poller: &Poller, token: Token) -> bool {
        let mut moved = false;
        while let Some(message) = self.next_message(terms) {
            moved = true;
            match protocol::read_request(&message) {
                Err(garbled) => self.send_away(garbled.to_string()),
                Ok(request) if terms.access < needed(&request.target) => {
                    if request.replies != Replies::None {
                        self.send(&protocol::write_error(&MethodError::PermissionDenied));
                    }
                }
                Ok(request) => {
                    if let Err(error) = self.meet_sexton(&terms.socket, poller, token) {
                        self.send_away(format!("no sexton answers: {error}"));
                        return moved;
                    }
                    self.awaited += u8::from(request.replies != Replies::None);
                    self.to_sexton.extend_from_slice(&message);
                    self.to_sexton.push(0);
                }
            }
        }
        moved
    }

    /// The next call that can be served now: `Abandon` overtakes the one that is, all others wait for its answer. On a
    /// connection that lasts they do not: there it is one call at a time.
    fn next_message(&mut self, terms: &Terms) -> Option<Vec<u8>> {
        if self.awaited == 0 {
            return self.requests.take();
        }
        if self.awaited > 1 || self.looked_ahead {
            return None;
        }
        let request = protocol::read_request(self.requests.peek()?);
        self.looked_ahead = true;
        let target = request.map(|request| request.target);
        let is_abandon = matches!(target, Ok(Ok(Target::Manager(Method::Abandon))));
        if self.lasts == Lasts::ForEver && !is_abandon {
            // Somebody else has come: whoever left before his answer came is not seen to go.
            self.part_from_sexton();
            self.to_host.clear();
            return self.requests.take();
        }
        (is_abandon && terms.access >= Access::Change).then(|| self.requests.take()).flatten()
    }

    fn meet_sexton(&mut self, path: &Path, poller: &Poller, token: Token) -> io::Result<()> {
        if self.sexton.is_none() {
            let stream = UnixStream::from(socket::connect_unix(path)?);
            poller.add_edge(stream.as_fd(), token)?;
            self.sexton = Some(stream);
        }
        Ok(())
    }

    fn write_to_sexton(&mut self) -> bool {
        let Some(sexton) = &mut self.sexton else { return false };
        // Why it does not take it, it says before it hangs up.
        write_some(sexton, &mut self.to_sexton).unwrap_or(false)
    }

    fn hear_sexton(&mut self) -> bool {
        let mut chunk = [0; 8 * 1024];
        if self.to_host.len() >= MUCH {
            return false;
        }
        let Some(sexton) = &mut self.sexton else { return false };
        match sexton.read(&mut chunk) {
            Ok(length) if length > 0 => {
                let heard = self.answers.push(chunk.get(..length).unwrap_or_default());
                while let Some(message) = self.answers.take() {
                    self.hand_on(&message);
                }
                if let Err(overrun) = heard {
                    self.send_away(overrun.to_string());
                }
                true
            }
            Err(error) if is_nothing(&error) => false,
            Ok(_) | Err(_) => {
                match (self.lasts, self.awaited) {
                    // It has been silent for long, and is met anew with the next call.
                    (Lasts::ForEver, 0) => self.part_from_sexton(),
                    (Lasts::AsLongAsItsHost, 0) => {
                        self.part_from_sexton();
                        self.is_ending = true;
                    }
                    (_, _) => self.send_away("sexton has ended the connection".to_owned()),
                }
                true
            }
        }
    }

    /// An answer, or, where nobody has asked, why sexton hangs up: a connection that lasts is not told that.
    fn hand_on(&mut self, message: &[u8]) {
        if self.awaited == 0 && self.lasts == Lasts::ForEver {
            return;
        }
        if !matches!(protocol::read_reply(message), Ok(Reply::Parameters(_, Continues::Yes))) {
            self.awaited = self.awaited.saturating_sub(1);
            self.looked_ahead = false;
        }
        self.to_host.extend_from_slice(message);
        self.to_host.push(0);
    }
}

/// What a call takes. What is none, or one that nobody knows, sexton answers itself.
fn needed(target: &Result<Target, MethodError>) -> Access {
    match target {
        Ok(Target::Manager(method)) => method.access(),
        Ok(Target::GetInfo | Target::GetInterfaceDescription(_)) | Err(_) => Access::Introduce,
    }
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Writes what the other side takes; has it taken something?
fn write_some(to: &mut impl Write, bytes: &mut Vec<u8>) -> io::Result<bool> {
    if bytes.is_empty() {
        return Ok(false);
    }
    match to.write(bytes) {
        Ok(0) => Ok(false),
        Ok(length) => {
            bytes.drain(..length);
            Ok(true)
        }
        Err(error) if is_nothing(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
