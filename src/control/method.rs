//! The methods of `sexton.Manager`, with their parameters.
//!
//! A parameter that is missing, that nobody knows or that is of another type refuses the call, by name:
//! a client that misspells `cascade` shall not find out from what happens.

use serde_json::{Map, Value};

use super::error::MethodError;
use super::policy::Access;
use crate::model::Signal;

/// The interface they belong to.
pub const INTERFACE: &str = "sexton.Manager";

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// sexton itself; answered by [`ManagerStatus`](super::wire::ManagerStatus).
    Status,
    /// Units in short; answered by [`Units`](super::wire::Units).
    List {
        /// Names or patterns; all units where there are none.
        units: Option<Vec<String>>,
    },
    /// A unit in full; answered by [`UnitDetails`](super::wire::UnitDetails).
    Show {
        /// Its name.
        unit: String,
    },
    /// Why a unit is in its state; answered by [`Explanation`](super::wire::Explanation).
    Why {
        /// Its name.
        unit: String,
    },
    /// Bring units up; answered, as are those that follow, by a [`Report`](super::wire::Report).
    Start {
        /// Names or patterns.
        units: Vec<String>,
        /// Answer at once, not when they are ready.
        no_wait: bool,
    },
    /// Take units down.
    Stop {
        /// Names or patterns.
        units: Vec<String>,
        /// Together with what needs them.
        cascade: bool,
    },
    /// Take units down and bring them up again.
    Restart {
        /// Names or patterns.
        units: Vec<String>,
    },
    /// Forget failures and counts of restarts.
    Reset {
        /// Names or patterns.
        units: Vec<String>,
    },
    /// Send a signal to main processes.
    Signal {
        /// Names or patterns.
        units: Vec<String>,
        /// Which signal.
        signal: Signal,
    },
    /// Every change of a unit's state from now on; answered by [`UnitEvent`](super::wire::UnitEvent)s until
    /// the client goes away.
    Events,
    /// Take everything down and end; answered by a [`Report`](super::wire::Report).
    Shutdown {
        /// How.
        how: ShutdownKind,
    },
}

/// How a shutdown ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownKind {
    /// sexton exits.
    Exit,
    /// The machine is switched off.
    PowerOff,
    /// The machine is started again.
    Reboot,
    /// The machine is halted.
    Halt,
}

impl ShutdownKind {
    /// Every kind.
    pub const ALL: [ShutdownKind; 4] =
        [ShutdownKind::Exit, ShutdownKind::PowerOff, ShutdownKind::Reboot, ShutdownKind::Halt];

    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ShutdownKind::Exit => "exit",
            ShutdownKind::PowerOff => "poweroff",
            ShutdownKind::Reboot => "reboot",
            ShutdownKind::Halt => "halt",
        }
    }
}

impl Method {
    /// Its name, without the interface.
    pub fn name(&self) -> &'static str {
        match self {
            Method::Status => "Status",
            Method::List { .. } => "List",
            Method::Show { .. } => "Show",
            Method::Why { .. } => "Why",
            Method::Start { .. } => "Start",
            Method::Stop { .. } => "Stop",
            Method::Restart { .. } => "Restart",
            Method::Reset { .. } => "Reset",
            Method::Signal { .. } => "Signal",
            Method::Events => "Events",
            Method::Shutdown { .. } => "Shutdown",
        }
    }

    /// What a peer must be allowed to, to call it.
    pub fn access(&self) -> Access {
        match self {
            Method::Status
            | Method::List { .. }
            | Method::Show { .. }
            | Method::Why { .. }
            | Method::Events => Access::Read,
            Method::Start { .. }
            | Method::Stop { .. }
            | Method::Restart { .. }
            | Method::Reset { .. }
            | Method::Signal { .. }
            | Method::Shutdown { .. } => Access::Change,
        }
    }

    /// Reads a call. `name` is without the interface.
    pub fn read(name: &str, parameters: Map<String, Value>) -> Result<Method, MethodError> {
        let mut given = Parameters(parameters);
        let method = match name {
            "Status" => Method::Status,
            "List" => Method::List { units: given.optional("units", strings)? },
            "Show" => Method::Show { unit: given.required("unit", string)? },
            "Why" => Method::Why { unit: given.required("unit", string)? },
            "Start" => Method::Start { units: given.units()?, no_wait: given.flag("noWait")? },
            "Stop" => Method::Stop { units: given.units()?, cascade: given.flag("cascade")? },
            "Restart" => Method::Restart { units: given.units()? },
            "Reset" => Method::Reset { units: given.units()? },
            "Signal" => Method::Signal { units: given.units()?, signal: given.signal()? },
            "Events" => Method::Events,
            "Shutdown" => Method::Shutdown { how: given.required("how", shutdown_kind)? },
            _ => return Err(MethodError::MethodNotFound(name.to_owned())),
        };
        given.end()?;
        Ok(method)
    }

    /// Its parameters on the wire; those at their default are left out.
    pub fn parameters(&self) -> Map<String, Value> {
        let mut given = Map::new();
        let mut add = |name: &str, value: Value| {
            given.insert(name.to_owned(), value);
        };
        match self {
            Method::Status | Method::Events | Method::List { units: None } => {}
            Method::List { units: Some(units) } | Method::Restart { units } | Method::Reset { units } => {
                add("units", names(units));
            }
            Method::Show { unit } | Method::Why { unit } => add("unit", Value::String(unit.clone())),
            Method::Start { units, no_wait } => {
                add("units", names(units));
                if *no_wait {
                    add("noWait", Value::Bool(true));
                }
            }
            Method::Stop { units, cascade } => {
                add("units", names(units));
                if *cascade {
                    add("cascade", Value::Bool(true));
                }
            }
            Method::Signal { units, signal } => {
                add("units", names(units));
                add("signal", Value::String(signal.to_string()));
            }
            Method::Shutdown { how } => add("how", Value::String(how.as_str().to_owned())),
        }
        given
    }
}

fn names(units: &[String]) -> Value {
    Value::Array(units.iter().cloned().map(Value::String).collect())
}

/// The parameters of a call that nobody has taken yet.
struct Parameters(Map<String, Value>);

impl Parameters {
    /// A parameter that may be missing; `null` says that it is.
    fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Result<Option<T>, MethodError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| invalid(name)),
        }
    }

    fn required<T>(&mut self, name: &str, read: impl FnOnce(Value) -> Option<T>) -> Result<T, MethodError> {
        self.optional(name, read)?.ok_or_else(|| invalid(name))
    }

    /// At least one unit: a script whose list came out empty shall hear of it.
    fn units(&mut self) -> Result<Vec<String>, MethodError> {
        self.required("units", |value| strings(value).filter(|units| !units.is_empty()))
    }

    fn flag(&mut self, name: &str) -> Result<bool, MethodError> {
        Ok(self.optional(name, |value| value.as_bool())?.unwrap_or(false))
    }

    fn signal(&mut self) -> Result<Signal, MethodError> {
        let text = self.required("signal", string)?;
        Signal::parse(&text).ok_or(MethodError::InvalidSignal(text))
    }

    fn end(self) -> Result<(), MethodError> {
        self.0.into_iter().next().map_or(Ok(()), |(name, _)| Err(MethodError::InvalidParameter(name)))
    }
}

fn invalid(name: &str) -> MethodError {
    MethodError::InvalidParameter(name.to_owned())
}

fn string(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn strings(value: Value) -> Option<Vec<String>> {
    match value {
        Value::Array(values) => values.into_iter().map(string).collect(),
        _ => None,
    }
}

fn shutdown_kind(value: Value) -> Option<ShutdownKind> {
    let text = string(value)?;
    ShutdownKind::ALL.into_iter().find(|kind| kind.as_str() == text)
}

#[cfg(test)]
pub(super) mod tests {
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
            Method::Start { units: units(), no_wait: false },
            Method::Start { units: units(), no_wait: true },
            Method::Stop { units: units(), cascade: false },
            Method::Stop { units: units(), cascade: true },
            Method::Restart { units: units() },
            Method::Reset { units: units() },
            Method::Signal { units: units(), signal: Signal::HUP },
            Method::Events,
        ];
        methods.extend(ShutdownKind::ALL.map(|how| Method::Shutdown { how }));
        methods
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
            ("Stop", json!({"units": ["web"], "noWait": true}), "noWait"),
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
        let readable: Vec<&str> =
            every_method().iter().filter(|m| m.access() == Access::Read).map(Method::name).collect();
        assert_eq!(readable, ["Status", "List", "List", "Show", "Why", "Events"]);
    }
}
