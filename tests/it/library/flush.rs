//! The flush before the stop of MariaDB and of MySQL, while clients write: what is written is kept, and a flush that is
//! given up leaves the server as it was.

use std::process::Child;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::databases::{MARIADB, MYSQL, sql};
use super::{Daemon, PATIENCE, within};
use crate::harness::Machine;

/// What a writer acknowledges: the number of its write, and how the server stood then.
const WRITER: &str = "n=0; while :; do n=$((n + 1)); mariadb --batch --skip-column-names shop -e \"\
     INSERT INTO t (writes, pad) SELECT $n, REPEAT('x', 7900) FROM twenty; \
     SELECT $n, @@innodb_io_capacity, CAST(@@innodb_max_dirty_pages_pct AS SIGNED)\" >> @DIR@/written 2>> @DIR@/refused || break; done; \
     echo over > @DIR@/over";

/// A server that is flushed, and how it serves when it is not.
struct Server {
    daemon: Daemon,
    as_ever: [&'static str; 2],
}

const IN_MARIADB: Server = Server { daemon: MARIADB, as_ever: ["300", "90"] };
const IN_MYSQL: Server = Server { daemon: MYSQL, as_ever: ["300", "75"] };

/// How both serve while they are flushed.
const FLUSHED: [&str; 2] = ["20000", "0"];

/// The hook of the unit never comes to its end: nobody has fewer pages than none.
fn endless(unit: &str) -> String {
    let text = unit.replace("number-below = 500", "number-below = 0");
    assert_ne!(text, unit, "the unit's bound is another");
    text
}

impl Server {
    /// It has a table, and somebody who writes to it all the time.
    fn written_to(&self, unit: &dyn Fn(&str) -> String) -> (Machine, Child) {
        let name = self.daemon.unit;
        let large = "[mysqld]\ninnodb_buffer_pool_size = 256M\ninnodb_io_capacity = 300\n";
        let capacity = format!("{}_IO_CAPACITY=300\n", name.to_uppercase());
        let plan = self.daemon.plan().unit(name, &unit(&super::unit_text(name)));
        let plan = plan.file(&format!("root/etc/mysql/{name}.conf.d/98-large.cnf"), large);
        let machine = self.daemon.serving(plan.file(&format!("root/etc/default/{name}"), &capacity));
        let twenty: Vec<String> = (1..=20).map(|n| format!("({n})")).collect();
        let tables = "CREATE DATABASE shop; CREATE TABLE shop.twenty (n INT PRIMARY KEY); \
             CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT, writes INT, pad TEXT)";
        sql(&machine, &format!("{tables}; INSERT INTO shop.twenty VALUES {}", twenty.join(","))).expect(0);
        let writer = machine.start("writer", &["/bin/sh", "-c", &machine.fill(WRITER)]);
        acknowledges(&machine, self.as_ever);
        (machine, writer)
    }

    /// Restarted while it is written to, it has afterwards all that it acknowledged.
    fn keeps_what_is_written(&self) {
        let unit = self.daemon.unit;
        let (machine, writer) = self.written_to(&str::to_owned);
        let old = machine.main_pid(unit);
        assert_eq!(code_of(begun(&machine, "restart", unit)), Some(0), "{}", machine.read("client"));
        assert_ne!(machine.main_pid(unit), old);
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
        stands(&machine, self.as_ever);
    }

    /// Its stop and its restart are given up with ^C while they flush.
    fn is_given_up_with_ctrl_c(&self) {
        let unit = self.daemon.unit;
        let (machine, _writer) = self.written_to(&endless);
        let old = machine.main_pid(unit);
        for verb in ["stop", "restart"] {
            let client = begun(&machine, verb, unit);
            flushes(&machine);
            let pid = machine.read("pid");
            machine.run(&["/bin/kill", "-INT", pid.trim()]).expect(0);
            assert_eq!(code_of(client), Some(3), "{}", machine.read("client"));
            let answer = machine.read("client");
            assert!(answer.contains("abandoned") && answer.contains("write dirty pages faster"), "{answer}");
            stands(&machine, self.as_ever);
            assert_eq!(machine.ready_pid(unit), old);
            acknowledges(&machine, self.as_ever);
        }
        assert_eq!(machine.read("over"), "", "no write failed");
    }

    /// Whoever wanted it restarted is killed while it is flushed.
    fn loses_its_client(&self) {
        let unit = self.daemon.unit;
        let (machine, _writer) = self.written_to(&endless);
        let old = machine.main_pid(unit);
        let client = begun(&machine, "restart", unit);
        flushes(&machine);
        let pid = machine.read("pid");
        machine.run(&["/bin/kill", &format!("-{}", Signal::SIGKILL as i32), pid.trim()]).expect(0);
        assert_ne!(code_of(client), Some(0));
        acknowledges(&machine, self.as_ever);
        stands(&machine, self.as_ever);
        assert_eq!(machine.ready_pid(unit), old);
        assert_eq!(machine.read("over"), "", "no write failed");
    }
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

/// `sexton VERB UNIT` on its way, with its news in the file `client`.
fn begun(machine: &Machine, verb: &str, unit: &str) -> Child {
    let line = machine.fill(&format!("echo $$ > @DIR@/pid; exec @SEXTON@ --json {verb} {unit}"));
    machine.start("client", &["/bin/sh", "-c", &line])
}

#[allow(clippy::disallowed_methods, reason = "they are children of the test")]
fn code_of(mut child: Child) -> Option<i32> {
    child.wait().ok()?.code()
}

/// What the server itself says.
#[track_caller]
fn stands(machine: &Machine, so: [&str; 2]) {
    let answer =
        sql(machine, "SELECT @@innodb_io_capacity, CAST(@@innodb_max_dirty_pages_pct AS SIGNED)").out;
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
fn what_is_written_while_mariadb_is_flushed_is_there_after_the_restart() {
    IN_MARIADB.keeps_what_is_written();
}

#[test]
fn what_is_written_while_mysql_is_flushed_is_there_after_the_restart() {
    IN_MYSQL.keeps_what_is_written();
}

#[test]
fn a_flush_that_is_given_up_with_ctrl_c_is_undone_and_mariadb_serves_on() {
    IN_MARIADB.is_given_up_with_ctrl_c();
}

#[test]
fn a_flush_that_is_given_up_with_ctrl_c_is_undone_and_mysql_serves_on() {
    IN_MYSQL.is_given_up_with_ctrl_c();
}

#[test]
fn a_flush_whose_client_is_gone_is_undone_and_mariadb_serves_on() {
    IN_MARIADB.loses_its_client();
}

#[test]
fn a_flush_whose_client_is_gone_is_undone_and_mysql_serves_on() {
    IN_MYSQL.loses_its_client();
}
