//! The gateway between two sockets of the test: what comes to sexton, and what to the host.

use super::*;

use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A host, the bridge, and who poses as sexton.
struct Scene {
    host: UnixStream,
    bridge: Bridge,
    door: UnixListener,
    sexton: Option<UnixStream>,
    terms: Terms,
    poller: Poller,
}

impl Scene {
    fn new(access: Access, lasts: Lasts) -> Scene {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sexton-gateway-{}-{number}", std::process::id()));
        let door = UnixListener::bind(&path).unwrap();
        door.set_nonblocking(true).unwrap();
        let (host, far) = UnixStream::pair().unwrap();
        for end in [&host, &far] {
            end.set_nonblocking(true).unwrap();
        }
        Scene {
            host,
            bridge: Bridge::new(File::from(OwnedFd::from(far)), lasts),
            door,
            sexton: None,
            terms: Terms { socket: path, access },
            poller: Poller::new().unwrap(),
        }
    }

    fn carry(&mut self) -> Flow {
        self.bridge.carry(&self.terms, &self.poller, Token::new(SEXTON, 0))
    }

    /// The host says this.
    fn asks(&mut self, messages: &[Value]) -> Flow {
        for message in messages {
            self.host.write_all(format!("{message}\0").as_bytes()).unwrap();
        }
        self.carry()
    }

    /// What has come to sexton.
    fn heard_by_sexton(&mut self) -> Vec<Value> {
        if let Ok((stream, _)) = self.door.accept() {
            stream.set_nonblocking(true).unwrap();
            self.sexton = Some(stream);
        }
        self.sexton.as_mut().map(messages).unwrap_or_default()
    }

    /// sexton says this.
    fn answers(&mut self, message: &Value) -> Flow {
        self.sexton.as_mut().unwrap().write_all(format!("{message}\0").as_bytes()).unwrap();
        self.carry()
    }

    /// What has come to the host.
    fn heard_by_host(&mut self) -> Vec<Value> {
        messages(&mut self.host)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.terms.socket);
    }
}

fn messages(stream: &mut UnixStream) -> Vec<Value> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes); // All that is there; what comes later would block.
    let all = bytes.split(|byte| *byte == 0).filter(|message| !message.is_empty());
    all.map(|message| serde_json::from_slice(message).unwrap()).collect()
}

fn call(method: &str) -> Value {
    json!({ "method": format!("sexton.Manager.{method}") })
}

fn stop() -> Value {
    json!({ "method": "sexton.Manager.Stop", "parameters": { "units": ["web"] } })
}

#[test]
fn who_may_only_ask_is_refused_a_change_and_sexton_does_not_hear_of_it() {
    let mut scene = Scene::new(Access::Read, Lasts::AsLongAsItsHost);
    assert!(scene.asks(&[stop(), call("Status")]).is_continue());
    assert_eq!(scene.heard_by_sexton(), [call("Status")]);
    assert!(scene.answers(&json!({"parameters": {"well": true}})).is_continue());
    let denied = json!({"error": "org.varlink.service.PermissionDenied", "parameters": {}});
    assert_eq!(scene.heard_by_host(), [denied, json!({"parameters": {"well": true}})]);
}

#[test]
fn who_may_change_things_does_and_one_call_waits_for_the_answer_of_the_one_before() {
    let mut scene = Scene::new(Access::Change, Lasts::AsLongAsItsHost);
    let mut following = stop();
    following["more"] = true.into();
    assert!(scene.asks(&[following.clone(), call("Status"), call("List")]).is_continue());
    assert_eq!(scene.heard_by_sexton(), [following]);
    let progress = json!({"parameters": {"phase": "stopping"}, "continues": true});
    assert!(scene.answers(&progress).is_continue());
    assert_eq!(scene.heard_by_sexton(), [] as [Value; 0], "it goes on yet");
    assert!(scene.answers(&json!({"parameters": {"outcome": "done"}})).is_continue());
    assert_eq!(scene.heard_by_sexton(), [call("Status")]);
    assert_eq!(scene.heard_by_host(), [progress, json!({"parameters": {"outcome": "done"}})]);
}

#[test]
fn an_abandon_overtakes_the_change_that_it_is_meant_for_and_both_are_answered() {
    let mut scene = Scene::new(Access::Change, Lasts::AsLongAsItsHost);
    assert!(scene.asks(&[stop(), call("Abandon"), call("Status")]).is_continue());
    assert_eq!(scene.heard_by_sexton(), [stop(), call("Abandon")]);
    assert!(scene.answers(&json!({"parameters": {"outcome": "aborted"}})).is_continue());
    assert_eq!(scene.heard_by_sexton(), [] as [Value; 0], "the abandon is not answered yet");
    assert!(scene.answers(&json!({"parameters": {}})).is_continue());
    assert_eq!(scene.heard_by_sexton(), [call("Status")]);
}

#[test]
fn garbage_ends_a_connection_of_vsock_and_a_port_begins_anew() {
    for (lasts, is_over) in [(Lasts::AsLongAsItsHost, true), (Lasts::ForEver, false)] {
        let mut scene = Scene::new(Access::Read, lasts);
        scene.host.write_all(b"hello?\0").unwrap();
        assert_eq!(scene.carry().is_break(), is_over, "{lasts:?}");
        assert_eq!(scene.heard_by_host()[0]["error"], "sexton.Manager.Disconnected");
        if !is_over {
            assert!(scene.asks(&[call("Status")]).is_continue());
            assert_eq!(scene.heard_by_sexton(), [call("Status")]);
        }
    }
}

#[test]
fn where_no_sexton_answers_the_host_hears_of_that() {
    let mut scene = Scene::new(Access::Read, Lasts::AsLongAsItsHost);
    std::fs::remove_file(&scene.terms.socket).unwrap();
    assert!(scene.asks(&[call("Status")]).is_break());
    let said = scene.heard_by_host();
    assert_eq!(said[0]["parameters"]["reason"], "no sexton answers: No such file or directory (os error 2)");
}

#[test]
fn a_port_whose_sexton_hung_up_after_a_long_silence_meets_it_anew() {
    let mut scene = Scene::new(Access::Read, Lasts::ForEver);
    assert!(scene.asks(&[call("Status")]).is_continue());
    scene.heard_by_sexton();
    assert!(scene.answers(&json!({"parameters": {}})).is_continue());
    assert_eq!(scene.heard_by_host().len(), 1);
    // What it says to a client that has been silent for long is no answer to anything.
    let said =
        scene.answers(&json!({"error": "sexton.Manager.Disconnected", "parameters": {"reason": "idle"}}));
    assert!(said.is_continue());
    scene.sexton = None;
    assert!(scene.carry().is_continue());
    assert_eq!(scene.heard_by_host(), [] as [Value; 0]);
    assert!(scene.asks(&[call("List")]).is_continue());
    assert_eq!(scene.heard_by_sexton(), [call("List")]);
}

#[test]
fn a_host_that_does_not_read_is_not_listened_to() {
    let mut scene = Scene::new(Access::Read, Lasts::AsLongAsItsHost);
    // Each is refused here, with an answer that nobody fetches.
    let flood = format!("{}\0", stop()).repeat(8);
    let mut sent = 0;
    while scene.host.write(flood.as_bytes()).is_ok_and(|n| n == flood.len()) && sent < 100_000 {
        assert!(scene.carry().is_continue());
        sent += 8;
    }
    assert!(sent < 100_000, "it took everything");
    assert!(scene.bridge.to_host.len() < 2 * MUCH && scene.bridge.requests.waiting() <= 16);
}

#[test]
fn on_a_port_the_next_host_is_not_given_what_the_one_before_had_asked_for() {
    let mut scene = Scene::new(Access::Read, Lasts::ForEver);
    let mut events = call("Events");
    events["more"] = true.into();
    assert!(scene.asks(&[events.clone()]).is_continue());
    assert_eq!(scene.heard_by_sexton(), [events]);
    let mut before = scene.sexton.take().unwrap();
    assert!(scene.asks(&[call("Status")]).is_continue());
    assert_eq!(scene.heard_by_sexton(), [call("Status")]);
    assert_eq!(before.read(&mut [0]).unwrap(), 0, "it is told that its client has gone");
    assert!(scene.answers(&json!({"parameters": {"well": true}})).is_continue());
    assert_eq!(scene.heard_by_host(), [json!({"parameters": {"well": true}})]);
}

#[test]
fn who_seems_to_have_left_a_port_has_his_answer_until_it_is_sure() {
    let mut scene = Scene::new(Access::Read, Lasts::ForEver);
    scene.host.write_all(format!("{}\0", call("Status")).as_bytes()).unwrap();
    scene.host.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(scene.carry().is_continue());
    assert_eq!(scene.heard_by_sexton(), [call("Status")]);
    assert!(scene.answers(&json!({"parameters": {"progress": 1}, "continues": true})).is_continue());
    assert_eq!(scene.heard_by_host().len(), 1);
    scene.bridge.left = Some(Instant::now() - GRACE);
    assert!(scene.carry().is_continue());
    assert_eq!(scene.sexton.as_mut().unwrap().read(&mut [0]).unwrap(), 0, "nobody waits for the rest");
    assert_eq!(scene.bridge.left, None);
}
