//! The control socket inside PID 1: it never blocks, never panics and never holds more than its limits.
//!
//! One turn of the event loop:
//!
//! ```text
//!   handle(readiness)     for each descriptor of the server's class that is ready: accept, read, write
//!   next_call()           until there is none; each is answered by reply() or error(), at once or much later
//!   flush(poller, now)    last, before the wait: writes, closes what is over, tells the poller what to wait for
//!   next_deadline()       how long the wait may be
//! ```
//!
//! An answer makes room for the next call of the same client, so `next_call` comes after everything that may
//! answer. A token bears the generation of its connection: what the poller still reports of one that is closed
//! reaches nobody.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use serde::Serialize;
use serde_json::{Value, json};

use super::connection::{Connection, Life, Serving};
use super::description;
use super::error::MethodError;
use super::listener::Listener;
use super::method::Method;
use super::policy::{Access, Peer, Policy};
use super::protocol::{self, Continues, Garbled, Replies, Request, Target};
use super::wire::UnitEvent;
use crate::model::Moment;
use crate::sys::poll::{Poller, Readiness, Token};
use crate::sys::socket;

/// How many clients at once: people, scripts and a monitoring agent come to a handful.
const CONNECTIONS: usize = 64;

/// Places among them that only root and sexton's own user get, so that nobody can lock them out.
const RESERVED: usize = 4;

/// What may lie unread for all clients together. It is what a few complete lists of 10,000 units take; when there
/// is more, whoever lets most lie is given up.
const OUTPUT_LIMIT: usize = 32 * 1024 * 1024;

/// How many are accepted before others have their turn.
const ACCEPTS_PER_TURN: usize = 16;

/// The place in a token that stands for the listener.
const LISTENER: usize = 0xff;

/// A connection, as `run` names it. One that is closed is never meant by another's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u32);

impl ConnectionId {
    const fn new(place: usize, generation: u32) -> ConnectionId {
        ConnectionId(generation << 8 | (place as u32 & 0xff))
    }

    const fn place(self) -> usize {
        (self.0 & 0xff) as usize
    }
}

/// A call that is to be answered with [`Server::reply`] or [`Server::error`], whatever it wants to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Whose.
    pub connection: ConnectionId,
    /// What.
    pub method: Method,
    /// How many answers it wants. What is said to one that wants none is dropped by the server.
    pub replies: Replies,
    /// Who calls.
    pub peer: Peer,
}

/// What became of somebody who waited for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// The client went away.
    Gone(ConnectionId),
    /// It called `Abandon`, and still waits.
    Abandoned(ConnectionId),
}

/// A place for a connection.
#[derive(Debug)]
struct Slot {
    /// Counts the connections that had this place; 24 bits of it are in the id.
    generation: u32,
    connection: Option<Box<Connection>>,
}

/// The server.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    class: u8,
    policy: Policy,
    own_uid: u32,
    slots: Vec<Slot>,
    /// The place after which the next call is looked for, so that all get their turn.
    turn: usize,
    cancelled: Vec<Cancelled>,
}

impl Server {
    /// A server for `listener`, a stream socket that does not block. Its tokens have this class. The first
    /// [`flush`](Server::flush) gives the listener to the poller.
    pub fn new(listener: OwnedFd, class: u8, policy: Policy) -> Server {
        Server {
            listener: Listener::new(listener),
            class,
            policy,
            own_uid: nix::unistd::geteuid().as_raw(),
            slots: Vec::new(),
            turn: 0,
            cancelled: Vec::new(),
        }
    }

    /// Does what the poller says can be done.
    pub fn handle(&mut self, readiness: &Readiness) {
        let id = ConnectionId(readiness.token.index());
        if id.place() == LISTENER {
            for _ in 0..ACCEPTS_PER_TURN {
                match self.listener.accept() {
                    Some(stream) => self.welcome(stream),
                    None => break,
                }
            }
            return;
        }
        let Some(connection) = self.connection(id) else { return };
        if readiness.readable {
            connection.receive();
        }
        if readiness.writable {
            connection.transmit();
        }
        if readiness.hung_up {
            connection.life = Life::Gone;
        }
    }

    /// The next call that can be served. What `org.varlink.service` answers, and what is refused, never comes
    /// here. `Events` comes, and needs no answer: its client is among the [`subscribers`](Server::subscribers).
    pub fn next_call(&mut self) -> Option<Call> {
        for _ in 0..self.slots.len() {
            self.turn = (self.turn + 1) % self.slots.len();
            if let Some(call) = self.next_call_at(self.turn) {
                return Some(call);
            }
        }
        None
    }

    fn next_call_at(&mut self, place: usize) -> Option<Call> {
        loop {
            self.cancel_if_gone(place);
            let slot = self.slots.get_mut(place)?;
            let connection = slot.connection.as_deref_mut()?;
            let id = ConnectionId::new(place, slot.generation);
            if connection.take_abandon() {
                self.cancelled.push(Cancelled::Abandoned(id));
            }
            let message = connection.next_message()?;
            match protocol::read_request(&message) {
                Err(garbled) => send_away(connection, &garbled),
                Ok(Request { replies, .. }) if connection.life == Life::Gone && replies != Replies::None => {}
                Ok(Request { target, replies }) => match serve(connection, target, replies) {
                    Ok(None) => {}
                    Ok(Some(method)) => {
                        return Some(Call { connection: id, method, replies, peer: connection.peer });
                    }
                    Err(_) if replies == Replies::None => {} // A oneway call is not told even that.
                    Err(error) => connection.send(protocol::write_error(&error)),
                },
            }
        }
    }

    /// Answers the call of this connection. `parameters` must become a JSON object. An answer to a client that
    /// has gone is dropped.
    pub fn reply<T: Serialize>(&mut self, id: ConnectionId, parameters: &T) {
        if self.wants_reply(id) {
            self.answer(id, protocol::write_reply(parameters, Continues::No));
        }
        self.served(id);
    }

    /// Tells who called with `more` how its call gets on. It misses what it does not read in time, or what finds no
    /// room beside everything else that lies unread.
    pub fn inform<T: Serialize>(&mut self, id: ConnectionId, parameters: &T) {
        let is_full = self.unread() >= OUTPUT_LIMIT;
        let Some(connection) = self.connection(id).filter(|_| !is_full) else { return };
        if connection.serving == Serving::Call(Replies::Many) {
            connection.inform(protocol::write_reply(parameters, Continues::Yes));
        }
    }

    /// Answers the call of this connection with an error.
    pub fn error(&mut self, id: ConnectionId, error: &MethodError) {
        if self.wants_reply(id) {
            self.answer(id, protocol::write_error(error));
        }
        self.served(id);
    }

    /// Sends an event to a subscriber, who is given up when too much lies unread already.
    pub fn stream(&mut self, id: ConnectionId, event: &UnitEvent) {
        if self.connection(id).is_some_and(|connection| connection.serving == Serving::Events) {
            self.send(id, protocol::write_reply(event, Continues::Yes));
        }
    }

    /// Who called `Events`.
    pub fn subscribers(&self) -> Vec<ConnectionId> {
        let serves_events = |slot: &Slot| {
            slot.connection.as_ref().is_some_and(|connection| connection.serving == Serving::Events)
        };
        (0..).zip(&self.slots).filter(|(_, slot)| serves_events(slot)).map(id_of).collect()
    }

    /// Who went away or called `Abandon` before its call was answered, since this was last asked. It is to be asked in
    /// each turn of the loop.
    pub fn cancelled(&mut self) -> Vec<Cancelled> {
        std::mem::take(&mut self.cancelled)
    }

    /// Writes what lies ready, closes what is over or has used up its time, and tells the poller what to wait for.
    /// It comes last in each turn of the loop, and once before the first wait.
    pub fn flush(&mut self, poller: &Poller, now: Moment) {
        self.listener.resume(poller, Token::new(self.class, LISTENER as u32), now);
        for place in 0..self.slots.len() {
            self.flush_at(place, poller, now);
        }
    }

    fn flush_at(&mut self, place: usize, poller: &Poller, now: Moment) {
        let class = self.class;
        let Some(slot) = self.slots.get_mut(place) else { return };
        let Some(connection) = slot.connection.as_deref_mut() else { return };
        connection.transmit();
        connection.note_time(now);
        if connection.life != Life::Gone && connection.deadline().is_some_and(|deadline| deadline <= now) {
            connection.give_up();
        }
        let token = Token::new(class, ConnectionId::new(place, slot.generation).0);
        watch(connection, poller, token);
        let finished = connection.is_finished();
        if finished {
            connection.life = Life::Gone;
        }
        self.cancel_if_gone(place);
        if finished {
            self.close(place, poller);
        }
    }

    /// When [`flush`](Server::flush) has something to do even if nothing happens.
    pub fn next_deadline(&self) -> Option<Moment> {
        let connections = self.slots.iter().filter_map(|slot| slot.connection.as_ref()?.deadline());
        connections.chain(self.listener.deadline()).min()
    }

    /// How many clients there are.
    pub fn connections(&self) -> usize {
        self.slots.iter().filter(|slot| slot.connection.is_some()).count()
    }

    fn connection(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(id.place())?;
        if ConnectionId::new(id.place(), slot.generation) == id {
            slot.connection.as_deref_mut()
        } else {
            None
        }
    }

    fn wants_reply(&mut self, id: ConnectionId) -> bool {
        self.connection(id).is_some_and(|connection| match connection.serving {
            Serving::Call(replies) => replies != Replies::None,
            Serving::Events => true,
            Serving::Nothing => false,
        })
    }

    fn served(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connection(id) {
            connection.served();
        }
    }

    fn answer(&mut self, id: ConnectionId, message: Vec<u8>) {
        self.make_room(message.len());
        if let Some(connection) = self.connection(id) {
            connection.answer(message);
        }
    }

    fn send(&mut self, id: ConnectionId, message: Vec<u8>) {
        self.make_room(message.len());
        if let Some(connection) = self.connection(id) {
            connection.send(message);
        }
    }

    /// Gives up whoever lets most lie unread, those with a kept place last, until `length` more bytes fit.
    fn make_room(&mut self, length: usize) {
        loop {
            if length + self.unread() <= OUTPUT_LIMIT {
                return;
            }
            let connections = self.slots.iter_mut().filter_map(|slot| slot.connection.as_deref_mut());
            let guests_first = |c: &&mut Connection| (c.access != Access::Own, c.unread());
            match connections.filter(|c| c.unread() > 0).max_by_key(guests_first) {
                Some(fullest) => fullest.give_up(),
                None => return,
            }
        }
    }

    /// What lies unread for all clients together.
    fn unread(&self) -> usize {
        let connections = self.slots.iter().filter_map(|slot| slot.connection.as_deref());
        connections.map(Connection::unread).sum()
    }

    /// Who may do what of those who connect from now on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    fn welcome(&mut self, stream: UnixStream) {
        if let Ok(peer) = self.peer(&stream) {
            self.admit(stream, peer);
        }
        self.listener.restore_reserve();
    }

    fn peer(&self, stream: &UnixStream) -> std::io::Result<Peer> {
        let credentials = socket::peer_credentials(stream.as_fd())?;
        let in_group = match self.policy.group {
            None => false,
            Some(group) if group == credentials.gid => true,
            // A kernel before 4.13 cannot tell; then only the peer's own group counts.
            Some(group) => socket::peer_groups(stream.as_fd()).is_ok_and(|groups| groups.contains(&group)),
        };
        Ok(Peer { pid: credentials.pid, uid: credentials.uid, in_group })
    }

    fn admit(&mut self, stream: UnixStream, peer: Peer) {
        let access = self.policy.access(&peer, self.own_uid);
        let (room, room_for_others) = (CONNECTIONS, CONNECTIONS - RESERVED);
        let mut connection = Connection::new(stream, peer, access);
        if self.staying() >= if access == Access::Own { room } else { room_for_others } {
            self.displace_idle(access);
        }
        let taken = self.staying();
        let full = match access {
            Access::Own if taken >= room => Some(format!("it already has {room} connections")),
            Access::Own => None,
            _ if taken >= room_for_others => Some(format!("it already has {room_for_others} connections")),
            _ if !self.listener.has_reserve() => Some("it has no descriptor left".to_owned()),
            _ => None,
        };
        if let Some(reason) = full {
            connection.send_away(reason);
            connection.transmit();
            return;
        }
        let connection = Some(Box::new(connection));
        match self.slots.iter_mut().find(|slot| slot.connection.is_none()) {
            Some(slot) => slot.connection = connection,
            None => self.slots.push(Slot { generation: 0, connection }),
        }
    }

    /// Clients that were not given up in this turn.
    fn staying(&self) -> usize {
        let connections = self.slots.iter().filter_map(|slot| slot.connection.as_deref());
        connections.filter(|connection| connection.life != Life::Gone).count()
    }

    /// Gives up the client that has asked nothing for the longest time, so that who only holds a connection
    /// cannot keep out who has a question. Nobody without a kept place takes the place of one who has one.
    fn displace_idle(&mut self, newcomer: Access) {
        let connections = self.slots.iter_mut().filter_map(|slot| slot.connection.as_deref_mut());
        let idle = connections.filter(|connection| {
            connection.is_idle() && (newcomer == Access::Own || connection.access != Access::Own)
        });
        let guests_first = |connection: &&mut Connection| {
            (
                connection.access == Access::Own,
                connection.last_progress().is_none(),
                connection.last_progress(),
            )
        };
        if let Some(connection) = idle.min_by_key(guests_first) {
            connection.give_up();
        }
    }

    /// Who is gone waits for nothing any more, whatever is still to be done for it.
    fn cancel_if_gone(&mut self, place: usize) {
        let Some(slot) = self.slots.get_mut(place) else { return };
        let Some(connection) = slot.connection.as_deref_mut().filter(|c| c.life == Life::Gone) else {
            return;
        };
        if matches!(connection.serving, Serving::Call(Replies::One | Replies::Many)) {
            self.cancelled.push(Cancelled::Gone(ConnectionId::new(place, slot.generation)));
        }
        connection.serving = Serving::Nothing;
    }

    fn close(&mut self, place: usize, poller: &Poller) {
        let Some(slot) = self.slots.get_mut(place) else { return };
        let Some(connection) = slot.connection.take() else { return };
        slot.generation = slot.generation.wrapping_add(1);
        if connection.registered.is_some() {
            let _ = poller.remove(connection.stream.as_fd()); // Closing it removes it too.
        }
        drop(connection);
        self.listener.restore_reserve();
    }
}

/// Decides what becomes of a request: a call for `run`, or nothing more.
fn serve(
    connection: &mut Connection,
    target: Result<Target, MethodError>,
    replies: Replies,
) -> Result<Option<Method>, MethodError> {
    let answer = match target? {
        Target::GetInfo => json!({
            "vendor": "sexton",
            "product": "sexton",
            "version": env!("CARGO_PKG_VERSION"),
            "url": env!("CARGO_PKG_REPOSITORY"),
            "interfaces": description::INTERFACES.map(|(name, _)| name),
        }),
        Target::GetInterfaceDescription(interface) => match description::of(&interface) {
            Some(description) => json!({ "description": description }),
            None => return Err(MethodError::InterfaceNotFound(interface)),
        },
        Target::Manager(method) => {
            if connection.access < method.access() {
                return Err(MethodError::PermissionDenied);
            }
            connection.serving = match (&method, replies) {
                (Method::Events, Replies::Many) => Serving::Events,
                (Method::Events, Replies::One | Replies::None) => return Err(MethodError::ExpectedMore),
                // One that comes in its turn has nothing before it that it could give up.
                (Method::Abandon, replies) => return Ok(answer_at_once(connection, replies, &json!({}))),
                (_, replies) => Serving::Call(replies),
            };
            return Ok(Some(method));
        }
    };
    Ok(answer_at_once(connection, replies, &answer))
}

/// Answers what needs nobody else; never a call for `run`.
fn answer_at_once(connection: &mut Connection, replies: Replies, answer: &Value) -> Option<Method> {
    if replies != Replies::None {
        connection.send(protocol::write_reply(answer, Continues::No));
    }
    None
}

fn send_away(connection: &mut Connection, garbled: &Garbled) {
    connection.send_away(garbled.to_string());
}

fn id_of((place, slot): (usize, &Slot)) -> ConnectionId {
    ConnectionId::new(place, slot.generation)
}

/// Tells the poller what is waited for, where that has changed. What cannot be watched is given up.
fn watch(connection: &mut Connection, poller: &Poller, token: Token) {
    let wanted = connection.interest();
    if wanted == connection.registered {
        return;
    }
    let fd = connection.stream.as_fd();
    let outcome = match (connection.registered, wanted) {
        (_, None) => poller.remove(fd),
        (None, Some(interest)) => poller.add(fd, token, interest),
        (Some(_), Some(interest)) => poller.modify(fd, token, interest),
    };
    connection.registered = wanted;
    if outcome.is_err() {
        connection.registered = None;
        connection.give_up();
    }
}

#[cfg(test)]
mod tests;
