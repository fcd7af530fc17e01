//! The methods of `sexton.Manager`, with their parameters.
//!
//! A parameter that is missing, that nobody knows or that is of another type refuses the call, by name:
//! a client that misspells `cascade` shall not find out from what happens.
//!
//! ```text
//!   Start, Stop, Restart, Reload, Sync, Scale     a change: answered by a Report, with `more` by its progress first
//!   Plan(change)                                  the same parameters, nothing is done
//!   Abandon                                       gives up the change that this connection waits for
//! ```

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
    /// Is all ready that should be? Answered by [`Health`](super::wire::Health).
    Health {
        /// Names or patterns, each of which should be ready; all that is wanted where there are none.
        units: Option<Vec<String>>,
    },
    /// What each unit did during the boot; answered by a [`BootChart`](super::wire::BootChart).
    Chart,
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
        /// Answer at once.
        no_wait: bool,
    },
    /// Test, take units down and bring them up again.
    Restart {
        /// Names or patterns.
        units: Vec<String>,
        /// One after the other.
        rolling: bool,
        /// Without a configtest.
        skip_configtest: bool,
        /// Answer at once.
        no_wait: bool,
    },
    /// Test, and have units read their configuration again.
    Reload {
        /// Names or patterns.
        units: Vec<String>,
        /// Without a configtest.
        skip_configtest: bool,
        /// Answer at once.
        no_wait: bool,
    },
    /// Read the unit files again and do what follows from the difference.
    Sync {
        /// Without a configtest.
        skip_configtest: bool,
        /// Answer at once.
        no_wait: bool,
    },
    /// Give a template of counted instances another number of them.
    Scale {
        /// The template: `web@`.
        unit: String,
        /// How many.
        count: u32,
        /// Without a configtest.
        skip_configtest: bool,
        /// Answer at once.
        no_wait: bool,
    },
    /// Give up what this connection waits for, as long as nothing was stopped for it. It is served at once, before
    /// the answer to that.
    Abandon,
    /// What a change would do; answered by a [`PlanReport`](super::wire::PlanReport).
    Plan {
        /// `Start`, `Stop`, `Restart`, `Reload`, `Sync` or `Scale`.
        change: Box<Method>,
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
    /// The kernel that was loaded takes over.
    Kexec,
}

impl ShutdownKind {
    /// Every kind.
    pub const ALL: [ShutdownKind; 5] = [
        ShutdownKind::Exit,
        ShutdownKind::PowerOff,
        ShutdownKind::Reboot,
        ShutdownKind::Halt,
        ShutdownKind::Kexec,
    ];

    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ShutdownKind::Exit => "exit",
            ShutdownKind::PowerOff => "poweroff",
            ShutdownKind::Reboot => "reboot",
            ShutdownKind::Halt => "halt",
            ShutdownKind::Kexec => "kexec",
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
            Method::Health { .. } => "Health",
            Method::Chart => "Chart",
            Method::Start { .. } => "Start",
            Method::Stop { .. } => "Stop",
            Method::Restart { .. } => "Restart",
            Method::Reload { .. } => "Reload",
            Method::Sync { .. } => "Sync",
            Method::Scale { .. } => "Scale",
            Method::Abandon => "Abandon",
            Method::Plan { .. } => "Plan",
            Method::Reset { .. } => "Reset",
            Method::Signal { .. } => "Signal",
            Method::Events => "Events",
            Method::Shutdown { .. } => "Shutdown",
        }
    }

    /// What a peer must be allowed to, to call it. A configtest is skipped by those alone who could also take it out
    /// of the unit file.
    pub fn access(&self) -> Access {
        match self {
            Method::Status
            | Method::List { .. }
            | Method::Show { .. }
            | Method::Why { .. }
            | Method::Health { .. }
            | Method::Chart
            | Method::Plan { .. }
            | Method::Events => Access::Read,
            Method::Restart { skip_configtest: true, .. }
            | Method::Reload { skip_configtest: true, .. }
            | Method::Sync { skip_configtest: true, .. }
            | Method::Scale { skip_configtest: true, .. } => Access::Own,
            Method::Start { .. }
            | Method::Stop { .. }
            | Method::Restart { .. }
            | Method::Reload { .. }
            | Method::Sync { .. }
            | Method::Scale { .. }
            | Method::Abandon
            | Method::Reset { .. }
            | Method::Signal { .. }
            | Method::Shutdown { .. } => Access::Change,
        }
    }

    /// Is it told that its configtests are skipped?
    pub fn skips_configtest(&self) -> bool {
        self.access() == Access::Own
    }

    /// Is it answered before it is done?
    pub fn no_wait(&self) -> bool {
        match self {
            Method::Start { no_wait, .. }
            | Method::Stop { no_wait, .. }
            | Method::Restart { no_wait, .. }
            | Method::Reload { no_wait, .. }
            | Method::Sync { no_wait, .. }
            | Method::Scale { no_wait, .. } => *no_wait,
            Method::Status
            | Method::List { .. }
            | Method::Show { .. }
            | Method::Why { .. }
            | Method::Health { .. }
            | Method::Chart
            | Method::Abandon
            | Method::Plan { .. }
            | Method::Reset { .. }
            | Method::Signal { .. }
            | Method::Events
            | Method::Shutdown { .. } => false,
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
            "Health" => Method::Health { units: given.optional("units", strings)? },
            "Chart" => Method::Chart,
            "Abandon" => Method::Abandon,
            "Plan" => {
                let action = given.required("action", string)?;
                let word_of = |name: &str| name.to_ascii_lowercase();
                let planned = CHANGES.into_iter().find(|(_, name)| word_of(name) == action);
                let (planned, _) = planned.ok_or_else(|| invalid("action"))?;
                Method::Plan { change: Box::new(given.change(planned, false)?) }
            }
            "Reset" => Method::Reset { units: given.units()? },
            "Signal" => Method::Signal { units: given.units()?, signal: given.signal()? },
            "Events" => Method::Events,
            "Shutdown" => Method::Shutdown { how: given.required("how", shutdown_kind)? },
            name => {
                let change = CHANGES.into_iter().find(|(_, known)| *known == name);
                let (change, _) = change.ok_or_else(|| MethodError::MethodNotFound(name.to_owned()))?;
                let no_wait = given.flag("noWait")?;
                given.change(change, no_wait)?
            }
        };
        given.end()?;
        Ok(method)
    }

    /// Its parameters on the wire; those at their default are left out.
    pub fn parameters(&self) -> Map<String, Value> {
        let mut given = Given(Map::new());
        match self {
            Method::Status | Method::Chart | Method::Events | Method::Abandon => {}
            Method::List { units: None } | Method::Health { units: None } => {}
            Method::List { units: Some(units) }
            | Method::Health { units: Some(units) }
            | Method::Reset { units } => given.units(units),
            Method::Show { unit } | Method::Why { unit } => given.text("unit", unit),
            Method::Start { units, no_wait } => {
                given.units(units);
                given.flag("noWait", *no_wait);
            }
            Method::Stop { units, cascade, no_wait } => {
                given.units(units);
                given.flag("cascade", *cascade);
                given.flag("noWait", *no_wait);
            }
            Method::Restart { units, rolling, skip_configtest, no_wait } => {
                given.units(units);
                given.flag("rolling", *rolling);
                given.flag("skipConfigtest", *skip_configtest);
                given.flag("noWait", *no_wait);
            }
            Method::Reload { units, skip_configtest, no_wait } => {
                given.units(units);
                given.flag("skipConfigtest", *skip_configtest);
                given.flag("noWait", *no_wait);
            }
            Method::Sync { skip_configtest, no_wait } => {
                given.flag("skipConfigtest", *skip_configtest);
                given.flag("noWait", *no_wait);
            }
            Method::Scale { unit, count, skip_configtest, no_wait } => {
                given.text("unit", unit);
                given.0.insert("count".to_owned(), Value::from(*count));
                given.flag("skipConfigtest", *skip_configtest);
                given.flag("noWait", *no_wait);
            }
            Method::Plan { change } => {
                given.0 = change.parameters();
                given.0.remove("noWait");
                given.text("action", &change.name().to_ascii_lowercase());
            }
            Method::Signal { units, signal } => {
                given.units(units);
                given.text("signal", &signal.to_string());
            }
            Method::Shutdown { how } => given.text("how", how.as_str()),
        }
        given.0
    }
}

/// What can be planned as well as done.
#[derive(Clone, Copy)]
enum Change {
    Start,
    Stop,
    Restart,
    Reload,
    Sync,
    Scale,
}

/// Every change, with the name of its method; in a plan that stands in lower case.
const CHANGES: [(Change, &str); 6] = [
    (Change::Start, "Start"),
    (Change::Stop, "Stop"),
    (Change::Restart, "Restart"),
    (Change::Reload, "Reload"),
    (Change::Sync, "Sync"),
    (Change::Scale, "Scale"),
];

/// The parameters of a call that is being written.
struct Given(Map<String, Value>);

impl Given {
    fn text(&mut self, name: &str, text: &str) {
        self.0.insert(name.to_owned(), Value::String(text.to_owned()));
    }

    fn flag(&mut self, name: &str, flag: bool) {
        if flag {
            self.0.insert(name.to_owned(), Value::Bool(true));
        }
    }

    fn units(&mut self, units: &[String]) {
        self.0.insert("units".to_owned(), units.iter().cloned().map(Value::String).collect());
    }
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

    /// What a change and the plan of one have in common.
    fn change(&mut self, change: Change, no_wait: bool) -> Result<Method, MethodError> {
        Ok(match change {
            Change::Start => Method::Start { units: self.units()?, no_wait },
            Change::Stop => Method::Stop { units: self.units()?, cascade: self.flag("cascade")?, no_wait },
            Change::Restart => Method::Restart {
                units: self.units()?,
                rolling: self.flag("rolling")?,
                skip_configtest: self.flag("skipConfigtest")?,
                no_wait,
            },
            Change::Reload => Method::Reload {
                units: self.units()?,
                skip_configtest: self.flag("skipConfigtest")?,
                no_wait,
            },
            Change::Scale => Method::Scale {
                unit: self.required("unit", string)?,
                count: self.required("count", count)?,
                skip_configtest: self.flag("skipConfigtest")?,
                no_wait,
            },
            Change::Sync => Method::Sync { skip_configtest: self.flag("skipConfigtest")?, no_wait },
        })
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

fn count(value: Value) -> Option<u32> {
    value.as_u64().and_then(|count| u32::try_from(count).ok())
}

fn shutdown_kind(value: Value) -> Option<ShutdownKind> {
    let text = string(value)?;
    ShutdownKind::ALL.into_iter().find(|kind| kind.as_str() == text)
}

#[cfg(test)]
pub(super) mod tests;
