//! Arbitrary bytes from a client, and from whoever poses as a sexton: `cargo +nightly fuzz run control`.
//!
//! Nothing may crash, hold more than its limits, or take bytes for another message than they are. The first byte says in
//! pieces of which length the rest comes in.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sexton::control::framing::{Inbox, OF_A_CLIENT};
use sexton::control::protocol::{Target, read_reply, read_request, write_request};

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let mut inbox = Inbox::new(OF_A_CLIENT);
    let mut messages = Vec::new();
    for piece in bytes.chunks(usize::from(*first) + 1) {
        if inbox.push(piece).is_err() {
            return;
        }
        while let Some(message) = inbox.take() {
            messages.push(message);
        }
        assert_eq!(inbox.waiting(), 0);
    }
    let whole = bytes.iter().filter(|byte| **byte == 0).count();
    assert!(messages.iter().map(Vec::as_slice).eq(bytes.split(|byte| *byte == 0).take(whole)));

    for message in &messages {
        let _ = read_reply(message);
        let Ok(request) = read_request(message) else { continue };
        let Ok(Target::Manager(method)) = &request.target else { continue };
        // What was understood is understood again when we say it.
        let mut again = write_request(method, request.replies);
        assert_eq!(again.pop(), Some(0));
        assert_eq!(read_request(&again).as_ref(), Ok(&request));
    }
});
