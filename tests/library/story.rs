//! What every unit of the library has to do, with its daemon, from a clean machine to its second life.
//!
//! ```text
//!   first start ─▶ its client gets "one" ─▶ its user, its capabilities
//!     ─▶ broken: restart and reload are refused with 3, in the daemon's words; the old process says "one"
//!     ─▶ "two": restarted, a new process ─▶ "three": reloaded, the same process
//!     ─▶ stopped within its steps ─▶ started: "three", and its data is there ─▶ a second instance beside it
//! ```

use std::time::Duration;

use sexton::model::security::Capabilities;

use crate::case::{Case, Reload, part, tables, unit_text, words};
use crate::harness::{Finished, Machine, Plan, needs, within};

/// A database makes its data directory first, and two cores run many tests.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The exit status of a command that was refused: nothing was touched.
const REFUSED: i32 = 3;

/// Mounts of the machine's own over all that a daemon writes, and over them the files that the test brings.
const PRIVATE: &str = "set -e
mkdir -p @DIR@/private @DIR@/root
mount -t tmpfs -o mode=0755 private @DIR@/private
for tree in etc var; do
  mkdir -p @DIR@/private/$tree @DIR@/private/$tree.work
  mount -t overlay -o lowerdir=/$tree,upperdir=@DIR@/private/$tree,workdir=@DIR@/private/$tree.work over /$tree
done
mount -t tmpfs -o mode=1777 memory /dev/shm
mount -t tmpfs -o mode=1777 memory /tmp/sexton-library
cp -r @DIR@/root/. /";

/// A machine with the daemon's files, whose word of the day is "one", and no unit.
pub fn plan(case: &Case) -> Plan {
    for (program, package) in case.needs {
        needs(program, package);
    }
    std::fs::create_dir_all("/tmp/sexton-library").unwrap_or_else(|e| panic!("/tmp/sexton-library: {e}"));
    let brought = case.files.iter().map(|(path, text)| (*path, (*text).to_owned()));
    let files = brought.chain(case.worded("one"));
    let plan = files.fold(Plan::new(), |plan, (path, text)| plan.file(&format!("root{path}"), &text));
    let plan =
        case.drop_ins.iter().fold(plan, |plan, (path, text)| plan.file(&format!("units/{path}"), text));
    case.setup.iter().fold(plan.setup(PRIVATE), |plan, line| plan.setup(line))
}

/// Tells the whole story of a case.
pub fn tell(case: &Case) {
    let beside = case.beside.iter().fold(plan(case), |plan, file| plan.unit(file, &unit_text(file)));
    let machine = beside.unit(case.file, &case.text()).up();
    machine.await_state_within(PATIENCE, case.unit, "ready");
    says(case, &machine, "one");
    is_bounded(case, &machine);
    if let Some(data) = &case.data {
        machine.run(&["/bin/bash", "-c", data.write]).expect(0);
    }
    refuses(case, &machine, "restart");
    if case.reload != Reload::HasNone {
        refuses(case, &machine, "reload");
    }
    let word = takes(case, &machine);
    stops(case, &machine);
    machine.sexton(&["start", case.unit]).expect(0);
    says(case, &machine, word);
    if let Some(data) = &case.data {
        let read = machine.run(&["/bin/bash", "-c", data.read]).all();
        assert!(read.contains(data.holds), "{} has lost its data: '{read}'", case.unit);
    }
    has_twin(case, &machine, word);
}

/// Asks its client.
pub fn asked(machine: &Machine, line: &str) -> Finished {
    machine.run(&["/bin/bash", "-c", line])
}

/// What was ready answers at the first attempt.
#[track_caller]
fn says(case: &Case, machine: &Machine, word: &str) {
    let (answer, expected) = (asked(machine, case.ask).all(), case.expected(word));
    assert!(answer.contains(expected), "{} says '{answer}', not '{expected}'", case.unit);
}

/// Writes a file of the machine's own. It is copied inside: from outside a link in it would lead to the files outside.
#[track_caller]
pub fn put(machine: &Machine, path: &str, text: &str) {
    machine.write("new", text);
    machine.run(&["cp", &machine.path("new").display().to_string(), path]).expect(0);
}

#[track_caller]
fn configure(case: &Case, machine: &Machine, word: &str) {
    if let Some((path, text)) = case.worded(word) {
        put(machine, path, &text);
    }
}

/// Whose its main process is, and that neither it nor a child of it has or can have more than the unit names.
#[track_caller]
fn is_bounded(case: &Case, machine: &Machine) {
    let pid = machine.main_pid(case.unit);
    let user = machine.run(&["stat", "-c", "%U", &format!("/proc/{pid}")]).out;
    assert_eq!(user.trim(), case.user, "the user of {}", case.unit);
    if !case.unbounded.is_empty() {
        return;
    }
    let named = words(&part(&tables(case.file), "security"), "capabilities");
    let set = named
        .iter()
        .map(|name| name.trim_start_matches('-'))
        .fold(Capabilities::default(), |set, name| set.with(name).unwrap_or(set));
    let children = machine.run(&["pgrep", "-P", &pid.to_string()]).out;
    for process in std::iter::once(pid.to_string()).chain(children.lines().map(str::to_owned)) {
        let status = machine.run(&["cat", &format!("/proc/{process}/status")]).out;
        for field in ["CapEff:", "CapPrm:", "CapBnd:", "CapAmb:"] {
            let found = status.lines().find_map(|line| line.strip_prefix(field));
            // A child may be gone by now.
            let Some(found) = found.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()) else {
                continue;
            };
            let more = Capabilities::from_bits(found & !set.bits());
            assert_eq!(more.bits(), 0, "{field} of {process} of {} holds {more:?} beyond {set:?}", case.unit);
        }
    }
}

/// Each broken configuration is refused by `verb`, in the daemon's own words, and the process serves as before.
#[track_caller]
fn refuses(case: &Case, machine: &Machine, verb: &str) {
    let old = machine.main_pid(case.unit);
    for (text, words) in case.broken {
        let Some((path, _)) = case.config else { panic!("{} has nothing to break", case.unit) };
        put(machine, path, text);
        let refused = machine.sexton(&[verb, case.unit]).expect(REFUSED).all();
        assert!(refused.contains(words), "'{words}' is not in:\n{refused}");
        assert_eq!(machine.main_pid(case.unit), old, "{refused}");
        says(case, machine, "one");
    }
    configure(case, machine, "one");
}

/// Good configurations come into force; the word of the day at the end.
#[track_caller]
fn takes(case: &Case, machine: &Machine) -> &'static str {
    let old = machine.main_pid(case.unit);
    configure(case, machine, "two");
    machine.sexton(&["restart", case.unit]).expect(0);
    says(case, machine, "two");
    let new = machine.main_pid(case.unit);
    assert_ne!(new, old, "{}", machine.console());
    configure(case, machine, "three");
    if case.reload == Reload::HasNone {
        let refused = machine.sexton(&["reload", case.unit]).expect(REFUSED).all();
        assert!(refused.contains("no [reload]"), "{refused}");
        says(case, machine, "two");
        return "three";
    }
    machine.sexton(&["reload", case.unit]).expect(0);
    if case.reload == Reload::TakesWord {
        // Old workers may give the last old answers.
        within(PATIENCE, &format!("{} says 'three'", case.unit), || {
            asked(machine, case.ask).all().contains(case.expected("three")).then_some(())
        });
    }
    assert_eq!(machine.main_pid(case.unit), new, "{}", machine.console());
    "three"
}

/// It ends by itself, within the steps of its unit, and in a way that the unit calls clean.
#[track_caller]
fn stops(case: &Case, machine: &Machine) {
    let pid = machine.main_pid(case.unit);
    machine.sexton(&["stop", case.unit]).expect(0);
    let status = machine.unit(case.unit);
    assert_eq!(status.state, "stopped", "{:?}", status.reason);
    assert!(!machine.lives(pid), "{} outlived its stop", case.unit);
    let ended = status.last_end.unwrap_or_default();
    assert!(!ended.contains("KILL"), "{} {ended}", case.unit);
}

/// A second instance beside the first.
#[track_caller]
fn has_twin(case: &Case, machine: &Machine, word: &str) {
    let Some(twin) = &case.twin else {
        assert!(!case.file.ends_with('@'), "{} is a template: its case has a twin", case.file);
        return;
    };
    machine.sexton(&["start", twin.unit]).expect(0);
    let answer = asked(machine, twin.ask).all();
    assert!(answer.contains(twin.answer), "{} says '{answer}', not '{}'", twin.unit, twin.answer);
    says(case, machine, word);
    assert_ne!(machine.main_pid(twin.unit), machine.main_pid(case.unit));
}
