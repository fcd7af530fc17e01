//! The descriptions say what the code does: no method, parameter, field or error more, and none less.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use super::super::error::tests::every_error;
use super::super::method::ShutdownKind;
use super::super::method::tests::every_method;
use super::super::wire::{
    BootChart, ChartBar, ChartMark, Explanation, Health, ManagerStatus, PlanReport, Progress, Report, Step,
    UnitDetails, UnitEvent, UnitStatus, Units, Usage,
};
use super::*;

/// The fields of a struct: name to type.
type Fields = BTreeMap<String, String>;

/// One member of a description: its keyword, its name, and the text behind that, without comments.
fn members(interface: &str) -> Vec<(String, String, String)> {
    let lines = of(interface).unwrap().lines().map(|line| line.split('#').next().unwrap().trim());
    let text = lines.filter(|line| !line.starts_with("interface ")).collect::<Vec<_>>().join(" ");
    let mut found = Vec::new();
    let words: Vec<&str> = text.split_whitespace().collect();
    let starts: Vec<usize> =
        (0..words.len()).filter(|n| ["type", "method", "error"].contains(&words[*n])).collect();
    for (n, start) in starts.iter().enumerate() {
        let end = starts.get(n + 1).copied().unwrap_or(words.len());
        let rest = words[start + 1..end].join(" ");
        let (name, behind) = rest.split_at(rest.find(['(', ' ']).unwrap());
        found.push((words[*start].to_owned(), name.to_owned(), behind.trim().to_owned()));
    }
    found
}

fn fields(text: &str) -> Fields {
    let inner = text.trim().strip_prefix('(').unwrap().strip_suffix(')').unwrap();
    let pairs = inner.split(',').filter(|field| !field.trim().is_empty());
    pairs
        .map(|field| field.split_once(':').unwrap())
        .map(|(n, t)| (n.trim().to_owned(), t.trim().to_owned()))
        .collect()
}

fn member(keyword: &str, name: &str) -> String {
    let members = members(INTERFACE);
    let found = members.iter().find(|(k, n, _)| k == keyword && n == name);
    found.unwrap_or_else(|| panic!("the description has no {keyword} {name}")).2.clone()
}

/// What a method takes and what it answers.
fn method(name: &str) -> (Fields, Fields) {
    let text = member("method", name);
    let (takes, answers) = text.split_once("->").unwrap();
    (fields(takes), fields(answers))
}

/// The fields of a type of the wire: of the one that is empty and the one that has everything. What the
/// first leaves out is optional.
fn wire<T: Serialize + Default>(full: &T) -> Fields {
    let object = |value: &T| match serde_json::to_value(value) {
        Ok(Value::Object(object)) => object,
        other => panic!("{other:?}"),
    };
    let (empty, full): (Map<String, Value>, Map<String, Value>) = (object(&T::default()), object(full));
    let kind = |name: &str, value: &Value| match value {
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if number.is_f64() => "float".to_owned(),
        Value::Number(_) => "int".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) if name == "units" => "[]UnitStatus".to_owned(),
        Value::Array(_) if ["tests", "hooks"].contains(&name) => "[]Step".to_owned(),
        Value::Array(_) if name == "bars" => "[]ChartBar".to_owned(),
        Value::Array(_) if name == "marks" => "[]ChartMark".to_owned(),
        Value::Array(_) => "[]string".to_owned(),
        Value::Object(_) if name == "counts" => "[string]int".to_owned(),
        Value::Object(_) if name == "usage" => "Usage".to_owned(),
        Value::Object(_) if name == "lastTest" || name == "passedOver" => "Step".to_owned(),
        Value::Object(_) if name == "progress" => "Progress".to_owned(),
        Value::Object(_) => "UnitStatus".to_owned(),
        Value::Null => panic!("{name} is null"),
    };
    full.iter()
        .map(|(name, value)| {
            let optional = if empty.contains_key(name) { "" } else { "?" };
            (name.clone(), format!("{optional}{}", kind(name, value)))
        })
        .collect()
}

fn text() -> Option<String> {
    Some("x".to_owned())
}

fn texts() -> Vec<String> {
    text().into_iter().collect()
}

/// The fields of a report.
fn report() -> Fields {
    wire(&Report {
        unit: text(),
        command: text(),
        progress: Some(Progress::default()),
        tests: vec![Step::default()],
        untested: texts(),
        undone: texts(),
        roll_done: texts(),
        roll_left: texts(),
        diagnostics: texts(),
        ..Report::default()
    })
}

#[test]
fn steps_and_progress_have_the_fields_that_are_described() {
    let step = Step {
        hook: text(),
        command: text(),
        reason: text(),
        output: texts(),
        ago_usec: Some(1),
        ..Step::default()
    };
    assert_eq!(fields(&member("type", "Step")), wire(&step));
    let progress = Progress {
        unit: text(),
        nth: Some(1),
        of: Some(2),
        hook: text(),
        first: Some(1.0),
        now: Some(1.0),
        below: Some(1.0),
        left_usec: Some(1),
        reason: text(),
        ..Progress::default()
    };
    assert_eq!(fields(&member("type", "Progress")), wire(&progress));
}

#[test]
fn a_chart_has_the_fields_that_are_described() {
    assert_eq!(fields(&member("type", "ChartMark")), wire(&ChartMark::default()));
    assert_eq!(
        fields(&member("type", "ChartBar")),
        wire(&ChartBar { held_by: text(), ..ChartBar::default() })
    );
    assert_eq!(method("Chart").1, wire(&BootChart::default()));
}

#[test]
fn every_type_of_the_wire_has_the_fields_that_are_described() {
    let status = UnitStatus {
        main_pid: Some(1),
        reason: text(),
        status_text: text(),
        last_end: text(),
        file_gone: text(),
        changed_since_start: texts(),
        test_failed_ago_usec: Some(1),
        ..UnitStatus::default()
    };
    assert_eq!(fields(&member("type", "UnitStatus")), wire(&status));
    assert_eq!(method("Status").1, wire(&ManagerStatus::default()));
    assert_eq!(method("List").1, wire(&Units::default()));
    let details = UnitDetails {
        instance_file: text(),
        exec: text(),
        user: text(),
        ready: text(),
        stop: text(),
        restart: text(),
        configtest: text(),
        pre_stop: texts(),
        reload: text(),
        filter: text(),
        last_test: Some(Step::default()),
        passed_over: Some(Step::default()),
        usage: Some(Usage::default()),
        ..UnitDetails::default()
    };
    assert_eq!(method("Show").1, wire(&details));
    let usage = Usage {
        memory_bytes: Some(1),
        memory_peak_bytes: Some(1),
        memory_max_bytes: Some(1),
        cpu_usec: Some(1),
        pids: Some(1),
        ..Usage::default()
    };
    assert_eq!(fields(&member("type", "Usage")), wire(&usage));
    assert_eq!(method("Why").1, wire(&Explanation::default()));
    assert_eq!(method("Health").1, wire(&Health::default()));
    for name in ["Start", "Stop", "Restart", "Reload", "Sync", "Scale", "Reset", "Signal", "Shutdown"] {
        assert_eq!(method(name).1, report(), "{name}");
    }
    assert_eq!(method("Abandon").1, Fields::new());
    let plan = PlanReport { unit: text(), settings: texts(), diagnostics: texts(), ..PlanReport::default() };
    assert_eq!(method("Plan").1, wire(&plan));
    assert_eq!(
        method("Events").1,
        wire(&UnitEvent { main_pid: Some(1), reason: text(), ..UnitEvent::default() })
    );
}

#[test]
fn every_method_takes_the_parameters_that_are_described() {
    let mut described: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (keyword, name, _) in members(INTERFACE) {
        if keyword == "method" {
            let parameters = method(&name).0.into_keys().collect();
            described.insert(name, parameters);
        }
    }
    let mut taken: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for call in every_method() {
        taken
            .entry(call.name().to_owned())
            .or_default()
            .extend(call.parameters().into_iter().map(|(name, _)| name));
    }
    assert_eq!(described, taken);
    let kinds = member("type", "ShutdownKind");
    let kinds: Vec<&str> = kinds.trim_matches(['(', ')']).split(", ").collect();
    assert_eq!(kinds, ShutdownKind::ALL.map(ShutdownKind::as_str));
}

#[test]
fn every_error_is_described_with_its_parameters() {
    let mut described: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (interface, _) in INTERFACES {
        for (_, name, text) in members(interface).into_iter().filter(|(keyword, ..)| keyword == "error") {
            described.insert(format!("{interface}.{name}"), fields(&text).into_keys().collect());
        }
    }
    let mut made: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for error in every_error() {
        made.entry(error.name().to_owned())
            .or_default()
            .extend(error.parameters().into_iter().map(|(name, _)| name));
    }
    assert_eq!(described, made);
}

#[test]
fn the_description_holds_no_bracket_and_no_keyword_in_its_comments_that_confuses_simple_readers() {
    for (interface, text) in INTERFACES {
        let comments = text.lines().filter_map(|line| line.split_once('#').map(|(_, comment)| comment));
        for comment in comments {
            assert!(!comment.contains(['(', ')']), "{interface}: {comment}");
        }
    }
}
