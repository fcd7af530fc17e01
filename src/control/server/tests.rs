//! The server against real sockets: one test for each limit, and for each way a client goes away.
//!
//! A Unix socket hands over at once what is written, so a turn of the loop needs no waiting.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use super::super::connection;
use super::*;

mod limits;
mod progress;

const CLASS: u8 = 7;

/// A server, the loop it lives in, and a clock that only the test moves.
struct House {
    server: Server,
    poller: Poller,
    path: PathBuf,
    now: Moment,
    /// What the kernel reported in the last turn.
    woken_by: Vec<Readiness>,
}

impl House {
    fn new(policy: Policy) -> House {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sexton-server-{}-{count}", std::process::id()));
        let server = Server::new(socket::listen_unix(&path, 0o600).unwrap(), CLASS, policy);
        let now = Moment::from_nanos(1_000_000_000_000);
        let mut house = House { server, poller: Poller::new().unwrap(), path, now, woken_by: Vec::new() };
        house.turn();
        house
    }

    /// One turn of the loop, and the calls that it brought.
    fn turn(&mut self) -> Vec<Call> {
        self.wake();
        let calls = std::iter::from_fn(|| self.server.next_call()).collect();
        self.server.flush(&self.poller, self.now);
        calls
    }

    fn wake(&mut self) {
        self.poller.wait(&mut self.woken_by, Some(Duration::ZERO)).unwrap();
        for readiness in &self.woken_by {
            assert_eq!(readiness.token.class(), CLASS);
            self.server.handle(readiness);
        }
    }

    /// Turns that answer every call with its own name, until nothing happens any more.
    fn serve(&mut self) {
        for _ in 0..1000 {
            self.wake();
            while let Some(call) = self.server.next_call() {
                self.server.reply(call.connection, &json!({ "called": call.method.name() }));
            }
            self.server.flush(&self.poller, self.now);
            if self.woken_by.is_empty() {
                return;
            }
        }
        panic!("the loop spins: {:?}", self.woken_by);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.turn();
    }

    fn client(&self) -> Client {
        Client::of(UnixStream::connect(&self.path).unwrap())
    }

    /// A client that was let in as somebody else than who runs the test.
    fn client_as(&mut self, uid: u32) -> Client {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        self.server.admit(near, Peer { pid: None, uid, in_group: false });
        self.turn();
        Client::of(far)
    }

    fn connections(&self) -> usize {
        self.server.connections()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path); // A file too many in the temporary directory does no harm.
    }
}

/// The other end, which never blocks either.
struct Client {
    stream: UnixStream,
    bytes: Vec<u8>,
    closed: bool,
}

impl Client {
    fn of(stream: UnixStream) -> Client {
        stream.set_nonblocking(true).unwrap();
        Client { stream, bytes: Vec::new(), closed: false }
    }

    fn call(&mut self, method: &Method) -> &mut Client {
        self.send(&protocol::write_request(method, Replies::One))
    }

    fn send(&mut self, bytes: &[u8]) -> &mut Client {
        self.stream.write_all(bytes).unwrap();
        self
    }

    /// Everything that has come.
    fn messages(&mut self) -> Vec<Value> {
        let mut chunk = [0; 4096];
        while !self.closed {
            match self.stream.read(&mut chunk) {
                Ok(0) => self.closed = true,
                Ok(length) => self.bytes.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => self.closed = true,
                Err(error) => panic!("{error}"),
            }
        }
        let whole = self.bytes.iter().rposition(|byte| *byte == 0).map_or(0, |last| last + 1);
        let taken: Vec<u8> = self.bytes.drain(..whole).collect();
        taken
            .split(|byte| *byte == 0)
            .filter(|m| !m.is_empty())
            .map(|m| serde_json::from_slice(m).unwrap())
            .collect()
    }

    /// The reason for which it was sent away.
    fn last_words(&mut self) -> String {
        let last = self.messages().pop().unwrap_or_default();
        assert!(self.closed, "still connected: {last}");
        assert_eq!(last["error"], "sexton.Manager.Disconnected");
        last["parameters"]["reason"].as_str().unwrap_or_default().to_owned()
    }
}

fn start() -> Method {
    Method::Start { units: vec!["web".to_owned()], no_wait: false }
}

#[test]
fn a_call_is_handed_on_and_its_answer_brought_back_however_much_later() {
    let mut house = House::new(Policy::default());
    let mut client = house.client();
    client.call(&start());
    let calls = [house.turn(), house.turn()].concat();
    assert_eq!(calls.len(), 1);
    assert_eq!((&calls[0].method, calls[0].replies), (&start(), Replies::One));
    assert_eq!(calls[0].peer.uid, nix::unistd::getuid().as_raw());
    house.pass(Duration::from_secs(3600));
    assert_eq!(client.messages(), Vec::<Value>::new());
    house.server.reply(calls[0].connection, &json!({"outcome": "done"}));
    house.turn();
    assert_eq!(client.messages(), [json!({"parameters": {"outcome": "done"}})]);
    assert!(!client.closed);
}

#[test]
fn the_service_describes_itself() {
    let mut house = House::new(Policy::default());
    let mut client = house.client();
    client.send(b"{\"method\":\"org.varlink.service.GetInfo\"}\0");
    for interface in ["sexton.Manager", "org.varlink.service", "io.example.None"] {
        let parameters = json!({ "interface": interface });
        let call = json!({"method": "org.varlink.service.GetInterfaceDescription", "parameters": parameters});
        client.send(format!("{call}\0").as_bytes());
    }
    house.serve();
    let answers = client.messages();
    assert_eq!(answers[0]["parameters"]["interfaces"], json!(["org.varlink.service", "sexton.Manager"]));
    let text = |n: usize| answers[n]["parameters"]["description"].as_str().unwrap_or_default().to_owned();
    assert!(
        text(1).contains("interface sexton.Manager") && text(2).contains("interface org.varlink.service")
    );
    assert_eq!(answers[3]["error"], "org.varlink.service.InterfaceNotFound");
}

#[test]
fn calls_that_were_sent_ahead_are_answered_one_by_one_in_their_order() {
    let mut house = House::new(Policy::default());
    let mut client = house.client();
    client.call(&start()).call(&Method::Status);
    client.send(b"{\"method\":\"sexton.Manager.Explode\"}\0").call(&Method::List { units: None });
    let calls = [house.turn(), house.turn()].concat();
    assert_eq!(calls.len(), 1, "the second waits for the answer to the first");
    house.server.reply(calls[0].connection, &json!({"called": "Start"}));
    house.serve();
    let answers = client.messages();
    assert_eq!(answers[0]["parameters"]["called"], "Start");
    assert_eq!(answers[1]["parameters"]["called"], "Status");
    assert_eq!(answers[2]["error"], "org.varlink.service.MethodNotFound");
    assert_eq!(answers[3]["parameters"]["called"], "List");
}

#[test]
fn who_wants_no_answer_gets_none_not_even_an_error() {
    let mut house = House::new(Policy::default());
    let mut client = house.client();
    client.send(&protocol::write_request(&start(), Replies::None));
    client.send(b"{\"method\":\"sexton.Manager.Explode\",\"oneway\":true}\0");
    client.send(b"{\"method\":\"org.varlink.service.GetInfo\",\"oneway\":true}\0").call(&Method::Status);
    house.serve();
    assert_eq!(client.messages(), [json!({"parameters": {"called": "Status"}})]);
}

#[test]
fn an_error_is_an_answer() {
    let mut house = House::new(Policy::default());
    let mut client = house.client();
    client.call(&start()).call(&Method::Status);
    let calls = [house.turn(), house.turn()].concat();
    let error = MethodError::NoSuchUnit { name: "web".to_owned(), nearest: None };
    house.server.error(calls[0].connection, &error);
    house.serve();
    assert_eq!(client.messages()[0], json!({"error": error.name(), "parameters": {"name": "web"}}));
}

#[test]
fn events_reach_every_subscriber_and_nobody_else() {
    let mut house = House::new(Policy::default());
    let (mut one, mut two, mut other) = (house.client(), house.client(), house.client());
    one.send(&protocol::write_request(&Method::Events, Replies::Many));
    two.send(&protocol::write_request(&Method::Events, Replies::Many));
    other.call(&Method::Events);
    house.turn();
    house.turn();
    let subscribers = house.server.subscribers();
    assert_eq!(subscribers.len(), 2);
    let event = UnitEvent { unit: "web".to_owned(), ..UnitEvent::default() };
    for id in subscribers {
        house.server.stream(id, &event);
    }
    house.turn();
    for client in [&mut one, &mut two] {
        let answers = client.messages();
        assert_eq!(
            (&answers[0]["continues"], &answers[0]["parameters"]["unit"]),
            (&json!(true), &json!("web"))
        );
    }
    let answers = other.messages();
    assert_eq!((answers.len(), &answers[0]["error"]), (1, &json!("org.varlink.service.ExpectedMore")));
}

#[test]
fn a_client_that_goes_away_cancels_its_call_and_wakes_nobody_again() {
    let mut house = House::new(Policy::default());
    let mut client = house.client();
    client.call(&start());
    let calls = [house.turn(), house.turn()].concat();
    drop(client);
    house.turn();
    assert_eq!(house.server.cancelled(), [Cancelled::Gone(calls[0].connection)]);
    assert_eq!(house.server.cancelled(), []);
    assert_eq!(house.connections(), 0);
    house.turn();
    assert_eq!(house.woken_by, []);
    assert_eq!(house.server.next_deadline(), None);
}

#[test]
fn an_answer_to_a_client_that_is_gone_reaches_nobody_who_has_its_place_now() {
    let mut house = House::new(Policy::default());
    let mut client = house.client();
    client.call(&start());
    let calls = [house.turn(), house.turn()].concat();
    drop(client);
    house.turn();
    let mut next = house.client();
    next.call(&Method::Status);
    house.turn();
    house.turn();
    house.server.reply(calls[0].connection, &json!({"secret": true}));
    house.turn();
    assert_eq!(next.messages(), Vec::<Value>::new());
}

#[test]
fn a_token_of_a_closed_connection_does_nothing_to_the_one_that_has_its_place() {
    let mut house = House::new(Policy::default());
    let client = house.client();
    house.turn();
    drop(client);
    house.turn();
    let stale = house.woken_by[0];
    assert!(stale.hung_up);
    let mut next = house.client();
    house.turn();
    house.server.handle(&stale);
    next.call(&Method::Status);
    house.serve();
    assert_eq!(next.messages().len(), 1);
}

#[test]
fn a_client_that_only_closes_its_sending_side_still_gets_its_answers() {
    let mut house = House::new(Policy::default());
    let mut client = house.client();
    client.call(&start()).call(&Method::Status);
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let calls = [house.turn(), house.turn()].concat();
    house.turn();
    assert_eq!(house.woken_by, [], "the end of its stream is not reported over and over");
    house.server.reply(calls[0].connection, &json!({}));
    house.serve();
    assert_eq!(client.messages().len(), 2);
    assert!(client.closed);
}

#[test]
fn calls_that_want_no_answer_are_served_even_if_their_client_is_gone_and_others_are_not() {
    let mut house = House::new(Policy::default());
    let mut client = house.client();
    client.call(&start());
    client.send(&protocol::write_request(&Method::Reset { units: vec!["a".to_owned()] }, Replies::None));
    client.call(&Method::Status);
    client.send(&protocol::write_request(&Method::Reset { units: vec!["b".to_owned()] }, Replies::None));
    drop(client);
    let calls = [house.turn(), house.turn(), house.turn()].concat();
    let units: Vec<&Method> = calls.iter().map(|call| &call.method).collect();
    let reset = |unit: &str| Method::Reset { units: vec![unit.to_owned()] };
    assert_eq!(units, [&reset("a"), &reset("b")]);
    assert_eq!((house.connections(), house.server.next_deadline()), (0, None));
}

#[test]
fn what_is_not_varlink_is_told_so_and_closed_and_harms_nobody_else() {
    let mut house = House::new(Policy::default());
    let mut honest = house.client();
    for (text, reason) in [
        (&b"GET / HTTP/1.1\r\n\r\n\0"[..], "a message is not JSON: expected value at line 1 column 1"),
        (b"\0", "a message is not JSON: EOF while parsing a value at line 1 column 0"),
        (b"{}\0", "a message has no 'method' of the right type"),
        (b"[[[[[[[[[[[[[[[[[[[[\0", "a message nests deeper than 16"),
    ] {
        let mut client = house.client();
        client.send(text);
        house.serve();
        assert_eq!(client.last_words(), reason);
    }
    honest.call(&Method::Status);
    house.serve();
    assert_eq!(honest.messages().len(), 1);
}

#[test]
fn random_bytes_from_many_clients_leave_the_server_as_it_was() {
    let mut house = House::new(Policy::default());
    let mut state = 0xbad_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % below
    };
    for _ in 0..300 {
        let mut client = house.client();
        let call = protocol::write_request(&Method::Status, Replies::One);
        for _ in 0..random(5) {
            let bytes: Vec<u8> = match random(2) {
                0 => (0..random(50)).map(|_| random(256) as u8).collect(),
                _ => call[..random(call.len() + 1)].to_vec(),
            };
            if client.stream.write_all(&bytes).is_err() {
                break; // It was sent away already.
            }
            house.serve();
        }
    }
    house.serve();
    assert_eq!((house.connections(), house.server.next_deadline()), (0, None));
}

#[test]
fn a_peer_is_what_the_kernel_says() {
    let group = nix::unistd::getgid().as_raw();
    for (wanted, in_group) in [(group, true), (group + 12_345, false)] {
        let house = House::new(Policy { group: Some(wanted), readable_by_all: false });
        let client = house.client();
        let (near, _): (UnixStream, OwnedFd) = (client.stream, socket::connect_unix(&house.path).unwrap());
        let peer = house.server.peer(&near).unwrap();
        assert_eq!(peer.uid, nix::unistd::getuid().as_raw());
        assert_eq!(peer.in_group, in_group);
    }
}
