//! Log files under load, kills, full disks and rotations: what is promised of them in docs/logs.md.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Machine, Plan, needs, until};

/// Bytes of a line of the counting service, its newline included.
const LINE: u64 = 24;
/// The most that a kill of the logger may cost one pipe, beside the line that it was in.
const MOST_LOST: u64 = 64 * 1024;

const SETTINGS: &str = "[log]\nto = \"file\"\ndirectory = \"@DIR@/log\"\n";

/// A machine with a service that counts as fast as its pipe takes it, in lines of 24 bytes.
fn counting(log: &str) -> Machine {
    let seq = needs("seq", "coreutils");
    Plan::new()
        .file("units/sexton.toml", SETTINGS)
        .unit(
            "count",
            &format!(
                "[service]\nexec = [\"{seq}\", \"-f\", \"line %%012.0f end.\", \"1\", \"100000000000\"]\n[log]\n{log}"
            ),
        )
        .up()
}

fn logger(machine: &Machine) -> Option<i32> {
    let comm = |pid: i32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    machine.processes().into_iter().map(|(pid, _)| pid).find(|pid| comm(*pid).starts_with("sexton-logger"))
}

fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap_or_else(|error| panic!("cannot send {signal} to {pid}: {error}"));
}

/// The files of a unit, oldest first, `current` last.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    names.sort();
    names
}

fn size(directory: &Path) -> u64 {
    files(directory).iter().filter_map(|path| Some(fs::metadata(path).ok()?.len())).sum()
}

/// Every number that the counting service got into its files; each line has to be whole.
fn numbers(directory: &Path) -> Vec<u64> {
    let mut numbers = Vec::new();
    let last = directory.join("current");
    for path in files(directory) {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(text.is_empty() || text.ends_with('\n'), "{} ends within a line", path.display());
        // What the service itself had begun to write when it was stopped is its own last line.
        let whole = text.lines().count() - usize::from(path == last && !text.is_empty());
        for line in text.lines().take(whole) {
            let number =
                line.strip_prefix("line ").and_then(|rest| rest.strip_suffix(" end.")).map(str::trim);
            let number = number.filter(|digits| digits.len() == 12).and_then(|digits| digits.parse().ok());
            numbers.push(number.unwrap_or_else(|| panic!("a torn line in {}: {line:?}", path.display())));
        }
    }
    numbers
}

/// Ends one logger after the other in the midst of its work.
fn end_loggers(machine: &Machine, times: usize, signal: Signal) {
    let directory = machine.path("log/count");
    for round in 0..times {
        let old = until("a logger runs", || logger(machine));
        let before = size(&directory);
        until(&format!("it works, round {round}"), || (size(&directory) > before + 200_000).then_some(()));
        send(old, signal);
        until("another logger takes its place", || logger(machine).filter(|new| *new != old));
    }
    let before = size(&directory);
    until("the last one works", || (size(&directory) > before + 200_000).then_some(()));
}

#[test]
fn ten_kills_of_the_logger_under_load_tear_no_line_and_lose_a_bounded_number() {
    let machine = counting("format = \"raw\"\nmax-size = \"1MiB\"\nkeep = 1000\n");
    end_loggers(&machine, 10, Signal::SIGKILL);
    assert_eq!(machine.unit("count").restarts, 0, "the service noticed nothing");
    machine.sexton(&["stop", "count"]).expect(0);
    let numbers = numbers(&machine.path("log/count"));
    let gaps: Vec<u64> =
        numbers.windows(2).map(|pair| pair[1].checked_sub(pair[0]).expect("in order") - 1).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "a line came twice");
    let lost: Vec<u64> = gaps.into_iter().filter(|gap| *gap > 0).collect();
    assert!(lost.len() <= 10, "{lost:?}");
    assert!(lost.iter().all(|lines| lines * LINE <= MOST_LOST + 2 * LINE), "{lost:?}");
}

#[test]
fn a_logger_that_makes_place_for_another_loses_no_line_and_repeats_none() {
    let machine = counting("format = \"raw\"\nmax-size = \"1MiB\"\nkeep = 1000\n");
    end_loggers(&machine, 4, Signal::SIGHUP);
    machine.sexton(&["stop", "count"]).expect(0);
    let numbers = numbers(&machine.path("log/count"));
    assert_eq!(numbers.first(), Some(&1));
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "a line is missing or came twice");
}

#[test]
fn a_full_disk_stops_no_service_and_what_was_dropped_is_said() {
    let machine = Plan::new()
        .file("units/sexton.toml", SETTINGS)
        .setup("mkdir -p @DIR@/log && mount -t tmpfs -o size=256k none @DIR@/log")
        .unit(
            "chatty",
            "[service]\nexec = [\"/bin/sh\", \"-c\", \"seq 1 300000; echo yes > @DIR@/done; exec sleep 1000\"]\n",
        )
        .up();
    machine.await_file("done");
    until("it is said", || {
        let console = machine.console();
        let said = console
            .lines()
            .find(|line| line.contains("chatty: ") && line.contains("lines dropped: cannot write to"))?;
        said.to_lowercase().contains("no space left").then_some(())
    });
    assert_eq!(machine.state("chatty"), "ready");
    let inside = format!("/proc/{}/root{}", machine.pid1(), machine.path("log/chatty/current").display());
    let text = fs::read_to_string(&inside).unwrap_or_else(|error| panic!("{inside}: {error}"));
    assert!(text.ends_with('\n') && text.len() > 50_000, "{}", text.len());
    assert!(text.lines().all(|line| line.contains(" stdout F ")), "a torn line");
}

#[test]
fn a_directory_that_cannot_be_written_stops_no_service() {
    let machine = Plan::new()
        .file("units/sexton.toml", SETTINGS)
        .file("log", "a file where the directory should be")
        .unit(
            "x",
            "[service]\nexec = [\"/bin/sh\", \"-c\", \"seq 1 100000; echo yes > @DIR@/done; exec sleep 1000\"]\n",
        )
        .up();
    machine.await_file("done");
    until("it is said", || machine.console().contains("lines dropped: cannot write to").then_some(()));
    assert_eq!(machine.state("x"), "ready");
}

#[test]
fn bytes_of_every_kind_and_a_line_of_many_megabytes_survive_in_a_raw_file() {
    let script = "printf 'a\\\\000b\\\\377c\\\\r\\\\n'; head -c 20000000 /dev/zero | tr '\\\\000' x; printf '\\\\nno newline'; echo yes > @DIR@/done";
    let machine = Plan::new()
        .file("units/sexton.toml", SETTINGS)
        .unit("x", &format!("[task]\nexec = [\"/bin/sh\", \"-c\", \"{script}\"]\n[log]\nformat = \"raw\"\nmax-size = \"100MiB\"\n"))
        .up();
    machine.await_file("done");
    let mut expected = b"a\0b\xffc\r\n".to_vec();
    expected.resize(expected.len() + 20_000_000, b'x');
    expected.extend(b"\nno newline\n");
    let path = machine.path("log/x/current");
    until("all of it is there", || {
        (fs::read(&path).unwrap_or_default().len() >= expected.len()).then_some(())
    });
    assert!(fs::read(&path).unwrap_or_default() == expected, "the bytes differ");
    let mode = |path: &Path| fs::metadata(path).map(|data| data.permissions().mode() & 0o7777).unwrap_or(0);
    assert_eq!((mode(&path), mode(&machine.path("log/x"))), (0o640, 0o750));
}

#[test]
fn logs_are_shown_by_unit_by_pattern_by_what_they_match_and_as_objects() {
    let unit =
        |words: &str| format!("[service]\nexec = [\"/bin/sh\", \"-c\", \"{words}; exec sleep 1000\"]\n");
    let machine = Plan::new()
        .file("units/sexton.toml", SETTINGS)
        .unit("web@a", &unit("echo one; echo two >&2"))
        .unit("web@b", &(unit("echo three") + "[log]\nformat = \"json\"\n"))
        .unit("db", &unit("echo four"))
        .up();
    let logs = |words: &[&str]| machine.sexton(&[&["logs"], words].concat()).all();
    until("all have written", || {
        (logs(&[]).lines().filter(|line| !line.starts_with("sexton")).count() >= 4).then_some(())
    });
    let web = logs(&["web@*"]);
    assert_eq!(web.lines().count(), 3, "{web}");
    assert!(web.lines().all(|line| line.starts_with("web@")), "{web}");
    assert_eq!(logs(&["web@a", "--grep", "^tw."]).lines().count(), 1);
    assert_eq!(logs(&["web@*", "-n", "2"]).lines().count(), 2);
    let object: serde_json::Value =
        serde_json::from_str(logs(&["--json", "web@b"]).trim()).expect("an object");
    assert_eq!((object["unit"].as_str(), object["line"].as_str()), (Some("web@b"), Some("three")));
    assert!(object["pid"].as_i64().is_some_and(|pid| pid > 0), "{object}");
    let stderr = logs(&["--json", "--grep", "two", "web@a"]);
    assert!(stderr.contains("\"stream\":\"stderr\""), "{stderr}");
    let nothing = machine.sexton(&["logs", "nobody"]);
    assert!(
        !nothing.ok() && nothing.all().contains("there are no log files of 'nobody'"),
        "{}",
        nothing.all()
    );
}

#[test]
fn what_is_followed_comes_across_rotations_and_ends_with_its_reader() {
    let machine = counting("format = \"raw\"\nmax-size = \"1MiB\"\nkeep = 1000\n");
    let script =
        machine.fill("@SEXTON@ logs -f count | head -n 200000 > @DIR@/followed; echo yes > @DIR@/over");
    // The follower ends only because `head` does.
    let _ended = machine.shell(&script);
    machine.await_file("over");
    machine.sexton(&["stop", "count"]).expect(0);
    let text = machine.read("followed");
    let numbers: Vec<u64> = text.lines().filter_map(|line| line.split(' ').nth(1)?.parse().ok()).collect();
    assert_eq!(numbers.len(), 200_000);
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "a line is missing or came twice");
    assert!(files(&machine.path("log/count")).len() > 2, "there was a rotation");
}

#[test]
fn restarts_leave_no_descriptor_behind() {
    let machine = Plan::new()
        .file("units/sexton.toml", SETTINGS)
        // Readiness by a line takes new pipes for each start.
        .unit(
            "x",
            "[service]\nexec = [\"/bin/sh\", \"-c\", \"echo up; echo >> @DIR@/starts\"]\n[ready]\nlog = \"up\"\n[restart]\non = \"always\"\ndelay = \"0ms\"\nmax-delay = \"0ms\"\nlimit = 1000000\n",
        )
        .up();
    let descriptors = |pid: i32| fs::read_dir(format!("/proc/{pid}/fd")).map(|fds| fds.count()).unwrap_or(0);
    let starts = || machine.read("starts").lines().count();
    until("it has started ten times", || (starts() >= 10).then_some(()));
    let logger = until("a logger runs", || logger(&machine));
    let before = (descriptors(machine.pid1().as_raw()), descriptors(logger));
    until("it has started two hundred times more", || (starts() >= 210).then_some(()));
    machine.sexton(&["stop", "x"]).expect(0);
    until("as many are open as before", || {
        let after = (descriptors(machine.pid1().as_raw()), descriptors(logger));
        (after.0 <= before.0 + 8 && after.1 <= before.1 + 8).then_some(())
    });
}

#[test]
fn the_first_lines_after_a_restart_never_name_another_process_than_wrote_them() {
    let machine = Plan::new()
        .file("units/sexton.toml", SETTINGS)
        .unit(
            "x",
            "[service]\nexec = [\"/bin/sh\", \"-c\", \"echo $$$$; echo $$$$ >&2\"]\n[log]\nformat = \"json\"\n[restart]\non = \"always\"\ndelay = \"0ms\"\nmax-delay = \"0ms\"\nlimit = 1000\nwindow = \"1ms\"\n",
        )
        .up();
    until("it was restarted often", || (machine.unit("x").restarts >= 200).then_some(()));
    machine.sexton(&["stop", "x"]).expect(0);
    let text = fs::read_to_string(machine.path("log/x/current")).expect("its log");
    let mut n_named = 0;
    for line in text.lines() {
        let object: serde_json::Value = serde_json::from_str(line).expect("an object");
        let (pid, said) = (object.get("pid"), object["line"].as_str().expect("a line"));
        assert!(pid.is_none_or(|pid| said.parse() == Ok(pid.as_i64().unwrap_or(0))), "{line}");
        n_named += usize::from(pid.is_some());
    }
    assert!(n_named > 0 && text.lines().count() >= 200, "{n_named}");
}

#[test]
fn since_shows_what_is_younger_and_passes_over_the_rest() {
    let machine = Plan::new().file("units/sexton.toml", SETTINGS).up();
    let stamp = |age: u64| {
        let at = SystemTime::now() - Duration::from_secs(age);
        humantime::format_rfc3339_micros(at).to_string()
    };
    let lines = [(7200, "two hours"), (1200, "twenty minutes"), (300, "five minutes"), (1, "now")];
    let text: String =
        lines.iter().map(|(age, words)| format!("{} stdout F {words}\n", stamp(*age))).collect();
    fs::create_dir_all(machine.path("log/x")).expect("a directory");
    fs::write(machine.path("log/x/current"), text).expect("a file");
    let shown = |words: &[&str]| {
        let all = machine.sexton(&[&["logs", "x"], words].concat()).expect(0).all();
        lines.iter().filter(|(_, words)| all.contains(words)).map(|(age, _)| *age).collect::<Vec<u64>>()
    };
    assert_eq!(shown(&[]), [7200, 1200, 300, 1]);
    assert_eq!(shown(&["--since", "30m"]), [1200, 300, 1]);
    assert_eq!(shown(&["--since", "10m"]), [300, 1]);
    assert_eq!(shown(&["--since", "10m", "-n", "1"]), [1]);
    let bad = machine.sexton(&["logs", "x", "--since", "yesterday"]);
    assert!(!bad.ok() && bad.all().contains("yesterday"), "{}", bad.all());
}

#[test]
fn a_start_and_a_restart_that_fail_and_why_and_status_show_the_last_words_wherever_they_went() {
    for to in ["file", "console", "null"] {
        let script = "test -e @DIR@/fine || { echo the till is locked; exit 3; }; rm @DIR@/fine; echo up; exec sleep 1000";
        let machine = Plan::new()
            .file("units/sexton.toml", SETTINGS)
            .unit(
                "x",
                &format!(
                    "manual = true\n[service]\nexec = [\"/bin/sh\", \"-c\", \"{script}\"]\n[ready]\nlog = \"up\"\n\
                     [restart]\non = \"never\"\n[log]\nto = \"{to}\"\n"
                ),
            )
            .up();
        let fails = |words: [&str; 2]| {
            let failed = machine.sexton(&words);
            assert!(!failed.ok() && failed.all().contains("the till is locked"), "{to}: {}", failed.all());
            for words in [["why", "x"], ["status", "x"]] {
                let said = machine.sexton(&words).all();
                assert!(said.contains("the till is locked"), "{to}, {words:?}: {said}");
            }
        };
        fails(["start", "x"]);
        machine.write("fine", "");
        machine.sexton(&["start", "x"]).expect(0);
        fails(["restart", "x"]);
    }
}
