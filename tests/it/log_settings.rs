//! Where log files are and whose, and what does not fit into a line.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::harness::{Machine, Plan, needs, until, within};

const SETTINGS: &str = "[log]\nto = \"file\"\ndirectory = \"@DIR@/log\"\n";
/// What a hundred megabytes take on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(120);
/// `daemon`, on every Debian.
const GROUP: u32 = 1;

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn numbers(path: &Path) -> Vec<u64> {
    let all = text(path);
    all.lines().map(|line| line.parse().unwrap_or_else(|_| panic!("no number: {line:?}"))).collect()
}

#[test]
fn a_sync_takes_another_directory_and_group_while_units_run_and_loses_no_line() {
    let script = "n=0; while :; do n=$((n + 1)); echo $n; sleep 0.01; done\n";
    let machine = Plan::new()
        .file("units/sexton.toml", &format!("{SETTINGS}format = \"raw\"\n"))
        .file("count.sh", script)
        .unit("x", "[service]\nexec = [\"/bin/sh\", \"@DIR@/count.sh\"]\n")
        .up();
    let (old, new) = (machine.path("log/x/current"), machine.path("other/x/current"));
    until("lines are in the first", || (!text(&old).is_empty()).then_some(()));
    let pid = machine.ready_pid("x");
    let settings =
        "[log]\nto = \"file\"\ndirectory = \"@DIR@/other\"\ngroup = \"daemon\"\nformat = \"raw\"\n";
    machine.write("units/sexton.toml", &machine.fill(settings));
    machine.sexton(&["sync"]).expect(0);
    until("lines are in the other", || (text(&new).lines().count() > 5).then_some(()));
    assert_eq!(machine.ready_pid("x"), pid, "nothing was restarted");
    machine.sexton(&["stop", "x"]).expect(0);
    let all = [numbers(&old), numbers(&new)].concat();
    assert_eq!(all, (1..=all.len() as u64).collect::<Vec<u64>>());
    let facts = |path: &Path| fs::metadata(path).map(|data| (data.gid(), data.mode() & 0o7777));
    assert_eq!(facts(&new).expect("the file"), (GROUP, 0o640));
    assert_eq!(facts(&machine.path("other/x")).expect("the directory"), (GROUP, 0o750));
    may_read(&machine, &format!("{}\n", all.len()));
}

/// Members of the group may read, others are told why they may not.
fn may_read(machine: &Machine, last: &str) {
    let setpriv = needs("setpriv", "util-linux");
    let read_as = |group: &str| {
        let words = format!(
            "{setpriv} --reuid=65534 --regid={group} --clear-groups @SEXTON@ logs --dir @DIR@/other -n 1 x"
        );
        machine.shell(&machine.fill(&words))
    };
    let member = read_as("1");
    assert!(member.ok() && member.all() == last, "{}", member.all());
    let stranger = read_as("65534");
    let why = "permission denied; log files are for sexton's user and for the group that [log] group names";
    assert!(!stranger.ok() && stranger.all().contains(why), "{}", stranger.all());
}

#[test]
fn a_filter_of_an_instance_knows_which_one_it_is() {
    let sed = needs("sed", "sed");
    let machine = Plan::new()
        .file("units/sexton.toml", &format!("{SETTINGS}format = \"raw\"\n"))
        .unit(
            "x@",
            &format!(
                "[instances]\nnames = [\"a\", \"b\"]\n[service]\nexec = [\"/bin/sh\", \"-c\", \"echo up; exec sleep 100000\"]\n[log]\nthrough = [\"{sed}\", \"-u\", \"s/^/%i: /\"]\n"
            ),
        )
        .up();
    for instance in ["a", "b"] {
        let path = machine.path(&format!("log/x@{instance}/current"));
        until("its line is there", || text(&path).ends_with('\n').then_some(()));
        assert_eq!(text(&path), format!("{instance}: up\n"));
    }
}

#[test]
fn a_line_of_a_hundred_mebibytes_is_cut_in_parts_that_say_so_and_costs_no_memory() {
    const SIZE: usize = 100 << 20;
    const MAX_LINE: usize = 16 << 10;
    let script =
        format!("head -c {SIZE} /dev/zero | tr '\\\\000' x; echo; echo yes > @DIR@/done; exec sleep 100000");
    let machine = Plan::new()
        .file("units/sexton.toml", SETTINGS)
        .unit(
            "x",
            &format!("[service]\nexec = [\"/bin/sh\", \"-c\", \"{script}\"]\n[log]\nmax-size = \"500MiB\"\nmax-line = \"16KiB\"\n"),
        )
        .up();
    within(PATIENCE, "all is written", || (!machine.read("done").is_empty()).then_some(()));
    let path = machine.path("log/x/current");
    let all = within(PATIENCE, "the line ends", || {
        fs::metadata(&path).is_ok_and(|data| data.len() > SIZE as u64).then_some(())?;
        Some(text(&path)).filter(|all| all.lines().last().is_some_and(|line| line.contains(" stdout F ")))
    });
    let (mut sum, mut n_ends) = (0, 0);
    for line in all.lines() {
        let (ending, part) =
            line.split_once(" stdout ").and_then(|(_, rest)| rest.split_once(' ')).expect("a form");
        assert!(part.len() <= MAX_LINE && part.bytes().all(|byte| byte == b'x'), "{}", part.len());
        n_ends += usize::from(ending == "F");
        sum += part.len();
    }
    assert_eq!((sum, n_ends), (SIZE, 1));
    let name = |pid: i32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let logger = machine.processes().into_iter().find(|(pid, _)| name(*pid).starts_with("sexton-logger"));
    let status = text(Path::new(&format!("/proc/{}/status", logger.expect("a logger runs").0)));
    let own = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB"));
    assert!(own.expect("RssAnon").parse::<u64>().expect("a number") < 2 * 1024, "{own:?} KiB");
}
