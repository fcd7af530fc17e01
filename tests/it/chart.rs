//! `sexton chart`: what the boot waited for, as characters, as a picture and as JSON.

use crate::harness::{Plan, until};

#[test]
fn the_boot_is_drawn_with_what_it_waited_for_and_stays_as_it_was() {
    let machine = Plan::new()
        .daemon("store", "sleep 200 notify READY=1 wait", "[ready]\nnotify = true\n")
        .daemon("beside", "notify READY=1 wait", "[ready]\nnotify = true\n")
        .unit("migrate", "needs = [\"store\"]\n[task]\nexec = [\"/bin/sleep\", \"0.1\"]\n")
        .daemon("web", "notify READY=1 wait", "needs = [\"migrate\", \"beside\"]\n---[ready]\nnotify = true\n[configtest]\nexec = [\"/bin/sleep\", \"0.05\"]\n")
        .up();
    until("all are ready", || machine.sexton(&["health"]).ok().then_some(()));
    let text = machine.sexton(&["chart", "--text"]).expect(0).out;
    let path = text.lines().find(|line| line.starts_with("what it waited for: ")).unwrap_or_default();
    let order: Vec<usize> = ["store ", "migrate ", "web "]
        .iter()
        .map(|name| path.find(name).expect("it is on the path"))
        .collect();
    assert!(order.is_sorted() && !path.contains("beside"), "{text}");
    let web = text.lines().find(|line| line.starts_with("* web ")).unwrap_or_default();
    assert!(web.contains('·') && web.contains('▓'), "it waited, and was tested: {text}");

    let svg = machine.sexton(&["chart"]).expect(0).out;
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    let json = machine.sexton(&["chart", "--json"]).expect(0).out;
    assert!(json.contains("\"isOver\":true") && json.contains("\"heldBy\":\"migrate\""), "{json}");

    // A restart later is no part of the boot.
    machine.sexton(&["restart", "web"]).expect(0);
    let bars = |json: &str| json.split_once("\"bars\":").map(|(_, bars)| bars.to_owned());
    assert_eq!(bars(&machine.sexton(&["chart", "--json"]).expect(0).out), bars(&json));
}
