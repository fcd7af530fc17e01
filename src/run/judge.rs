//! What the end of a process and its output mean, where the unit file says more than "0 is good".
//!
//! ```text
//!   configuration test   code in codes-ok ─▶ nothing matches fail-output ─▶ something matches ok-output ─▶ passed
//!   pre-stop hook        exit 0 ─▶ its until is met: passed; else: not yet
//!   any other command    exit 0 ─▶ passed
//! ```
//!
//! A daemon's word is taken only together with its status and its status only together with its word: redis has no
//! test and fails with 1 on purpose once it has read its file, mariadb prints `[ERROR]` and exits with 0.

use regex_lite::Regex;

use crate::engine::{Cause, Complaint, Role, Trial, Verdict};
use crate::model::process::Ending;
use crate::model::unit::{ConfigTest, PreStop, Program, Until};
use crate::model::{ExitStatus, Number};

/// How many lines of output a complaint has at most.
pub const LINES: usize = 40;

/// What a process wrote, as far as it was kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard<'a> {
    /// What is judged: its standard output, with standard error in it where nobody asks for the difference.
    pub answer: &'a [u8],
    /// Its standard error, where that was kept apart.
    pub aside: &'a [u8],
}

/// Judges a process by its role. A unit that has nothing of that role any more is judged by the status alone.
pub fn judge(program: Option<&Program>, role: Role, status: ExitStatus, heard: Heard<'_>) -> Verdict {
    match role {
        Role::ConfigTest | Role::Trial(Trial::ConfigTest) => {
            match program.and_then(|program| program.configtest.as_deref()) {
                Some(test) => config_test(test, status, heard),
                None => command(status, heard),
            }
        }
        Role::PreStop(place) => {
            match program.and_then(|program| program.hooks.pre_stop.get(usize::from(place))) {
                Some(hook) => pre_stop(hook, status, heard),
                None => command(status, heard),
            }
        }
        _ => command(status, heard),
    }
}

/// Has its standard error to be kept apart? A warning of a client may begin with a number, and is no answer.
pub fn is_answer_apart(program: &Program, role: Role) -> bool {
    match role {
        Role::PreStop(place) => {
            let hook = program.hooks.pre_stop.get(usize::from(place));
            matches!(
                hook.and_then(|hook| hook.until.as_ref()),
                Some(Until::NumberBelow(_) | Until::Matches(_))
            )
        }
        _ => false,
    }
}

fn config_test(test: &ConfigTest, status: ExitStatus, heard: Heard<'_>) -> Verdict {
    let text = String::from_utf8_lossy(heard.answer);
    let failed = |cause| failed_test(test, cause, &text, heard);
    match status.ending() {
        Ending::Code(code) if test.codes_ok.contains(&code) => {}
        Ending::Code(_) | Ending::Signal(_) | Ending::Unknown => return failed(Cause::Status(status)),
    }
    // What is no expression was refused when the unit was read; were it not, nothing would be proven by it.
    if let Some(pattern) = &test.fail_output
        && matches(pattern, &text) != Some(false)
    {
        return failed(Cause::Matched(pattern.clone()));
    }
    if let Some(pattern) = &test.ok_output
        && matches(pattern, &text) != Some(true)
    {
        return failed(Cause::NoMatch(pattern.clone()));
    }
    Verdict::Passed { number: None }
}

/// The lines that it must not print are the complaint, where there are any: some daemons print all their settings after them.
fn failed_test(test: &ConfigTest, cause: Cause, text: &str, heard: Heard<'_>) -> Verdict {
    let regex = test.fail_output.as_ref().and_then(|pattern| Regex::new(pattern).ok());
    let is_wrong = |line: &&str| regex.as_ref().is_some_and(|regex| regex.is_match(line));
    let output: Vec<String> = text.lines().filter(is_wrong).take(LINES).map(str::to_owned).collect();
    if output.is_empty() {
        return failed(cause, heard);
    }
    Verdict::Failed(Box::new(Complaint { cause, output }))
}

fn pre_stop(hook: &PreStop, status: ExitStatus, heard: Heard<'_>) -> Verdict {
    let met = |is_met, number| if is_met { Verdict::Passed { number } } else { Verdict::NotYet { number } };
    match (&hook.until, status.ending()) {
        (Some(Until::Exit(wanted)), Ending::Code(code)) => met(code == *wanted, None),
        (Some(Until::NumberBelow(bound)), Ending::Code(0)) => {
            let number = Number::first_in(&String::from_utf8_lossy(heard.answer));
            met(number.is_some_and(|number| number < *bound), number)
        }
        (Some(Until::Matches(pattern)), Ending::Code(0)) => {
            met(matches(pattern, &String::from_utf8_lossy(heard.answer)) == Some(true), None)
        }
        (_, _) => command(status, heard),
    }
}

fn command(status: ExitStatus, heard: Heard<'_>) -> Verdict {
    if status.is_success() { Verdict::Passed { number: None } } else { failed(Cause::Status(status), heard) }
}

/// None: it is no regular expression.
fn matches(pattern: &str, text: &str) -> Option<bool> {
    Regex::new(pattern).ok().map(|regex| regex.is_match(text))
}

fn failed(cause: Cause, heard: Heard<'_>) -> Verdict {
    let mut output = last_lines(heard.answer);
    output.extend(last_lines(heard.aside));
    output.drain(..output.len().saturating_sub(LINES));
    Verdict::Failed(Box::new(Complaint { cause, output }))
}

/// The last lines of an output, without empty ones at its ends.
fn last_lines(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.trim_matches(['\n', '\r']).lines().collect();
    let from = lines.len().saturating_sub(LINES);
    lines.into_iter().skip(from).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::unit::{Occasions, OnPreStopFailure};
    use crate::model::{Command, Signal, Text};
    use std::time::Duration;

    fn heard(answer: &str) -> Heard<'_> {
        Heard { answer: answer.as_bytes(), aside: b"" }
    }

    fn exec() -> Command {
        Command::new(vec![Text::parse("x").unwrap()]).unwrap()
    }

    fn test(codes_ok: &[u8], ok: Option<&str>, fail: Option<&str>) -> ConfigTest {
        ConfigTest {
            exec: exec(),
            codes_ok: codes_ok.into(),
            ok_output: ok.map(str::to_owned),
            fail_output: fail.map(str::to_owned),
            run_as: None,
            timeout: Duration::from_secs(1),
            files: Vec::new(),
        }
    }

    fn hook(until: Option<Until>) -> PreStop {
        PreStop {
            name: "flush".to_owned(),
            exec: exec(),
            undo: None,
            until,
            every: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            on_failure: OnPreStopFailure::Abort,
            on: Occasions::ALL,
            run_as: None,
        }
    }

    fn complaint(verdict: Verdict) -> Complaint {
        match verdict {
            Verdict::Failed(complaint) => *complaint,
            other => panic!("{other:?}"),
        }
    }

    const PASSED: Verdict = Verdict::Passed { number: None };

    #[test]
    fn a_test_passes_with_a_good_code_alone_and_a_signal_is_never_one() {
        let nginx = test(&[0], None, None);
        assert_eq!(config_test(&nginx, ExitStatus::exited(0), heard("")), PASSED);
        let words = "nginx: [emerg] unknown directive \"lisen\" in /etc/nginx/nginx.conf:3\n\
                     nginx: configuration file /etc/nginx/nginx.conf test failed\n";
        let said = complaint(config_test(&nginx, ExitStatus::exited(1), heard(words)));
        assert_eq!(said.cause, Cause::Status(ExitStatus::exited(1)));
        assert_eq!(said.output.first().map(String::as_str), words.lines().next());
        assert_eq!(said.output.len(), 2);
        for status in
            [ExitStatus::exited(2), ExitStatus::killed(Signal::QUIT), ExitStatus::killed(Signal::HUP)]
        {
            assert_eq!(complaint(config_test(&nginx, status, heard(""))).cause, Cause::Status(status));
        }
    }

    #[test]
    fn redis_which_has_no_test_shows_by_its_last_complaint_that_it_read_the_file() {
        // redis-server FILE --sexton-sentinel yes: it fails of the sentinel only if all before it was fine.
        let redis = test(&[1], Some("'sexton-sentinel"), None);
        let good = "*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\nReading the configuration file, at line 40\n\
                    >>> 'sexton-sentinel \"yes\"'\nBad directive or wrong number of arguments\n";
        let bad = "*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\nReading the configuration file, at line 2\n\
                   >>> 'prot 6379'\nBad directive or wrong number of arguments\n";
        assert_eq!(config_test(&redis, ExitStatus::exited(1), heard(good)), PASSED);
        let said = complaint(config_test(&redis, ExitStatus::exited(1), heard(bad)));
        assert_eq!(said.cause, Cause::NoMatch("'sexton-sentinel".to_owned()));
        assert!(said.output.contains(&">>> 'prot 6379'".to_owned()));
        // One that takes the option for good and exits with 0 has shown nothing.
        assert!(matches!(config_test(&redis, ExitStatus::exited(0), heard(good)), Verdict::Failed(_)));
    }

    #[test]
    fn mariadb_which_says_error_and_exits_with_0_is_not_believed() {
        let mariadb = test(&[0], None, Some(r"\[ERROR\]"));
        let bad = "2026-11-22 19:00:00 0 [ERROR] mariadbd: unknown variable 'max_conections=10'\n";
        assert_eq!(
            complaint(config_test(&mariadb, ExitStatus::exited(0), heard(bad))).cause,
            Cause::Matched(r"\[ERROR\]".to_owned())
        );
        assert_eq!(config_test(&mariadb, ExitStatus::exited(0), heard("mariadbd  Ver 10.11.6\n")), PASSED);
    }

    #[test]
    fn what_must_not_be_printed_is_shown_however_much_follows_it() {
        let settings = "max-connections  151\n".repeat(2000);
        let text = format!("one [ERROR] here\n{settings}two [ERROR] there\n");
        let verdict = config_test(&test(&[0], None, Some(r"\[ERROR\]")), ExitStatus::exited(0), heard(&text));
        assert_eq!(complaint(verdict).output, ["one [ERROR] here", "two [ERROR] there"]);
        let verdict = config_test(&test(&[0], None, Some(r"\[ERROR\]")), ExitStatus::exited(7), heard(&text));
        assert_eq!(complaint(verdict).output.len(), 2);
        let across = test(&[0], None, Some("here\nmax"));
        let verdict = config_test(&across, ExitStatus::exited(0), heard(&text));
        assert_eq!(complaint(verdict).output.len(), LINES);
    }

    #[test]
    fn an_expression_that_is_none_proves_nothing() {
        let ok = ExitStatus::exited(0);
        assert!(matches!(config_test(&test(&[0], Some("("), None), ok, heard("(")), Verdict::Failed(_)));
        assert!(matches!(config_test(&test(&[0], None, Some("(")), ok, heard("")), Verdict::Failed(_)));
    }

    #[test]
    fn a_hook_is_done_once_the_number_it_prints_is_below_its_bound() {
        let flush = hook(Some(Until::NumberBelow(Number::new(15.0).unwrap())));
        let number = Number::new;
        let ok = ExitStatus::exited(0);
        let say = |text: &str| pre_stop(&flush, ok, heard(text));
        assert_eq!(say("Innodb_dirty_pct\t48.5\n"), Verdict::NotYet { number: number(48.5) });
        assert_eq!(say("15"), Verdict::NotYet { number: number(15.0) });
        assert_eq!(say("14.9"), Verdict::Passed { number: number(14.9) });
        assert_eq!(say("no number at all"), Verdict::NotYet { number: None });
        let warned = Heard { answer: b"80\n", aside: b"WARNING: 1 option is deprecated\n" };
        assert_eq!(pre_stop(&flush, ok, warned), Verdict::NotYet { number: number(80.0) });
        let said = complaint(pre_stop(&flush, ExitStatus::exited(1), Heard { answer: b"", ..warned }));
        assert_eq!(said.output, ["WARNING: 1 option is deprecated"]);
    }

    #[test]
    fn a_hook_waits_for_its_code_or_its_words_and_otherwise_for_0() {
        let (zero, one) = (ExitStatus::exited(0), ExitStatus::exited(1));
        let not_yet = Verdict::NotYet { number: None };
        let exit = hook(Some(Until::Exit(1)));
        assert_eq!(pre_stop(&exit, one, heard("")), PASSED);
        assert_eq!(pre_stop(&exit, zero, heard("")), not_yet);
        assert!(matches!(pre_stop(&exit, ExitStatus::killed(Signal::KILL), heard("")), Verdict::Failed(_)));
        let words = hook(Some(Until::Matches("^drained$".to_owned())));
        assert_eq!(pre_stop(&words, zero, heard("drained")), PASSED);
        assert_eq!(pre_stop(&words, zero, heard("draining")), not_yet);
        assert!(matches!(pre_stop(&words, one, heard("drained")), Verdict::Failed(_)));
        assert_eq!(pre_stop(&hook(None), zero, heard("")), PASSED);
        assert!(matches!(pre_stop(&hook(None), one, heard("")), Verdict::Failed(_)));
    }

    #[test]
    fn a_complaint_has_the_last_lines_and_survives_what_is_not_utf8() {
        let many: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let said = complaint(command(ExitStatus::exited(1), heard(&many)));
        assert_eq!((said.output.len(), said.output.last().unwrap().as_str()), (LINES, "line 99"));
        let odd = Heard { answer: b"\n\n\xff\r\nb\n\n", aside: b"" };
        assert_eq!(complaint(command(ExitStatus::exited(1), odd)).output, ["\u{fffd}", "b"]);
        assert_eq!(complaint(command(ExitStatus::exited(1), heard(""))).output, [""; 0]);
    }
}
