//! Messages over real sockets, from this process and from others.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use super::*;
use crate::sys::handover::send_with_fds;

const CLASS: u8 = 6;

struct House {
    sockets: NotifySockets,
    poller: Poller,
    run_directory: PathBuf,
}

impl House {
    fn new(name: &str) -> House {
        let run_directory = std::env::temp_dir().join(format!("sexton-notify-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&run_directory); // Left by a run that failed.
        std::fs::create_dir(&run_directory).unwrap();
        let sockets = NotifySockets::new(&run_directory, CLASS);
        House { sockets, poller: Poller::new().unwrap(), run_directory }
    }

    fn open(&mut self, unit: usize) -> UnixDatagram {
        self.open_for(unit, None)
    }

    fn open_for(&mut self, unit: usize, owner: Option<u32>) -> UnixDatagram {
        let value = self.sockets.open(UnitId::from_index(unit), owner, &self.poller).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        match value.strip_prefix('@') {
            Some(name) => {
                sender.connect_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
            }
            None => sender.connect(value).unwrap(),
        }
        sender
    }

    /// One turn of the loop.
    fn turn(&mut self, belongs: &dyn Fn(UnitId, Pid) -> bool) -> Vec<(UnitId, Notification)> {
        let mut ready = Vec::new();
        let mut out = Vec::new();
        self.poller.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        ready.iter().for_each(|ready| self.sockets.handle(ready, belongs, &mut out));
        out
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.run_directory); // A test's own directory.
    }
}

fn me() -> Pid {
    Pid::new(i32::try_from(std::process::id()).unwrap()).unwrap()
}

fn mine(_: UnitId, pid: Pid) -> bool {
    pid == me()
}

#[test]
fn what_is_said_on_a_units_socket_is_said_of_that_unit() {
    let mut house = House::new("whose");
    let (first, second) = (house.open(3), house.open(4));
    first.send(b"READY=1").unwrap();
    second.send(b"STATUS=busy").unwrap();
    let mut said = house.turn(&mine);
    said.sort_by_key(|(unit, _)| *unit);
    let unit = UnitId::from_index;
    assert_eq!(said, [(unit(3), Notification::Ready), (unit(4), Notification::Status("busy".into()))]);
    assert_eq!(house.turn(&mine), []);
}

#[test]
fn only_the_units_own_processes_are_believed() {
    let mut house = House::new("trust");
    let sender = house.open(0);
    sender.send(b"READY=1").unwrap();
    assert_eq!(house.turn(&|_, _| false), []);
    sender.send(format!("MAINPID=1\nREADY=1\nMAINPID={}", 1).as_bytes()).unwrap();
    assert_eq!(house.turn(&mine), [(UnitId::from_index(0), Notification::Ready)]);
    sender.send(format!("MAINPID={}", me()).as_bytes()).unwrap();
    assert_eq!(house.turn(&mine), [(UnitId::from_index(0), Notification::MainPid(me()))]);
}

/// Says this from a process that is reaped before anybody can look at it.
fn say_and_end(house: &House, unit: usize, message: &str) {
    let path = house.run_directory.join(format!("notify/{unit}"));
    let script = "import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(sys.argv[2].encode(), sys.argv[1])";
    #[allow(clippy::disallowed_methods, reason = "the sender is a child of the test")]
    let ended = std::process::Command::new("python3").args(["-c", script]).arg(path).arg(message).status();
    assert!(ended.unwrap().success(), "python3 sends");
}

#[test]
fn the_user_vouches_for_a_sender_that_is_gone_but_for_no_main_process_and_on_no_open_socket() {
    let mut house = House::new("gone");
    let _sender = house.open(0);
    let nobody = |_: UnitId, _: Pid| false;
    say_and_end(&house, 0, &format!("READY=1\nMAINPID={}", me()));
    assert_eq!(house.turn(&nobody), [(UnitId::from_index(0), Notification::Ready)]);
    assert!(!house.sockets.sockets[&UnitId::from_index(0)].is_of(effective_uid() + 1));
    let socket = house.sockets.sockets.get_mut(&UnitId::from_index(0)).unwrap();
    socket.address = Address::Abstract("anybody's".into());
    say_and_end(&house, 0, "READY=1");
    assert_eq!(house.turn(&nobody), []);
}

#[test]
fn empty_huge_and_broken_messages_harm_nobody() {
    let mut house = House::new("broken");
    let sender = house.open(0);
    let huge = [b"READY=1\n".as_slice(), &vec![b'x'; 64 * 1024]].concat();
    for message in [b"".as_slice(), b"\0\0\0", b"\xff\xfe=\xff", b"=", &huge] {
        sender.send(message).unwrap();
        assert_eq!(house.turn(&mine), [], "{}", message.len());
    }
    sender.send(b"\xff\nREADY=1\n\0").unwrap();
    assert_eq!(house.turn(&mine).len(), 1);
}

#[test]
fn hundreds_of_descriptors_that_come_along_are_closed() {
    let mut house = House::new("descriptors");
    let sender = house.open(0);
    let (mut reader, writer) = io::pipe().unwrap();
    let many = vec![writer.as_fd(); 253];
    for _ in 0..5 {
        send_with_fds(sender.as_fd(), b"READY=1\nFDSTORE=1", &many).unwrap();
        assert_eq!(house.turn(&mine).len(), 1);
    }
    send_with_fds(sender.as_fd(), b"BARRIER=1", &[writer.as_fd()]).unwrap();
    drop(many);
    drop(writer);
    assert_eq!(house.turn(&mine), []);
    // The end of the pipe shows that nobody holds a copy any more; were one left, this would wait for ever.
    assert_eq!(io::Read::read(&mut reader, &mut [0]).unwrap(), 0);
}

#[test]
fn a_flood_is_taken_in_portions_and_ends() {
    let mut house = House::new("flood");
    let sender = house.open(0);
    sender.set_nonblocking(true).unwrap();
    let sent = (0..10_000).take_while(|_| sender.send(b"READY=1").is_ok()).count();
    let mut taken = 0;
    loop {
        let said = house.turn(&mine).len();
        assert!(said <= MAX_MESSAGES);
        if said == 0 {
            break;
        }
        taken += said;
    }
    assert_eq!(taken, sent);
}

#[test]
fn a_restart_hears_nothing_of_the_run_before() {
    let mut house = House::new("stale");
    let sender = house.open(0);
    sender.send(b"READY=1").unwrap();
    let again = house.open(0);
    assert_eq!(house.turn(&mine), []);
    again.send(b"STOPPING=1").unwrap();
    assert_eq!(house.turn(&mine).len(), 1);
}

#[test]
fn the_socket_of_a_user_is_his_own_and_that_of_root_is_for_whoever_its_daemon_becomes() {
    let mut house = House::new("mode");
    let own = nix::unistd::geteuid().as_raw();
    let expected = |user: Option<u32>| if user == Some(0) || user.is_none() { 0o666 } else { 0o600 };
    for (number, owner) in [None, Some(own)].into_iter().enumerate() {
        let _sender = house.open_for(number, owner);
        let path = house.run_directory.join("notify").join(number.to_string());
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            expected(owner),
            "{owner:?}"
        );
    }
    if own == 0 {
        let path = house.run_directory.join("notify/2");
        // Root may send to what is another's.
        let _sender = house.open_for(9, Some(65534));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn the_socket_goes_with_its_unit_and_its_directory_lists_nothing() {
    let mut house = House::new("directory");
    let _sender = house.open(7);
    let path = house.run_directory.join("notify/0");
    assert!(path.exists());
    let directory = std::fs::metadata(house.run_directory.join("notify")).unwrap();
    assert_eq!(directory.permissions().mode() & 0o777, 0o711);
    house.sockets.close_all(&house.poller);
    assert!(!path.exists());
}

#[test]
fn without_a_directory_the_socket_has_an_abstract_name_that_no_other_has() {
    let mut house = House::new("abstract");
    std::fs::write(house.run_directory.join("notify"), "no directory").unwrap();
    let sender = house.open(2);
    sender.send(b"READY=1").unwrap();
    assert_eq!(house.turn(&mine), [(UnitId::from_index(2), Notification::Ready)]);
    assert_eq!(house.turn(&|_, _| false), []);
    let mut other = House::new("abstract-other");
    std::fs::write(other.run_directory.join("notify"), "no directory").unwrap();
    other.sockets.born = house.sockets.born + 1;
    let _second = other.open(2);
}
