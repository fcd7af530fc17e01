//! `sexton plan`: what is tested, which hooks run, what goes down and comes up, in the order in which it happens.

use crate::control::wire::{PlanReport, Step};

use super::super::style::{Align, Ink, Style, Table, safe};

/// Columns before the words: indent, label, gap.
const LEFT: usize = 12;

/// What a change would do.
pub fn plan(style: &Style, plan: &PlanReport) -> String {
    let mut out = String::new();
    for (label, names) in [("new", &plan.added), ("gone", &plan.removed), ("in place", &plan.in_place)] {
        out += &listed(style, label, names, " ");
    }
    out += &tests(style, &plan.tests);
    out += &hooks(style, &plan.hooks);
    if plan.rolling {
        let between = if plan.stops.is_empty() { "overlap" } else { "roll" };
        let turns = if plan.stops.is_empty() { &plan.overlaps } else { &plan.stops };
        out += &listed(style, between, turns, " → ");
    } else {
        out += &listed(style, "overlap", &plan.overlaps, " ");
        out += &listed(style, "stop", &plan.stops, " → ");
        out += &listed(style, "start", &plan.starts, " → ");
    }
    out += &listed(style, "reload", &plan.reloads, " ");
    out += &listed(style, "settings", &plan.settings, "; ");
    if out.is_empty() {
        return "nothing to do\n".to_owned();
    }
    match untested(&plan.tests) {
        0 => out,
        number => {
            let noun = if number == 1 { "unit is" } else { "units are" };
            let words = format!("{number} {noun} touched without a test of the configuration");
            out + &format!("\n{}\n", style.paint(Ink::Busy, &words))
        }
    }
}

/// A change that would be refused.
pub fn refused_plan(style: &Style, plan: &PlanReport) -> String {
    let words = style.wrap(&safe(&plan.message), 28, 2);
    let mut out = format!("{} it would be refused: {words}\n", style.paint(Ink::Bad, "sexton:"));
    for line in &plan.diagnostics {
        out += &format!("  {}\n", safe(line));
    }
    out
}

fn untested(tests: &[Step]) -> usize {
    tests.iter().filter(|step| step.result != "to-do").count()
}

/// Names on a line or more, below one label. Stops and starts are in their order; what does not depend on each other goes
/// side by side all the same.
fn listed(style: &Style, label: &str, names: &[String], between: &str) -> String {
    if names.is_empty() {
        return String::new();
    }
    let names: Vec<String> = names.iter().map(|name| safe(name)).collect();
    let words = style.wrap(&names.join(between), LEFT, LEFT);
    format!("  {}{words}\n", style.paint(Ink::Faint, &format!("{label:<width$}", width = LEFT - 2)))
}

fn tests(style: &Style, tests: &[Step]) -> String {
    let mut table = Table::new(&[Align::Left, Align::Left, Align::Left]);
    for (index, step) in tests.iter().enumerate() {
        let (ink, words) = match (step.result.as_str(), &step.command) {
            ("to-do", Some(command)) => (Ink::Plain, command.clone()),
            ("to-do", None) => (Ink::Plain, String::new()),
            ("untested", _) => (Ink::Busy, "untested: it has no [configtest]".to_owned()),
            (_, Some(command)) => (Ink::Busy, format!("skipped: {command}")),
            (_, None) => (Ink::Busy, "skipped".to_owned()),
        };
        table.row(vec![label(index, "test"), (Ink::Strong, step.unit.clone()), (ink, words)]);
    }
    table.render(style, 2)
}

fn hooks(style: &Style, hooks: &[Step]) -> String {
    let mut table = Table::new(&[Align::Left, Align::Left, Align::Left, Align::Left]);
    for (index, step) in hooks.iter().enumerate() {
        table.row(vec![
            label(index, "pre-stop"),
            (Ink::Strong, step.unit.clone()),
            (Ink::Plain, step.hook.clone().unwrap_or_default()),
            (Ink::Faint, step.command.clone().unwrap_or_default()),
        ]);
    }
    table.render(style, 2)
}

/// The label of a group, in its first row alone; as wide as all labels are.
fn label(index: usize, word: &str) -> (Ink, String) {
    let word = if index == 0 { word } else { "" };
    (Ink::Faint, format!("{word:<width$}", width = LEFT - 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::style::Colour;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn step(unit: &str, hook: Option<&str>, result: &str, command: Option<&str>) -> Step {
        Step {
            unit: unit.into(),
            hook: hook.map(str::to_owned),
            result: result.into(),
            command: command.map(str::to_owned),
            ..Step::default()
        }
    }

    fn restart() -> PlanReport {
        PlanReport {
            outcome: "planned".into(),
            tests: vec![
                step("haproxy", None, "to-do", Some("haproxy -c -f /etc/haproxy/haproxy.cfg")),
                step("api", None, "untested", None),
            ],
            hooks: vec![
                step("db", Some("dirty pages"), "to-do", Some("mariadb-admin flush-tables")),
                step("db", Some("drain"), "to-do", None),
            ],
            stops: names(&["haproxy", "api", "db"]),
            starts: names(&["db", "api", "haproxy"]),
            ..PlanReport::default()
        }
    }

    #[test]
    fn a_plan_shows_tests_hooks_and_the_order_of_stops_and_starts() {
        assert_eq!(
            plan(&Style::PLAIN, &restart()),
            "  test      haproxy  haproxy -c -f /etc/haproxy/haproxy.cfg
            api      untested: it has no [configtest]
  pre-stop  db  dirty pages  mariadb-admin flush-tables
            db  drain
  stop      haproxy → api → db
  start     db → api → haproxy

1 unit is touched without a test of the configuration
"
        );
    }

    #[test]
    fn a_plan_of_a_sync_shows_what_is_new_and_what_is_gone() {
        let sync = PlanReport {
            added: names(&["web@3", "web@4"]),
            removed: names(&["old"]),
            in_place: names(&["cron"]),
            tests: vec![step("web@3", None, "skipped", Some("true")), step("web@4", None, "skipped", None)],
            stops: names(&["old"]),
            starts: names(&["web@3", "web@4"]),
            ..PlanReport::default()
        };
        assert_eq!(
            plan(&Style::PLAIN, &sync),
            "  new       web@3 web@4
  gone      old
  in place  cron
  test      web@3  skipped: true
            web@4  skipped
  stop      old
  start     web@3 → web@4

2 units are touched without a test of the configuration
"
        );
        assert_eq!(plan(&Style::PLAIN, &PlanReport::default()), "nothing to do\n");
        let settings = names(&["[control] mode is 0660", "[shutdown] timeout is 20 s"]);
        assert_eq!(
            plan(&Style::PLAIN, &PlanReport { settings, ..PlanReport::default() }),
            "  settings  [control] mode is 0660; [shutdown] timeout is 20 s\n"
        );
    }

    #[test]
    fn a_roll_is_one_line_and_long_lines_are_wrapped_below_their_label() {
        let stops = (1..=6).map(|n| format!("web@{n}")).collect();
        let roll = PlanReport { rolling: true, stops, starts: names(&["web@1"]), ..PlanReport::default() };
        let style = Style { colour: Colour::Off, width: Some(40) };
        assert_eq!(
            plan(&style, &roll),
            "  roll      web@1 → web@2 → web@3 →\n            web@4 → web@5 → web@6\n"
        );
        let reload = PlanReport { reloads: names(&["web\x1b[2J", "api"]), ..PlanReport::default() };
        assert_eq!(plan(&style, &reload), "  reload    web\\x1b[2J api\n");
    }

    #[test]
    fn a_plan_that_would_be_refused_says_why() {
        let refused = PlanReport {
            outcome: "refused".into(),
            message: "the unit files have an error".into(),
            diagnostics: vec!["web.toml:3:1: unknown key 'neds'".into()],
            ..PlanReport::default()
        };
        assert_eq!(
            refused_plan(&Style::PLAIN, &refused),
            "sexton: it would be refused: the unit files have an error\n  web.toml:3:1: unknown key 'neds'\n"
        );
    }
}
