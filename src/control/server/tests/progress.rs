//! News of a call that is being served, and calls that are given up before they are answered.

use super::super::super::connection::PROGRESS_LIMIT;
use super::*;

fn restart() -> Method {
    Method::Restart { units: vec!["web".to_owned()], rolling: false, skip_configtest: false, no_wait: false }
}

/// Somebody who called `restart`, and the call.
fn waiting(house: &mut House, replies: Replies) -> (Client, ConnectionId) {
    let mut client = house.client();
    client.send(&protocol::write_request(&restart(), replies));
    let calls = [house.turn(), house.turn()].concat();
    (client, calls[0].connection)
}

#[test]
fn news_reach_who_called_with_more_and_nobody_else() {
    let mut house = House::new(Policy::default());
    let (mut curious, wants_many) = waiting(&mut house, Replies::Many);
    let (mut patient, wants_one) = waiting(&mut house, Replies::One);
    for id in [wants_many, wants_one] {
        house.server.inform(id, &json!({"step": 1}));
        house.server.reply(id, &json!({"outcome": "done"}));
        house.server.inform(id, &json!({"step": "too late"}));
    }
    house.turn();
    let last = json!({"parameters": {"outcome": "done"}});
    assert_eq!(curious.messages(), [json!({"parameters": {"step": 1}, "continues": true}), last.clone()]);
    assert_eq!(patient.messages(), [last]);
}

#[test]
fn a_slow_reader_misses_news_and_never_the_answer() {
    let mut house = House::new(Policy::default());
    let (mut client, id) = waiting(&mut house, Replies::Many);
    let words = "x".repeat(200);
    for step in 0..10_000 {
        house.server.inform(id, &json!({"step": step, "words": words}));
        house.turn();
    }
    let unread = house.server.connection(id).map_or(0, |connection| connection.unread());
    assert!(unread <= PROGRESS_LIMIT, "{unread}");
    let large = "y".repeat(2 * connection::OUTPUT_LIMIT);
    house.server.reply(id, &json!({ "outcome": large }));
    let mut messages = Vec::new();
    for _ in 0..200 {
        messages.extend(client.messages());
        house.turn();
    }
    let (last, news) = messages.split_last().unwrap();
    assert_eq!(last["parameters"]["outcome"], json!(large));
    assert!(news.iter().all(|message| message["continues"] == json!(true)));
    assert!((100..10_000).contains(&news.len()), "{}", news.len());
}

#[test]
fn who_does_not_read_its_news_for_hours_still_has_its_answer() {
    let mut house = House::new(Policy::default());
    let (mut client, id) = waiting(&mut house, Replies::Many);
    for _ in 0..2_000 {
        house.server.inform(id, &json!({"words": "x".repeat(200)}));
    }
    house.turn();
    house.pass(Duration::from_secs(7200));
    assert_eq!((house.connections(), house.server.cancelled()), (1, vec![]));
    house.server.reply(id, &json!({"outcome": "done"}));
    let mut messages = client.messages();
    house.turn();
    messages.extend(client.messages());
    assert_eq!(messages.last().unwrap()["parameters"]["outcome"], "done");
}

#[test]
fn an_abandon_overtakes_and_gives_up_what_its_own_connection_waits_for() {
    let mut house = House::new(Policy::default());
    let (mut client, id) = waiting(&mut house, Replies::Many);
    let (_other, _) = waiting(&mut house, Replies::Many);
    client.send(&protocol::write_request(&Method::Abandon, Replies::None));
    assert_eq!(house.turn(), []);
    assert_eq!(house.server.cancelled(), [Cancelled::Abandoned(id)]);
    assert_eq!(client.messages(), Vec::<Value>::new());
    house.server.reply(id, &json!({"outcome": "abandoned"}));
    house.serve();
    assert_eq!(client.messages(), [json!({"parameters": {"outcome": "abandoned"}})]);
    assert!(!client.closed);
}

#[test]
fn an_abandon_that_wants_an_answer_has_it_behind_that_of_what_it_gave_up() {
    let mut house = House::new(Policy::default());
    let (mut client, id) = waiting(&mut house, Replies::One);
    client.call(&Method::Abandon).call(&Method::Abandon).call(&Method::Status);
    house.turn();
    house.turn();
    assert_eq!(house.server.cancelled(), [Cancelled::Abandoned(id)]);
    house.server.reply(id, &json!({"outcome": "abandoned"}));
    house.serve();
    let answers: Vec<Value> = client.messages().into_iter().map(|m| m["parameters"].clone()).collect();
    assert_eq!(answers, [json!({"outcome": "abandoned"}), json!({}), json!({}), json!({"called": "Status"})]);
}

#[test]
fn an_abandon_behind_another_call_or_before_any_or_behind_oneway_gives_up_nothing() {
    let mut house = House::new(Policy::default());
    let (mut client, id) = waiting(&mut house, Replies::One);
    client.call(&Method::Status).send(&protocol::write_request(&Method::Abandon, Replies::None));
    house.turn();
    assert_eq!(house.server.cancelled(), []);
    house.server.reply(id, &json!({}));
    house.serve();
    assert_eq!((client.messages().len(), house.server.cancelled()), (2, vec![]));
    let mut early = house.client();
    early.call(&Method::Abandon);
    house.serve();
    assert_eq!(early.messages(), [json!({"parameters": {}})]);
    let (mut deaf, _) = waiting(&mut house, Replies::None);
    deaf.send(&protocol::write_request(&Method::Abandon, Replies::None));
    house.turn();
    drop(deaf);
    house.turn();
    assert_eq!(house.server.cancelled(), []);
}

#[test]
fn only_root_and_sextons_own_user_may_skip_a_configtest() {
    let group = 7;
    let mut house = House::new(Policy { group: Some(group), readable_by_all: false });
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    house.server.admit(near, Peer { pid: None, uid: 4242, in_group: true });
    let mut member = Client::of(far);
    let sync = |skip_configtest| Method::Sync { skip_configtest, no_wait: false };
    member.call(&sync(true)).call(&sync(false));
    house.turn();
    house.serve();
    let answers = member.messages();
    assert_eq!(answers[0]["error"], "org.varlink.service.PermissionDenied");
    assert_eq!(answers[1]["parameters"]["called"], "Sync");
}
