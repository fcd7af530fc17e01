//! The client against a listener that a test plays.

use super::*;
use crate::control::wire::{ManagerStatus, UnitEvent, Units};
use std::os::unix::net::UnixListener;

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("sexton-client-{name}-{}", std::process::id()))
}

/// A client whose server says `said` and then nothing more, or hangs up.
fn client_that_hears(said: &[u8], then: Then) -> (Client, Option<UnixStream>) {
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(said).unwrap();
    let client = Client { stream: near, inbox: Inbox::new(OF_A_SERVER), timeout: None };
    (client, (then == Then::Silence).then_some(far))
}

#[derive(PartialEq)]
enum Then {
    Silence,
    HangUp,
}

#[test]
fn an_answer_becomes_what_the_method_answers() {
    let (mut client, server) = client_that_hears(b"{\"parameters\":{\"pid\":1}}\0", Then::Silence);
    let status: ManagerStatus = client.call(&Method::Status).unwrap();
    assert_eq!(status.pid, 1);
    let mut heard = [0; 100];
    let length = server.unwrap().read(&mut heard).unwrap();
    assert_eq!(&heard[..length], b"{\"method\":\"sexton.Manager.Status\",\"parameters\":{}}\0");
}

#[test]
fn a_stream_ends_with_the_answer_that_does_not_continue() {
    let said = b"{\"parameters\":{\"unit\":\"a\"},\"continues\":true}\0{\"parameters\":{\"unit\":\"b\"}}\0";
    let (mut client, _server) = client_that_hears(said, Then::Silence);
    let units: Vec<String> =
        client.stream::<UnitEvent>(&Method::Events).unwrap().map(|event| event.unwrap().unit).collect();
    assert_eq!(units, ["a", "b"]);
}

#[test]
fn a_stream_whose_server_goes_away_says_so_once() {
    let said = b"{\"parameters\":{\"unit\":\"a\"},\"continues\":true}\0";
    let (mut client, server) = client_that_hears(said, Then::Silence);
    let mut events = client.stream::<UnitEvent>(&Method::Events).unwrap();
    assert!(events.next().unwrap().is_ok());
    drop(server);
    assert!(matches!(events.next(), Some(Err(CallError::HungUp))));
    assert!(events.next().is_none());
}

#[test]
fn errors_come_as_what_they_are() {
    let known =
        b"{\"error\":\"sexton.Manager.NoSuchUnit\",\"parameters\":{\"name\":\"wbe\",\"nearest\":\"web\"}}\0";
    let (mut client, _server) = client_that_hears(known, Then::Silence);
    let error = client.call::<Units>(&Method::List { units: None }).unwrap_err();
    assert_eq!(error.to_string(), "there is no unit 'wbe'; did you mean 'web'?");
    let unknown = b"{\"error\":\"sexton.Manager.FromTheFuture\",\"parameters\":{\"x\":1}}\0";
    let (mut client, _server) = client_that_hears(unknown, Then::Silence);
    let error = client.call::<Units>(&Method::List { units: None }).unwrap_err();
    assert_eq!(error.to_string(), "sexton answered sexton.Manager.FromTheFuture {\"x\":1}");
}

#[test]
fn last_words_are_heard_even_when_the_call_could_not_be_written() {
    let said = b"{\"error\":\"sexton.Manager.Disconnected\",\"parameters\":{\"reason\":\"it is full\"}}\0";
    let (mut client, _) = client_that_hears(said, Then::HangUp);
    let error = client.call::<ManagerStatus>(&Method::Status).unwrap_err();
    assert_eq!(error.to_string(), "sexton closed the connection: it is full");
}

#[test]
fn a_server_that_hangs_up_or_does_not_answer_or_answers_nonsense_is_an_error_each() {
    let status = |client: &mut Client| client.call::<ManagerStatus>(&Method::Status).unwrap_err().to_string();
    let (mut client, _) = client_that_hears(b"", Then::HangUp);
    assert_eq!(status(&mut client), "sexton ended the connection before it answered");
    let (mut client, _server) = client_that_hears(b"", Then::Silence);
    client.set_timeout(Duration::from_millis(20));
    assert_eq!(status(&mut client), "sexton did not answer within 20 ms");
    client.set_timeout(Duration::ZERO);
    assert_eq!(status(&mut client), "sexton did not answer within 0 ms");
    let (mut client, _server) = client_that_hears(b"220 mail ESMTP\0", Then::Silence);
    assert!(status(&mut client).starts_with("cannot understand sexton's answer: a message is not JSON"));
    let (mut client, _server) = client_that_hears(b"{\"parameters\":{\"pid\":\"one\"}}\0", Then::Silence);
    assert!(status(&mut client).starts_with("cannot understand sexton's answer: invalid type"));
    let error = CallError::Io(io::Error::from_raw_os_error(libc::EIO)).to_string();
    assert!(error.starts_with("cannot talk to sexton: "), "{error}");
}

#[test]
fn what_stands_in_the_way_of_a_connection_is_said_in_words() {
    let path = scratch("connect");
    let error = |path: &Path| Client::connect(path).unwrap_err();
    let missing = error(&path);
    let words = format!("no sexton is running here ('{}' does not exist)", path.display());
    assert_eq!((missing.cause.clone(), missing.to_string()), (Cause::Missing, words));
    drop(UnixListener::bind(&path).unwrap());
    let words = format!("no sexton is running here (nobody listens on '{}')", path.display());
    assert_eq!((error(&path).cause, error(&path).to_string()), (Cause::Refused, words));
    std::fs::remove_file(&path).unwrap();
    let denied =
        ConnectError { path: "/s".into(), cause: Cause::of(&io::ErrorKind::PermissionDenied.into()) };
    assert_eq!(denied.to_string(), "cannot connect to '/s': permission denied; try it as root");
    let long = error(Path::new(&format!("/tmp/{}", "x".repeat(200))));
    assert!(
        matches!(long.cause, Cause::Other(_)) && long.to_string().starts_with("cannot connect to '/tmp/x")
    );
}
