//! Every call is read as strictly as it is written.

use super::*;
use serde_json::json;

/// Every method at least once, with each of its parameters.
pub(in crate::control) fn every_method() -> Vec<Method> {
    let unit = || "web".to_owned();
    let units = || vec![unit(), "redis@*".to_owned()];
    let mut methods = vec![
        Method::Status,
        Method::List { units: None },
        Method::List { units: Some(units()) },
        Method::Show { unit: unit() },
        Method::Why { unit: unit() },
        Method::Health { units: None },
        Method::Health { units: Some(units()) },
        Method::Chart,
        Method::Abandon,
        Method::Reset { units: units() },
        Method::Signal { units: units(), signal: Signal::HUP },
        Method::Events,
    ];
    methods.extend(ShutdownKind::ALL.map(|how| Method::Shutdown { how }));
    for no_wait in [false, true] {
        methods.extend(every_change(no_wait));
    }
    methods.extend(every_change(false).map(|change| Method::Plan { change: Box::new(change) }));
    methods
}

/// Every change, with and without each of its flags.
fn every_change(no_wait: bool) -> impl Iterator<Item = Method> {
    let units = || vec!["web".to_owned(), "redis@*".to_owned()];
    [false, true].into_iter().flat_map(move |skip_configtest| {
        let (cascade, rolling) = (skip_configtest, !skip_configtest);
        [
            Method::Start { units: units(), no_wait },
            Method::Stop { units: units(), cascade, no_wait },
            Method::Restart { units: units(), rolling, skip_configtest, no_wait },
            Method::Reload { units: units(), skip_configtest, no_wait },
            Method::Sync { skip_configtest, no_wait },
            Method::Scale { unit: "web@".to_owned(), count: 3, skip_configtest, no_wait },
        ]
    })
}

fn read(name: &str, parameters: Value) -> Result<Method, MethodError> {
    let Value::Object(parameters) = parameters else { panic!("an object") };
    Method::read(name, parameters)
}

#[test]
fn every_call_is_read_as_it_was_written() {
    for method in every_method() {
        assert_eq!(Method::read(method.name(), method.parameters()), Ok(method));
    }
}

#[test]
fn a_parameter_that_is_unknown_missing_or_of_another_type_is_named() {
    for (method, parameters, name) in [
        ("Status", json!({"verbose": true}), "verbose"),
        ("Show", json!({}), "unit"),
        ("Show", json!({"unit": null}), "unit"),
        ("Show", json!({"unit": ["web"]}), "unit"),
        ("Start", json!({"units": "web"}), "units"),
        ("Start", json!({"units": ["web", 1]}), "units"),
        ("Start", json!({"units": []}), "units"),
        ("Stop", json!({"units": ["web"], "cascade": "yes"}), "cascade"),
        ("Stop", json!({"units": ["web"], "rolling": true}), "rolling"),
        ("Restart", json!({"units": []}), "units"),
        ("Restart", json!({"units": ["web"], "rolling": 1}), "rolling"),
        ("Restart", json!({"units": ["web"], "skipConfigTest": true}), "skipConfigTest"),
        ("Reload", json!({"units": ["web"], "rolling": true}), "rolling"),
        ("Sync", json!({"units": ["web"]}), "units"),
        ("Scale", json!({"unit": "web@"}), "count"),
        ("Scale", json!({"unit": "web@", "count": -1}), "count"),
        ("Scale", json!({"unit": "web@", "count": 4_294_967_296_u64}), "count"),
        ("Scale", json!({"units": ["web@"], "count": 1}), "unit"),
        ("Abandon", json!({"units": ["web"]}), "units"),
        ("Plan", json!({"units": ["web"]}), "action"),
        ("Plan", json!({"action": "Restart", "units": ["web"]}), "action"),
        ("Plan", json!({"action": "signal", "units": ["web"]}), "action"),
        ("Plan", json!({"action": "restart"}), "units"),
        ("Plan", json!({"action": "stop", "units": ["web"], "noWait": true}), "noWait"),
        ("Plan", json!({"action": "stop", "units": ["web"], "rolling": true}), "rolling"),
        ("Shutdown", json!({"how": "crash"}), "how"),
        ("Signal", json!({"units": ["web"], "signal": 15}), "signal"),
    ] {
        let error = MethodError::InvalidParameter(name.to_owned());
        assert_eq!(read(method, parameters), Err(error), "{method}");
    }
}

#[test]
fn what_is_no_method_and_no_signal_is_said_by_its_name() {
    assert_eq!(read("Explode", json!({})), Err(MethodError::MethodNotFound("Explode".to_owned())));
    assert_eq!(
        read("Signal", json!({"units": ["web"], "signal": "TREM"})),
        Err(MethodError::InvalidSignal("TREM".to_owned()))
    );
}

#[test]
fn null_stands_for_an_optional_parameter_that_is_not_given() {
    assert_eq!(read("List", json!({"units": null})), Ok(Method::List { units: None }));
    assert_eq!(
        read("Start", json!({"units": ["a"], "noWait": null})),
        Ok(Method::Start { units: vec!["a".to_owned()], no_wait: false })
    );
}

#[test]
fn what_changes_nothing_is_all_that_a_reader_may_call() {
    let readable: Vec<&str> = every_method()
        .iter()
        .filter(|m| m.access() == Access::Read && !matches!(m, Method::Plan { .. }))
        .map(Method::name)
        .collect();
    assert_eq!(readable, ["Status", "List", "List", "Show", "Why", "Health", "Health", "Chart", "Events"]);
    assert!(every_change(false).all(|change| {
        let plan = Method::Plan { change: Box::new(change) };
        plan.access() == Access::Read
    }));
}

#[test]
fn only_root_and_sextons_own_user_skip_a_configtest() {
    for no_wait in [false, true] {
        for change in every_change(no_wait) {
            let skips = change.parameters().contains_key("skipConfigtest");
            assert_eq!(change.access() == Access::Own, skips, "{change:?}");
            assert_eq!(change.skips_configtest(), skips);
        }
    }
}
