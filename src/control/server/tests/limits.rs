//! One test for each limit.

use super::*;

const GUEST: u32 = 4_000_000;
const OTHER: u32 = 4_000_001;

fn open() -> Policy {
    Policy { group: None, readable_by_all: true }
}

#[test]
fn a_message_of_more_than_64_kib_ends_its_connection() {
    let mut house = House::new(Policy::default());
    let mut client = house.client();
    let longest = json!({"method": "sexton.Manager.Show", "parameters": {"unit": ""}}).to_string().len();
    client.call(&Method::Show { unit: "x".repeat(65_536 - longest) });
    house.serve();
    assert_eq!(client.messages(), [json!({"parameters": {"called": "Show"}})]);
    client.call(&Method::Show { unit: "x".repeat(65_537 - longest) });
    house.serve();
    assert_eq!(client.last_words(), "a message has more than 65536 bytes");
    assert_eq!(house.connections(), 0);
}

#[test]
fn a_message_that_never_ends_is_cut_off_at_the_same_length() {
    let mut house = House::new(Policy::default());
    let mut client = house.client();
    for _ in 0..8 {
        client.send(&[b'x'; 8_192]);
        house.serve();
    }
    assert!(!client.closed);
    client.send(b"x");
    house.serve();
    assert_eq!(client.last_words(), "a message has more than 65536 bytes");
}

#[test]
fn sixteen_calls_may_wait_and_no_more() {
    let mut house = House::new(Policy::default());
    let mut client = house.client();
    for _ in 0..16 {
        client.call(&Method::Status);
    }
    house.serve();
    assert_eq!(client.messages().len(), 16);
    for _ in 0..17 {
        client.call(&Method::Status);
    }
    house.serve();
    assert_eq!(client.last_words(), "more than 16 calls wait for their answer");
}

/// Has each of them ask something that is not answered.
fn keep_busy(house: &mut House, clients: &mut [Client]) {
    for client in clients {
        client.call(&Method::Status);
    }
    for _ in 0..4 {
        house.turn();
    }
}

#[test]
fn the_65th_connection_is_told_so_and_closed_and_a_place_that_gets_free_is_given_again() {
    let mut house = House::new(Policy::default());
    let mut clients: Vec<Client> = (0..64).map(|_| house.client()).collect();
    for _ in 0..8 {
        house.turn();
    }
    keep_busy(&mut house, &mut clients);
    assert_eq!(house.connections(), 64);
    let mut late = house.client();
    house.serve();
    assert_eq!(late.last_words(), "it already has 64 connections");
    clients.truncate(63);
    house.serve();
    let mut next = house.client();
    next.call(&Method::Status);
    house.serve();
    assert_eq!(next.messages().len(), 1);
}

#[test]
fn who_only_holds_a_connection_makes_place_for_who_has_a_question() {
    let mut house = House::new(Policy::default());
    let mut first = house.client();
    house.serve();
    house.pass(Duration::from_secs(1));
    let mut others: Vec<Client> = (0..63).map(|_| house.client()).collect();
    house.serve();
    let mut late = house.client();
    late.call(&Method::Status);
    house.serve();
    assert_eq!(late.messages().len(), 1);
    first.messages();
    assert!(first.closed, "it had asked nothing for the longest time");
    assert!(others.iter_mut().all(|client| client.messages().is_empty() && !client.closed));
    assert_eq!(house.connections(), 64);
}

#[test]
fn root_finds_a_place_when_others_have_taken_all_that_they_may() {
    let mut house = House::new(open());
    let mut guests: Vec<Client> = (0..60).map(|_| house.client_as(GUEST)).collect();
    keep_busy(&mut house, &mut guests);
    assert_eq!(house.client_as(OTHER).last_words(), "it already has 60 connections");
    let mut root: Vec<Client> = (0..4).map(|_| house.client_as(0)).collect();
    keep_busy(&mut house, &mut root);
    assert_eq!(house.client_as(0).last_words(), "it already has 64 connections");
    drop(guests);
}

#[test]
fn a_subscriber_that_does_not_read_is_given_up_and_costs_nobody_else_an_event() {
    let mut house = House::new(Policy::default());
    let (mut deaf, mut reader) = (house.client(), house.client());
    for client in [&mut deaf, &mut reader] {
        client.send(&protocol::write_request(&Method::Events, Replies::Many));
    }
    house.turn();
    house.turn();
    assert_eq!(house.server.subscribers().len(), 2);
    let event = UnitEvent { unit: "x".repeat(900), ..UnitEvent::default() };
    let (mut sent, mut read, mut most) = (0, 0, 0);
    while house.server.subscribers().len() == 2 {
        for id in house.server.subscribers() {
            house.server.stream(id, &event);
        }
        sent += 1;
        house.turn();
        read += reader.messages().len();
        most = house
            .server
            .slots
            .iter()
            .filter_map(|s| s.connection.as_ref())
            .map(|c| c.unread())
            .max()
            .max(Some(most))
            .unwrap();
        assert!(sent < 10_000, "it was never given up");
    }
    house.turn();
    assert_eq!(read + reader.messages().len(), sent);
    assert_eq!(house.connections(), 1);
    assert!(most <= connection::OUTPUT_LIMIT && most > connection::OUTPUT_LIMIT / 2, "{most}");
    deaf.messages();
    assert!(deaf.closed);
}

#[test]
fn one_answer_may_be_larger_than_the_queue_and_comes_whole_to_a_client_that_reads_in_its_own_time() {
    let mut house = House::new(Policy::default());
    let mut client = house.client();
    client.call(&Method::Status).call(&Method::Status);
    let calls = [house.turn(), house.turn()].concat();
    house.server.reply(calls[0].connection, &json!({"text": "x".repeat(5_000_000)}));
    assert_eq!(house.turn(), [], "the second call waits until the first answer is read");
    let mut answers = client.messages();
    for _ in 0..1000 {
        house.serve();
        answers.extend(client.messages());
        assert!(!client.closed);
    }
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0]["parameters"]["text"].as_str().unwrap().len(), 5_000_000);
}

#[test]
fn all_that_lies_unread_is_bounded_and_guests_pay_before_root() {
    let mut house = House::new(open());
    let mut root = house.client_as(0);
    let mut guests: Vec<Client> = (0..8).map(|_| house.client_as(GUEST)).collect();
    root.call(&Method::Status);
    for guest in &mut guests {
        guest.call(&Method::Status);
    }
    for call in house.turn() {
        let size = if call.peer.uid == 0 { 9_000_000 } else { 5_000_000 };
        house.server.reply(call.connection, &json!({"text": "x".repeat(size)}));
        let unread = house.server.slots.iter().filter_map(|s| s.connection.as_ref()).map(|c| c.unread());
        assert!(unread.sum::<usize>() <= OUTPUT_LIMIT);
    }
    house.turn();
    assert_eq!(house.connections(), 5, "root, and as many guests as find room beside it");
    let mut answers = 0;
    for _ in 0..1000 {
        answers += root.messages().len();
        house.turn();
    }
    assert_eq!((answers, root.closed), (1, false));
}

#[test]
fn a_client_that_says_nothing_whole_loses_its_place_after_30_seconds() {
    let mut house = House::new(Policy::default());
    let (mut silent, mut slow) = (house.client(), house.client());
    house.serve();
    for _ in 0..29 {
        slow.send(b"x");
        house.pass(Duration::from_secs(1));
    }
    assert_eq!(house.server.next_deadline(), Some(house.now + Duration::from_secs(1)));
    assert_eq!(house.connections(), 2);
    house.pass(Duration::from_secs(1));
    assert_eq!((house.connections(), house.server.next_deadline()), (0, None));
    assert!(silent.messages().is_empty() && silent.closed);
    assert!(slow.messages().is_empty() && slow.closed);
}

#[test]
fn a_client_that_waits_for_nothing_loses_its_place_after_60_seconds_of_silence() {
    let mut house = House::new(Policy::default());
    let mut client = house.client();
    for _ in 0..3 {
        client.call(&Method::Status);
        house.serve();
        assert_eq!(client.messages().len(), 1);
        house.pass(Duration::from_secs(59));
    }
    assert_eq!(house.connections(), 1);
    house.pass(Duration::from_secs(1));
    assert_eq!(house.connections(), 0);
}

#[test]
fn a_client_that_waits_for_an_answer_is_never_idle_and_has_its_time_again_after_it() {
    let mut house = House::new(Policy::default());
    let (mut client, mut subscriber) = (house.client(), house.client());
    client.call(&start());
    subscriber.send(&protocol::write_request(&Method::Events, Replies::Many));
    let calls = [house.turn(), house.turn()].concat();
    let waiting = calls.iter().find(|call| call.method == start()).unwrap().connection;
    assert_eq!(house.server.next_deadline(), None, "nobody is woken for those who wait");
    house.pass(Duration::from_secs(3600));
    house.server.reply(waiting, &json!({}));
    house.turn();
    house.pass(Duration::from_secs(59));
    assert_eq!((client.messages().len(), house.connections()), (1, 2));
    house.pass(Duration::from_secs(1));
    assert_eq!(house.connections(), 1);
}

#[test]
fn a_client_that_does_not_read_its_answer_loses_it_after_60_seconds() {
    let mut house = House::new(Policy::default());
    let mut client = house.client();
    client.call(&Method::Status);
    let calls = [house.turn(), house.turn()].concat();
    house.server.reply(calls[0].connection, &json!({"text": "x".repeat(5_000_000)}));
    house.turn();
    house.pass(Duration::from_secs(59));
    assert_eq!(house.connections(), 1);
    house.pass(Duration::from_secs(1));
    assert_eq!(house.connections(), 0);
}

#[test]
fn who_may_only_read_changes_nothing_and_a_stranger_learns_no_more_than_what_this_is() {
    let (mut opened, mut closed) = (House::new(open()), House::new(Policy::default()));
    let denied = json!({"error": "org.varlink.service.PermissionDenied", "parameters": {}});
    let answer = |house: &mut House, uid: u32, message: &[u8]| {
        let mut client = house.client_as(uid);
        client.send(message);
        house.serve();
        client.messages().remove(0)
    };
    let (change, read) = (start(), Method::List { units: None });
    let write = |method: &Method| protocol::write_request(method, Replies::One);
    assert_eq!(answer(&mut opened, 0, &write(&change))["parameters"]["called"], "Start");
    assert_eq!(answer(&mut opened, GUEST, &write(&change)), denied);
    assert_eq!(answer(&mut opened, GUEST, &write(&read))["parameters"]["called"], "List");
    assert_eq!(answer(&mut closed, GUEST, &write(&read)), denied);
    let introduce = b"{\"method\":\"org.varlink.service.GetInfo\"}\0";
    assert_eq!(answer(&mut closed, GUEST, introduce)["parameters"]["product"], "sexton");
}

#[test]
fn a_connection_that_waits_holds_no_memory_of_what_was_said() {
    let mut house = House::new(Policy::default());
    let mut client = house.client();
    for _ in 0..3 {
        client.call(&Method::Show { unit: "x".repeat(60_000) });
        house.serve();
        client.messages();
    }
    let connection = house.server.slots[0].connection.as_ref().unwrap();
    assert_eq!(connection.memory(), 0);
}
