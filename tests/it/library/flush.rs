//! The flush before the stop of MariaDB, while clients write: what is written is kept, and a flush that is given up leaves
//! the server as it was.

use std::process::Child;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::databases::{MARIADB, sql};
use super::{PATIENCE, within};
use crate::harness::Machine;

/// What a writer acknowledges: the number of its write, and how the server stood then.
const WRITER: &str = "n=0; while :; do n=$((n + 1)); mariadb --batch --skip-column-names shop -e \"\
     INSERT INTO t (writes, pad) SELECT $n, REPEAT('x', 7900) FROM seq_1_to_20; \
     SELECT $n, @@innodb_io_capacity, CAST(@@innodb_max_dirty_pages_pct AS INT)\" >> @DIR@/written 2>> @DIR@/refused || break; done; \
     echo over > @DIR@/over";

/// How it serves, and how it serves while it is flushed.
const AS_EVER: [&str; 2] = ["300", "90"];
const FLUSHED: [&str; 2] = ["20000", "0"];

/// The hook of the unit never comes to its end: nobody has fewer pages than none.
fn endless(unit: &str) -> String {
    let text = unit.replace("number-below = 500", "number-below = 0");
    assert_ne!(text, unit, "the unit's bound is another");
    text
}

/// A server with a table and somebody who writes to it all the time.
fn written_to(unit: &dyn Fn(&str) -> String) -> (Machine, Child) {
    let text = super::unit_text("mariadb");
    let large = "[mariadbd]\ninnodb_buffer_pool_size = 256M\ninnodb_io_capacity = 300\n";
    let plan = MARIADB.plan().unit("mariadb", &unit(&text));
    let plan = plan.file("root/etc/mysql/mariadb.conf.d/98-large.cnf", large);
    let machine = MARIADB.serving(plan.file("root/etc/default/mariadb", "MARIADB_IO_CAPACITY=300\n"));
    let table =
        "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT, writes INT, pad TEXT)";
    sql(&machine, table).expect(0);
    let writer = machine.start("writer", &["/bin/sh", "-c", &machine.fill(WRITER)]);
    acknowledges(&machine, AS_EVER);
    (machine, writer)
}

/// The words of the last write that was acknowledged, whole.
fn written(machine: &Machine) -> Vec<Vec<String>> {
    let text = machine.read("written");
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// The writer writes, from now on, to a server that stands so.
fn acknowledges(machine: &Machine, stands: [&str; 2]) {
    let before = written(machine).len();
    within(PATIENCE, &format!("somebody writes while it stands at {stands:?}"), || {
        let lines = written(machine);
        lines.iter().skip(before).any(|words| words[1..] == stands).then_some(())
    });
}

/// The numbers that the flush has shown so far.
fn numbers(machine: &Machine) -> Vec<f64> {
    let news = machine.read("client");
    let news = news.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    news.filter(|news| news["progress"]["hook"] == "dirty pages")
        .filter_map(|news| news["progress"]["now"].as_f64())
        .collect()
}

/// `sexton VERB mariadb` on its way, with its news in the file `client`.
fn begun(machine: &Machine, verb: &str) -> Child {
    let line = machine.fill(&format!("echo $$ > @DIR@/pid; exec @SEXTON@ --json {verb} mariadb"));
    machine.start("client", &["/bin/sh", "-c", &line])
}

#[allow(clippy::disallowed_methods, reason = "they are children of the test")]
fn code_of(mut child: Child) -> Option<i32> {
    child.wait().ok()?.code()
}

#[test]
fn what_is_written_while_mariadb_is_flushed_is_there_after_the_restart() {
    let (machine, writer) = written_to(&str::to_owned);
    let old = machine.main_pid("mariadb");
    assert_eq!(code_of(begun(&machine, "restart")), Some(0), "{}", machine.read("client"));
    assert_ne!(machine.main_pid("mariadb"), old);
    // The writer met the stop, and nothing before it.
    assert_eq!(code_of(writer), Some(0));
    let numbers = numbers(&machine);
    assert!(numbers.last().is_some_and(|last| *last < 500.0), "{numbers:?}");
    let acknowledged = written(&machine).len();
    let kept = sql(
        &machine,
        "SELECT COUNT(*) FROM (SELECT writes FROM shop.t GROUP BY writes HAVING COUNT(*) = 20) AS w",
    );
    let kept: usize = kept.expect(0).out.trim().parse().expect("a number");
    assert!(kept >= acknowledged, "{acknowledged} writes were acknowledged, {kept} are there");
    assert!(!machine.console().contains("crash recovery"), "{}", machine.console());
    stands(&machine, AS_EVER);
}

/// What the server itself says.
#[track_caller]
fn stands(machine: &Machine, so: [&str; 2]) {
    let answer = sql(machine, "SELECT @@innodb_io_capacity, CAST(@@innodb_max_dirty_pages_pct AS INT)").out;
    assert_eq!(answer.trim().split('\t').collect::<Vec<_>>(), so);
    // Put back to DEFAULT it would have no bound.
    assert_eq!(sql(machine, "SELECT @@innodb_io_capacity_max").out, "2000\n");
}

/// Waits until the flush was seen to raise what it raises, and its number to go down under the writer's hands.
fn flushes(machine: &Machine) {
    acknowledges(machine, FLUSHED);
    within(PATIENCE, "the number of dirty pages goes down", || {
        let numbers = numbers(machine);
        numbers.windows(2).any(|pair| pair[1] < pair[0]).then_some(())
    });
}

#[test]
fn a_flush_that_is_given_up_with_ctrl_c_is_undone_and_mariadb_serves_on() {
    let (machine, _writer) = written_to(&endless);
    let old = machine.main_pid("mariadb");
    for verb in ["stop", "restart"] {
        let client = begun(&machine, verb);
        flushes(&machine);
        let pid = machine.read("pid");
        machine.run(&["/bin/kill", "-INT", pid.trim()]).expect(0);
        assert_eq!(code_of(client), Some(3), "{}", machine.read("client"));
        let answer = machine.read("client");
        assert!(answer.contains("abandoned") && answer.contains("write dirty pages faster"), "{answer}");
        stands(&machine, AS_EVER);
        assert_eq!(machine.ready_pid("mariadb"), old);
        acknowledges(&machine, AS_EVER);
    }
    assert_eq!(machine.read("over"), "", "no write failed");
}

#[test]
fn a_flush_whose_client_is_gone_is_undone_and_mariadb_serves_on() {
    let (machine, _writer) = written_to(&endless);
    let old = machine.main_pid("mariadb");
    let client = begun(&machine, "restart");
    flushes(&machine);
    let pid = machine.read("pid");
    machine.run(&["/bin/kill", &format!("-{}", Signal::SIGKILL as i32), pid.trim()]).expect(0);
    assert_ne!(code_of(client), Some(0));
    acknowledges(&machine, AS_EVER);
    stands(&machine, AS_EVER);
    assert_eq!(machine.ready_pid("mariadb"), old);
    assert_eq!(machine.read("over"), "", "no write failed");
}
