//! `sexton list`: a line a unit; what is wrong with one stands where its description would.

use crate::control::wire::UnitStatus;
use crate::engine::Phase;

use super::super::style::{Align, Ink, Style, Table};
use super::{remark, spoken};

/// All of `units`, under a heading, in the order given; on a terminal with their number by state below.
pub fn list(style: &Style, units: &[UnitStatus]) -> String {
    let right = Align::Right;
    let mut table = Table::new(&[Align::Left, Align::Left, Align::Left, right, right, Align::Left]);
    let headings = ["NAME", "STATE", "SINCE", "PID", "RESTARTS", "DESCRIPTION"];
    table.row(headings.map(|heading| (Ink::Faint, heading.to_owned())).into());
    for unit in units {
        let ink = Ink::of_state(&unit.state);
        let pid = unit.main_pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let words = match (&unit.reason, remark(unit)) {
            (Some(reason), _) => (ink, reason.clone()),
            (None, Some(remark)) => (Ink::Busy, remark),
            (None, None) => (Ink::Plain, unit.description.clone()),
        };
        table.row(vec![
            (Ink::Strong, unit.name.clone()),
            (ink, unit.state.clone()),
            (Ink::Plain, spoken(unit.since_usec)),
            (Ink::Plain, pid),
            (Ink::Plain, unit.restarts.to_string()),
            words,
        ]);
    }
    let mut out = table.render(style, 0);
    if style.width.is_some() {
        let count = |state: &str| units.iter().filter(|unit| unit.state == state).count();
        out += &format!("\n{}\n", census(style, units.len(), count));
    }
    out
}

/// `5 units: 3 ready, 1 done, 1 failed`.
pub(super) fn census(style: &Style, total: usize, count: impl Fn(&str) -> usize) -> String {
    let states: Vec<String> = Phase::ALL
        .into_iter()
        .map(|phase| (phase.as_str(), count(phase.as_str())))
        .filter(|(_, number)| *number > 0)
        .map(|(state, number)| style.paint(Ink::of_state(state), &format!("{number} {state}")))
        .collect();
    let noun = if total == 1 { "unit" } else { "units" };
    if states.is_empty() {
        format!("{total} {noun}")
    } else {
        format!("{total} {noun}: {}", states.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{store, unit, web};
    use super::*;
    use crate::cli::style::Colour;

    #[test]
    fn a_pipe_gets_aligned_columns_and_the_reason_of_what_failed() {
        let units = [store(), web(), unit("redis@6380", "waiting", 0)];
        assert_eq!(
            list(&Style::PLAIN, &units),
            "\
NAME        STATE    SINCE      PID  RESTARTS  DESCRIPTION
store       ready    3 min 5 s    7         0  Keeps what the others know
web         failed   12 s         -         5  exited with code 1 before it was ready
redis@6380  waiting  0 ms         -         0
"
        );
    }

    #[test]
    fn a_terminal_gets_colour_an_end_of_lines_and_a_census() {
        let style = Style { colour: Colour::On, width: Some(60) };
        assert_eq!(
            list(&style, &[web()]),
            "\x1b[2mNAME\x1b[0m  \x1b[2mSTATE\x1b[0m   \x1b[2mSINCE\x1b[0m  \x1b[2mPID\x1b[0m  \
             \x1b[2mRESTARTS\x1b[0m  \x1b[2mDESCRIPTION\x1b[0m\n\
             \x1b[1mweb\x1b[0m   \x1b[1;31mfailed\x1b[0m  12 s     -         5  \
             \x1b[1;31mexited with code 1 befo…\x1b[0m\n\n1 unit: \x1b[1;31m1 failed\x1b[0m\n"
        );
    }

    #[test]
    fn what_runs_otherwise_than_the_disk_says_is_told_where_there_is_no_reason() {
        let changed = || vec!["its unit file".to_owned(), "its configuration".to_owned()];
        let units = [
            UnitStatus { file_gone: Some("/u/a.toml".into()), ..unit("a", "ready", 1) },
            UnitStatus {
                changed_since_start: changed(),
                test_failed_ago_usec: Some(60_000_000),
                ..unit("b", "ready", 1)
            },
            UnitStatus { changed_since_start: changed(), ..web() },
        ];
        let listed = list(&Style::PLAIN, &units);
        for words in [
            "a     ready   1 s      -         0  its file is gone: /u/a.toml; the next sync stops it",
            "b     ready   1 s      -         0  its unit file and its configuration changed since start; its last test failed 1 min ago",
            "web   failed  12 s     -         5  exited with code 1 before it was ready",
        ] {
            assert!(listed.lines().any(|line| line == words), "{words}\n{listed}");
        }
    }

    #[test]
    fn no_description_can_command_the_terminal() {
        let unit = UnitStatus { description: "\x1b[2Jgone".into(), ..store() };
        assert!(list(&Style::PLAIN, &[unit]).contains("\\x1b[2Jgone"));
    }
}
