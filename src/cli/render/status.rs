//! `sexton status` and `sexton show`: sexton itself, one unit in brief, one unit whole.

use crate::control::wire::{ManagerStatus, UnitDetails, UnitStatus};

use super::super::style::{Align, Ink, Style, Table, output_lines, safe};
use super::{list::census, remark, spoken, state_in_words};

/// Sexton itself, its units by state, and of `units` those that are not as they should be.
pub fn manager(style: &Style, status: &ManagerStatus, units: &[UnitStatus]) -> String {
    let mut out = format!(
        "{} {}, pid {}, {} {} {}\n",
        style.paint(Ink::Strong, "sexton"),
        safe(&status.version),
        status.pid,
        style.paint(Ink::of_state(&status.state), &safe(&status.state)),
        // It has run for so long; how long it has been in any other state is not known.
        if status.state == "running" { "for" } else { "after" },
        spoken(status.uptime_usec)
    );
    let total: u32 = status.counts.values().sum();
    let count = |state: &str| status.counts.get(state).map_or(0, |number| *number as usize);
    out += &format!("  {}\n", census(style, total as usize, count));
    match status.orphans_reaped {
        0 => {}
        1 => out += "  1 orphan reaped\n",
        number => out += &format!("  {number} orphans reaped\n"),
    }
    for limitation in &status.limitations {
        out += &format!("  not here: {}\n", style.wrap(&safe(limitation), 12, 12));
    }
    let is_shown = |unit: &&UnitStatus| is_wrong(unit) || remark(unit).is_some();
    let wrong: Vec<&UnitStatus> = units.iter().filter(is_shown).collect();
    let Some(first) = wrong.first() else { return out };
    let mut table = Table::new(&[Align::Left, Align::Left, Align::Left, Align::Left]);
    for unit in &wrong {
        table.row(vec![
            (Ink::Strong, unit.name.clone()),
            (Ink::of_state(&unit.state), unit.state.clone()),
            (Ink::Plain, spoken(unit.since_usec)),
            (Ink::Plain, unit.reason.clone().or_else(|| remark(unit)).unwrap_or_default()),
        ]);
    }
    out + &format!("\n{}\n  sexton why {}\n", table.render(style, 2), safe(&first.name))
}

/// Is this something that whoever asks how sexton is must see?
pub(in super::super) fn is_wrong(unit: &UnitStatus) -> bool {
    matches!(unit.state.as_str(), "failed" | "back-off" | "deferred")
}

/// One unit in brief: what it does, why, and what it said last.
pub fn unit(style: &Style, details: &UnitDetails) -> String {
    let status = &details.status;
    let mut block = Block::of(style, status);
    if !details.source.is_empty() {
        block.file(details);
    }
    if status.kind == "service" && details.configtest.is_none() {
        block.line("test", UNTESTED);
    }
    block.tested(details);
    block.optional("filter", &details.filter);
    block.used(details);
    block.finish(&details.last_output)
}

/// One unit whole.
pub fn details(style: &Style, details: &UnitDetails) -> String {
    let status = &details.status;
    let mut block = Block::of(style, status);
    block.line("kind", &status.kind);
    block.line("wanted", &status.wanted);
    if status.essential {
        block.line("essential", "when it ends for good, sexton ends too");
    }
    block.file(details);
    block.optional("instance", &details.instance_file);
    for (label, names) in [
        ("docs", &details.docs),
        ("needs", &details.needs),
        ("wants", &details.wants),
        ("after", &details.after),
        ("before", &details.before),
        ("conflicts", &details.conflicts),
        ("needed by", &details.needed_by),
    ] {
        if !names.is_empty() {
            block.line(label, &names.join(" "));
        }
    }
    block.optional("exec", &details.exec);
    block.optional("user", &details.user);
    block.optional("ready", &details.ready);
    match &details.configtest {
        Some(command) => block.line("test", command),
        None if status.kind == "service" => block.line("test", UNTESTED),
        None => {}
    }
    block.tested(details);
    if !details.pre_stop.is_empty() {
        block.line("pre-stop", &details.pre_stop.join(", "));
    }
    block.optional("stop", &details.stop);
    block.optional("reload", &details.reload);
    block.optional("restart", &details.restart);
    block.optional("filter", &details.filter);
    block.used(details);
    block.finish(&details.last_output)
}

/// A number of bytes as people read it.
fn bytes(number: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(size, _)| number >= *size) {
        // A tenth is enough; the hundredths of a GiB change with every look.
        Some((size, unit)) => format!("{}.{} {unit}", number / size, number % size * 10 / size),
        None => format!("{number} bytes"),
    }
}

/// What is said of a service whose configuration nobody tests.
const UNTESTED: &str = "untested: it has no [configtest]";

/// A unit's name and lines of `label  words` below it.
struct Block<'a> {
    style: &'a Style,
    out: String,
}

impl<'a> Block<'a> {
    /// Columns before the words: indent, label, gap.
    const LEFT: usize = 13;

    fn of(style: &'a Style, status: &UnitStatus) -> Block<'a> {
        let mut out = style.paint(Ink::Strong, &safe(&status.name));
        if !status.description.is_empty() {
            out += &format!("  {}", safe(&status.description));
        }
        out.push('\n');
        let mut block = Block { style, out };
        block.painted("state", Ink::of_state(&status.state), &state_in_words(status));
        if let Some(reason) = &status.reason {
            block.painted("reason", Ink::of_state(&status.state), reason);
        }
        block.optional("says", &status.status_text);
        if status.restarts > 0 {
            block.line("restarts", &status.restarts.to_string());
        }
        block.optional("last end", &status.last_end);
        block
    }

    fn painted(&mut self, label: &str, ink: Ink, words: &str) {
        let words = self.style.wrap(&safe(words), Self::LEFT, Self::LEFT);
        let label = self.style.paint(Ink::Faint, &format!("{label:<9}"));
        self.out += &format!("  {label}  {}\n", self.style.paint(ink, &words));
    }

    fn line(&mut self, label: &str, words: &str) {
        self.painted(label, Ink::Plain, words);
    }

    fn optional(&mut self, label: &str, words: &Option<String>) {
        if let Some(words) = words {
            self.line(label, words);
        }
    }

    fn file(&mut self, details: &UnitDetails) {
        match &details.status.file_gone {
            Some(file) => {
                self.painted("file", Ink::Busy, &format!("it is gone: {file}; the next sync stops the unit"));
            }
            None => self.line("file", &details.source),
        }
    }

    /// What is new since the start, and how the last test ended where it did not end well.
    fn tested(&mut self, details: &UnitDetails) {
        let changed = &details.status.changed_since_start;
        if !changed.is_empty() {
            let words = format!("{} changed since start", changed.join(" and "));
            self.painted("changed", Ink::Busy, &words);
        }
        if let Some(failed) = &details.passed_over {
            let reason = failed.reason.as_deref().unwrap_or_default();
            let words = format!("{reason}, {} ago", spoken(failed.ago_usec.unwrap_or_default()));
            self.painted("hook", Ink::Busy, &format!("passed over: {words}"));
            self.out += &output_lines(self.style, &failed.output);
        }
        let Some(test) = details.last_test.as_ref().filter(|test| test.result == "failed") else { return };
        let reason = test.reason.as_deref().unwrap_or("no reason is known");
        let words = match test.ago_usec {
            Some(ago) => format!("failed {} ago: {reason}", spoken(ago)),
            None => format!("failed: {reason}"),
        };
        self.painted("last test", Ink::Bad, &words);
        self.out += &output_lines(self.style, &test.output);
    }

    /// What its cgroup uses.
    fn used(&mut self, details: &UnitDetails) {
        let Some(usage) = &details.usage else { return };
        let mut words = Vec::new();
        if let Some(now) = usage.memory_bytes {
            let most = usage.memory_max_bytes.map(|most| format!(" of {}", bytes(most)));
            let peak = usage.memory_peak_bytes.map(|peak| format!(" (at most {})", bytes(peak)));
            words.push(format!(
                "{}{} of memory{}",
                bytes(now),
                most.unwrap_or_default(),
                peak.unwrap_or_default()
            ));
        }
        words.extend(usage.cpu_usec.map(|time| format!("{} of a processor", spoken(time))));
        words.extend(usage.pids.map(|pids| format!("{pids} processes and threads")));
        self.line("uses", &words.join(", "));
        if usage.oom_kills > 0 {
            let words = format!("the kernel killed {} of its processes for want of memory", usage.oom_kills);
            self.painted("memory", Ink::Bad, &words);
        }
    }

    fn finish(mut self, output: &[String]) -> String {
        if !output.is_empty() {
            self.line("output", "its last lines");
            self.out += &output_lines(self.style, output);
        }
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{store, unit as unit_in, web};
    use super::*;
    use crate::cli::style::Colour;
    use crate::control::wire::{Step, Usage};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn sexton_says_how_it_is_and_what_is_wrong() {
        let status = ManagerStatus {
            version: "0.1.0".into(),
            pid: 1,
            state: "running".into(),
            uptime_usec: 7_800_000_000,
            orphans_reaped: 2,
            counts: [("ready".to_owned(), 1), ("failed".to_owned(), 1)].into(),
            limitations: vec!["the cgroup file system is read-only".into()],
        };
        let changed = UnitStatus {
            changed_since_start: names(&["its configuration"]),
            ..unit_in("changed", "ready", 1)
        };
        assert_eq!(
            manager(&Style::PLAIN, &status, &[store(), web(), changed]),
            "\
sexton 0.1.0, pid 1, running for 2 h 10 min
  2 units: 1 ready, 1 failed
  2 orphans reaped
  not here: the cgroup file system is read-only

  web      failed  12 s  exited with code 1 before it was ready
  changed  ready   1 s   its configuration changed since start

  sexton why web
"
        );
        let well =
            ManagerStatus { counts: [("ready".to_owned(), 1)].into(), orphans_reaped: 0, ..status.clone() };
        let well = manager(&Style::PLAIN, &ManagerStatus { limitations: vec![], ..well }, &[store()]);
        assert_eq!(well, "sexton 0.1.0, pid 1, running for 2 h 10 min\n  1 unit: 1 ready\n");
        let closing = ManagerStatus { state: "shutting-down".into(), ..status };
        let closing = manager(&Style::PLAIN, &closing, &[]);
        assert!(closing.starts_with("sexton 0.1.0, pid 1, shutting-down after 2 h 10 min\n"), "{closing}");
    }

    #[test]
    fn what_a_unit_uses_is_said_in_the_units_of_people() {
        let usage = Usage {
            memory_bytes: Some(12 << 20 | 1 << 19),
            memory_peak_bytes: Some(3 << 30),
            memory_max_bytes: Some(600),
            cpu_usec: Some(2_000_000),
            pids: Some(3),
            oom_kills: 2,
            ..Usage::default()
        };
        let shown = unit(
            &Style::PLAIN,
            &UnitDetails { status: store(), usage: Some(usage), ..UnitDetails::default() },
        );
        let memory = "12.5 MiB of 600 bytes of memory (at most 3.0 GiB)";
        assert!(shown.contains(&format!("{memory}, 2 s of a processor, 3 processes and threads")), "{shown}");
        assert!(shown.contains("the kernel killed 2 of its processes for want of memory"), "{shown}");
    }

    #[test]
    fn a_unit_in_brief_ends_with_its_own_last_words() {
        let details = UnitDetails {
            status: web(),
            source: "/etc/sexton/units/web.toml".into(),
            last_output: names(&["binding", "\x1b]0;owned\x07 address in use"]),
            ..UnitDetails::default()
        };
        let style = Style { colour: Colour::Off, width: Some(44) };
        assert_eq!(
            unit(&style, &details),
            "\
web  The web application
  state      failed for 12 s
  reason     exited with code 1 before it
             was ready
  restarts   5
  last end   exited with code 1
  file       /etc/sexton/units/web.toml
  test       untested: it has no
             [configtest]
  output     its last lines
  │ binding
  │ \\x1b]0;owned\\x07 address in use
"
        );
    }

    #[test]
    fn a_unit_whole_leaves_out_only_what_it_does_not_have() {
        let whole = UnitDetails {
            status: UnitStatus { essential: true, ..store() },
            source: "/etc/sexton/units/store.toml".into(),
            needs: names(&["migrate", "network"]),
            needed_by: names(&["web"]),
            exec: Some("store --listen 127.0.0.1:7000".into()),
            user: Some("store".into()),
            ready: Some("a connection to 127.0.0.1:7000".into()),
            configtest: Some("store --check".into()),
            pre_stop: names(&["dirty pages", "drain"]),
            stop: Some("SIGTERM, wait 10 s; SIGKILL to its group".into()),
            reload: Some("SIGHUP".into()),
            ..UnitDetails::default()
        };
        assert_eq!(
            details(&Style::PLAIN, &whole),
            "\
store  Keeps what the others know
  state      ready for 3 min 5 s, pid 7
  kind       service
  wanted     up
  essential  when it ends for good, sexton ends too
  file       /etc/sexton/units/store.toml
  needs      migrate network
  needed by  web
  exec       store --listen 127.0.0.1:7000
  user       store
  ready      a connection to 127.0.0.1:7000
  test       store --check
  pre-stop   dirty pages, drain
  stop       SIGTERM, wait 10 s; SIGKILL to its group
  reload     SIGHUP
"
        );
    }

    #[test]
    fn a_unit_says_what_changed_since_its_start_how_its_last_test_failed_and_that_its_file_is_gone() {
        let test = Step {
            unit: "store".into(),
            result: "failed".into(),
            reason: Some("the configuration test exited with code 1".into()),
            output: names(&["store.conf:3: \x1b[2Jbad word"]),
            ago_usec: Some(300_000_000),
            ..Step::default()
        };
        let status = UnitStatus {
            file_gone: Some("/etc/sexton/units/store.toml".into()),
            changed_since_start: names(&["its unit file", "its configuration"]),
            ..store()
        };
        let changed = UnitDetails {
            status,
            source: "/etc/sexton/units/store.toml".into(),
            configtest: Some("store --check".into()),
            last_test: Some(test),
            ..UnitDetails::default()
        };
        assert_eq!(
            unit(&Style::PLAIN, &changed),
            "\
store  Keeps what the others know
  state      ready for 3 min 5 s, pid 7
  file       it is gone: /etc/sexton/units/store.toml; the next sync stops the unit
  changed    its unit file and its configuration changed since start
  last test  failed 5 min ago: the configuration test exited with code 1
  │ store.conf:3: \\x1b[2Jbad word
"
        );
        let passed = Step { result: "passed".into(), ..Step::default() };
        let well = UnitDetails { last_test: Some(passed), status: store(), ..UnitDetails::default() };
        let hook = Step {
            reason: Some("post-start hook 1 exited with code 1".into()),
            output: names(&["no queue"]),
            ago_usec: Some(2_000_000),
            ..Step::default()
        };
        let passed_over =
            unit(&Style::PLAIN, &UnitDetails { passed_over: Some(hook), status: store(), ..well.clone() });
        let words = "  hook       passed over: post-start hook 1 exited with code 1, 2 s ago\n  │ no queue\n";
        assert!(passed_over.contains(words), "{passed_over}");
        assert_eq!(
            unit(&Style::PLAIN, &well),
            "\
store  Keeps what the others know
  state      ready for 3 min 5 s, pid 7
  test       untested: it has no [configtest]
"
        );
    }
}
