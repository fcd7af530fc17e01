//! What is read of honest and of hostile messages, and what is written back.

use super::super::error::tests::every_error;
use super::super::method::tests::every_method;
use super::*;
use serde_json::json;

fn read(message: Value) -> Result<Request, Garbled> {
    read_request(message.to_string().as_bytes())
}

fn target(message: Value) -> Result<Target, MethodError> {
    read(message).unwrap().target
}

#[test]
fn every_call_that_the_client_writes_is_what_the_server_reads() {
    for method in every_method() {
        for replies in [Replies::One, Replies::Many, Replies::None] {
            let mut message = write_request(&method, replies);
            assert_eq!(message.pop(), Some(0));
            let request = Request { target: Ok(Target::Manager(method.clone())), replies };
            assert_eq!(read_request(&message), Ok(request));
        }
    }
}

#[test]
fn every_answer_that_the_server_writes_is_what_the_client_reads() {
    for error in every_error() {
        let mut message = write_error(&error);
        assert_eq!(message.pop(), Some(0));
        let parameters = Value::Object(error.parameters());
        assert_eq!(read_reply(&message), Ok(Reply::Error { name: error.name().to_owned(), parameters }));
    }
    for continues in [Continues::No, Continues::Yes] {
        let mut message = write_reply(&json!({"unit": "a\0b\n"}), continues);
        assert_eq!(message.pop(), Some(0));
        assert!(!message.contains(&0), "a NUL inside a text is written as an escape");
        assert_eq!(read_reply(&message), Ok(Reply::Parameters(json!({"unit": "a\0b\n"}), continues)));
    }
}

#[test]
fn the_standard_interface_is_understood() {
    assert_eq!(target(json!({"method": "org.varlink.service.GetInfo"})), Ok(Target::GetInfo));
    assert_eq!(
        target(json!({"method": "org.varlink.service.GetInterfaceDescription",
                      "parameters": {"interface": "sexton.Manager"}})),
        Ok(Target::GetInterfaceDescription("sexton.Manager".to_owned()))
    );
}

#[test]
fn what_cannot_be_called_is_answered_by_the_standard_errors() {
    let name = |text: &str| text.to_owned();
    for (message, error) in [
        (json!({"method": "io.example.Go"}), MethodError::InterfaceNotFound(name("io.example"))),
        (json!({"method": "sexton.Manager.Go"}), MethodError::MethodNotFound(name("sexton.Manager.Go"))),
        (
            json!({"method": "org.varlink.service.Go"}),
            MethodError::MethodNotFound(name("org.varlink.service.Go")),
        ),
        (json!({"method": "Go"}), MethodError::MethodNotFound(name("Go"))),
        (json!({"method": ""}), MethodError::MethodNotFound(name(""))),
        (
            json!({"method": "org.varlink.service.GetInfo", "parameters": {"x": 1}}),
            MethodError::InvalidParameter(name("x")),
        ),
        (
            json!({"method": "org.varlink.service.GetInterfaceDescription"}),
            MethodError::InvalidParameter(name("interface")),
        ),
        (
            json!({"method": "org.varlink.service.GetInterfaceDescription", "parameters": {"interface": 1}}),
            MethodError::InvalidParameter(name("interface")),
        ),
        (
            json!({"method": "sexton.Manager.Status", "upgrade": true}),
            MethodError::InvalidParameter(name("upgrade")),
        ),
    ] {
        assert_eq!(target(message), Err(error));
    }
}

#[test]
fn what_is_no_message_is_told_apart_from_a_call_that_is_refused() {
    for message in ["", "hello", "[]", "1", "{", "{}x", "{\"method\":\"a\"", "\u{feff}{}"] {
        assert!(matches!(read_request(message.as_bytes()), Err(Garbled::NotJson(_))), "{message}");
    }
    for (message, field) in [
        (json!({}), "method"),
        (json!({"method": 1}), "method"),
        (json!({"method": "a.B", "parameters": []}), "parameters"),
        (json!({"method": "a.B", "more": "yes"}), "more"),
        (json!({"method": "a.B", "oneway": 1}), "oneway"),
        (json!({"method": "a.B", "upgrade": {}}), "upgrade"),
    ] {
        assert_eq!(read(message), Err(Garbled::Field(field)));
    }
}

#[test]
fn invalid_utf8_is_no_message() {
    let message = b"{\"method\":\"sexton.Manager.Show\",\"parameters\":{\"unit\":\"\xff\xfe\"}}";
    assert!(matches!(read_request(message), Err(Garbled::NotJson(_))));
}

#[test]
fn deep_nesting_is_refused_before_it_is_parsed() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [MAX_DEPTH + 1, 60_000 / open.len()] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(read_request(text.as_bytes()), Err(Garbled::TooDeep));
            assert_eq!(read_request(open.repeat(depth).as_bytes()), Err(Garbled::TooDeep));
        }
    }
}

#[test]
fn brackets_inside_a_string_do_not_nest() {
    let unit = "[{".repeat(100) + "\\\"[[[";
    let read = target(json!({"method": "sexton.Manager.Show", "parameters": {"unit": unit}}));
    assert_eq!(read, Ok(Target::Manager(Method::Show { unit })));
}

#[test]
fn random_bytes_never_do_more_than_be_refused() {
    let mut state = 0xfeed_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % below
    };
    let words: Vec<Vec<u8>> = every_method()
        .iter()
        .map(|method| write_request(method, Replies::One))
        .chain(
            ["{", "}", "[", "]", "\"", "\\", ",", ":", "null", "true", "1e999", "\u{1f980}"].map(Vec::from),
        )
        .collect();
    let mut read = 0;
    for _ in 0..20_000 {
        let mut message = words[random(words.len())].clone();
        for _ in 0..random(3) {
            match random(3) {
                0 => message.extend_from_slice(&words[random(words.len())]),
                1 => message.truncate(random(message.len() + 1)),
                _ if message.is_empty() => {}
                _ => {
                    let place = random(message.len());
                    message[place] = random(256) as u8;
                }
            }
        }
        if message.last() == Some(&0) {
            message.pop();
        }
        read += usize::from(read_request(&message).is_ok());
        let _ = read_reply(&message); // Only that it returns counts.
    }
    assert!(read > 1000, "the messages are near enough to real ones that some are: {read}");
}

#[test]
fn each_reason_why_a_message_is_none_is_one_sentence() {
    assert_eq!(Garbled::TooDeep.to_string(), "a message nests deeper than 16");
    assert_eq!(Garbled::NotJson("x".to_owned()).to_string(), "a message is not JSON: x");
    assert_eq!(Garbled::Field("method").to_string(), "a message has no 'method' of the right type");
}
