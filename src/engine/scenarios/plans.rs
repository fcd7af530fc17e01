//! What a plan says is what the request then does, and it changes nothing.

use super::*;
use crate::engine::fixture::{service, target};
use crate::engine::{Plan, Testing};

fn names(list: &[crate::model::UnitName]) -> String {
    list.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ")
}

fn three() -> Stage {
    let drafts = vec![
        service("web").needs("db").after("cache").configtest().pre_stop("drain"),
        service("db").configtest(),
        service("cache"),
        target("all").needs("web cache"),
    ];
    Stage::up(drafts, "db cache web all")
}

#[test]
fn the_plan_of_a_restart_names_tests_hooks_and_both_orders() {
    let stage = three();
    let (gate, how) = (Gate::Enforced, RestartHow::Together);
    let units = vec![stage.id("db"), stage.id("cache")];
    let plan = stage.engine.plan(&Request::Restart { units: units.clone(), gate, how }).unwrap();
    assert_eq!(names(&plan.stops), "all web db cache");
    assert_eq!(names(&plan.starts), "cache db web all");
    let tests: Vec<(&str, Testing)> =
        plan.tests.iter().map(|(name, testing)| (name.as_str(), *testing)).collect();
    let expected = [("db", Testing::Enforced), ("cache", Testing::Untested), ("web", Testing::Enforced)];
    assert_eq!(tests, expected);
    assert_eq!(
        plan.hooks.iter().map(|(unit, hook)| format!("{unit} {hook}")).collect::<Vec<_>>(),
        ["web drain"]
    );
    let skipped = stage.engine.plan(&Request::Restart { units, gate: Gate::Skipped, how }).unwrap();
    assert_eq!(skipped.tests[0].1, Testing::Skipped);
}

#[test]
fn a_plan_is_refused_like_its_request() {
    let mut stage = three();
    let units = vec![stage.id("db")];
    let stop = Request::Stop { units: units.clone(), dependents: Dependents::Refuse };
    assert!(matches!(stage.engine.plan(&stop), Err(Refusal::NeededBy { .. })));
    let reload = Request::Reload { units: units.clone(), gate: Gate::Enforced };
    assert!(matches!(stage.engine.plan(&reload), Err(Refusal::NoReload { .. })));
    stage.restart("db");
    assert!(matches!(stage.engine.plan(&Request::Start { units }), Err(Refusal::Busy { .. })));
}

#[test]
fn the_plan_of_a_start_names_what_is_down_only() {
    let mut stage = three();
    stage.shutdown_of("web");
    let plan = stage.engine.plan(&Request::Start { units: vec![stage.id("all")] }).unwrap();
    assert_eq!(names(&plan.starts), "web all");
    assert_eq!((plan.stops.len(), plan.hooks.len()), (0, 0));
    let reset = stage.engine.plan(&Request::Reset { units: Vec::new() });
    assert_eq!(reset, Ok(Plan::default()));
}
