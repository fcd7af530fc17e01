//! `sexton health`: nothing where all is well, else a line for each unit that is not.

use crate::control::wire::Health;

use super::super::style::{Ink, Style, safe};

/// `web is starting`, `db is failed: exited with code 1`; a line of its own where sexton shuts down.
pub fn health(style: &Style, health: &Health) -> String {
    let mut out = String::new();
    if health.state == "shutting-down" {
        out += "sexton is shutting down\n";
    }
    for unit in &health.units {
        let ink = Ink::of_state(&unit.state);
        let reason = unit.reason.as_ref().map(|reason| format!(": {}", safe(reason))).unwrap_or_default();
        let state = style.paint(ink, &safe(&unit.state));
        out += &format!("{} is {state}{reason}\n", safe(&unit.name));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::style::Colour;
    use crate::control::wire::UnitStatus;

    #[test]
    fn a_line_tells_of_each_unit_that_is_not_well_and_why() {
        let style = Style { colour: Colour::Off, width: None };
        let unit = |name: &str, state: &str, reason: Option<&str>| UnitStatus {
            name: name.to_owned(),
            state: state.to_owned(),
            reason: reason.map(str::to_owned),
            ..UnitStatus::default()
        };
        let units = vec![unit("db", "failed", Some("exited with code 1")), unit("web", "starting", None)];
        let report = Health { state: "unhealthy".to_owned(), units };
        assert_eq!(health(&style, &report), "db is failed: exited with code 1\nweb is starting\n");
        let ending = Health { state: "shutting-down".to_owned(), units: Vec::new() };
        assert_eq!(health(&style, &ending), "sexton is shutting down\n");
    }
}
