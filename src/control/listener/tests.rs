//! The door when descriptors run out. That is a matter of the whole process, so it is tried in one of its own.

use std::io::Read;
use std::process::Command;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::*;
use crate::control::policy::Policy;
use crate::control::server::Server;

/// Set in the process that has the test to itself.
const ALONE: &str = "SEXTON_TEST_ALONE";

#[test]
fn with_no_descriptor_left_root_is_let_in_by_the_reserve_and_nothing_spins() {
    if std::env::var_os(ALONE).is_some() {
        return without_descriptors();
    }
    let name = "with_no_descriptor_left_root_is_let_in_by_the_reserve_and_nothing_spins";
    let name = format!("control::listener::tests::{name}");
    let mut command = Command::new(std::env::current_exe().unwrap());
    #[allow(clippy::disallowed_methods, reason = "the test process is no PID 1 and has no other waiter")]
    let output = command.args(["--exact", &name]).env(ALONE, "1").output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && words.contains("1 passed"), "{words}");
}

fn without_descriptors() {
    let path = std::env::temp_dir().join(format!("sexton-door-{}", std::process::id()));
    let socket = socket::listen_unix(&path, 0o600).unwrap();
    let mut server = Server::new(socket, 0, Policy::default());
    let poller = Poller::new().unwrap();
    let now = Moment::from_nanos(1_000_000_000_000);
    server.flush(&poller, now);
    let mut clients: Vec<UnixStream> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    let fill: Vec<OwnedFd> = std::iter::from_fn(|| clients[0].try_clone().ok().map(OwnedFd::from)).collect();

    // All three are root's or our own user's: the first takes the reserve, the second finds nothing.
    let mut ready = Vec::new();
    let mut turn = |server: &mut Server, now: Moment| {
        poller.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        for readiness in &ready {
            server.handle(readiness);
        }
        server.flush(&poller, now);
        ready.len()
    };
    assert_eq!(turn(&mut server, now), 1);
    assert_eq!(server.connections(), 1);
    assert_eq!(server.next_deadline(), Some(now + PAUSE));
    assert_eq!(turn(&mut server, now), 0, "the listener is not watched for as long as it can do nothing");

    // It is tried again after the pause, without a descriptor as often as need be.
    let later = now + PAUSE;
    turn(&mut server, later);
    assert_eq!(turn(&mut server, later), 1);
    assert_eq!(turn(&mut server, later), 0);
    assert_eq!(server.next_deadline(), Some(later + PAUSE));

    drop(fill);
    let later = later + PAUSE;
    turn(&mut server, later);
    assert_eq!(turn(&mut server, later), 1);
    for client in &mut clients {
        client.set_nonblocking(true).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
    assert_eq!(server.connections(), 3);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn only_what_passes_by_itself_is_waited_for_without_a_pause() {
    assert_eq!(after_error(Some(libc::EAGAIN)), AfterError::Wait);
    assert_eq!(after_error(Some(libc::ECONNABORTED)), AfterError::Next);
    for errno in [libc::EMFILE, libc::ENFILE] {
        assert_eq!(after_error(Some(errno)), AfterError::MakeRoom);
    }
    for errno in [Some(libc::ENOMEM), Some(libc::ENOBUFS), Some(libc::EPERM), None] {
        assert_eq!(after_error(errno), AfterError::Pause);
    }
}
