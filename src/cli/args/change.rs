//! What the commands take that change something.

use clap::{Args, ValueEnum};

use crate::control::method::Method;
use crate::model::Signal;

/// At least one unit.
#[derive(Debug, Args)]
pub struct Units {
    /// Names of units, or patterns such as 'redis@*'
    #[arg(value_name = "UNIT", required = true)]
    pub units: Vec<String>,
}

impl Units {
    /// The names and patterns.
    pub fn names(&self) -> Vec<String> {
        self.units.clone()
    }
}

/// `sexton start`.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// Which units.
    #[command(flatten)]
    pub units: Units,
    /// Return at once, without waiting until they are ready
    #[arg(long)]
    pub no_wait: bool,
}

/// `sexton stop`.
#[derive(Debug, Args)]
pub struct StopArgs {
    /// Which units.
    #[command(flatten)]
    pub units: Units,
    /// Stop the running units that need them too, before them
    #[arg(long)]
    pub cascade: bool,
    /// Return at once
    #[arg(long)]
    pub no_wait: bool,
}

/// What the changes have in common that have a configtest before them.
#[derive(Debug, Default, Args)]
pub struct Gate {
    /// Run no configtest; for root alone, and logged
    #[arg(long)]
    pub skip_configtest: bool,
    /// Return at once
    #[arg(long)]
    pub no_wait: bool,
}

/// `sexton restart`.
#[derive(Debug, Args)]
pub struct RestartArgs {
    /// Which units.
    #[command(flatten)]
    pub units: Units,
    /// One after the other, each ready before the next is touched
    #[arg(long)]
    pub rolling: bool,
    /// What else.
    #[command(flatten)]
    pub gate: Gate,
}

/// `sexton reload`.
#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// Which units.
    #[command(flatten)]
    pub units: Units,
    /// What else.
    #[command(flatten)]
    pub gate: Gate,
}

/// `sexton sync`.
#[derive(Debug, Args)]
pub struct SyncArgs {
    /// What else.
    #[command(flatten)]
    pub gate: Gate,
}

/// `sexton scale`.
#[derive(Debug, Args)]
pub struct ScaleArgs {
    /// The template, with its @
    #[arg(value_name = "NAME@")]
    pub unit: String,
    /// How many instances
    #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(..=10_000))]
    pub count: u32,
    /// What else.
    #[command(flatten)]
    pub gate: Gate,
}

/// `sexton plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Which change
    #[arg(value_name = "ACTION")]
    pub action: Action,
    /// What it takes: units, for scale a template and a number, for sync nothing
    #[arg(value_name = "UNIT")]
    pub operands: Vec<String>,
    /// As for stop
    #[arg(long)]
    pub cascade: bool,
    /// As for restart
    #[arg(long)]
    pub rolling: bool,
}

/// A change that can be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "each is the command of its name")]
pub enum Action {
    Restart,
    Reload,
    Stop,
    Start,
    Sync,
    Scale,
}

impl PlanArgs {
    /// The change that is planned, or what is wrong with the command line.
    pub fn change(&self) -> Result<Method, String> {
        let (skip_configtest, no_wait) = (false, false);
        if self.cascade && self.action != Action::Stop {
            return Err("--cascade goes with 'plan stop' alone".to_owned());
        }
        if self.rolling && self.action != Action::Restart {
            return Err("--rolling goes with 'plan restart' alone".to_owned());
        }
        let units = self.operands.clone();
        match (self.action, self.operands.as_slice()) {
            (Action::Sync, []) => Ok(Method::Sync { skip_configtest, no_wait }),
            (Action::Sync, [one, ..]) => Err(format!("'plan sync' takes no unit, and here is '{one}'")),
            (Action::Scale, [unit, count]) => match count.parse() {
                Ok(count) => Ok(Method::Scale { unit: unit.clone(), count, skip_configtest, no_wait }),
                Err(_) => Err(format!("'{count}' is no number of instances")),
            },
            (Action::Scale, _) => Err("'plan scale' takes a template and a number: web@ 4".to_owned()),
            (_, []) => Err("it is not said which units".to_owned()),
            (Action::Start, _) => Ok(Method::Start { units, no_wait }),
            (Action::Stop, _) => Ok(Method::Stop { units, cascade: self.cascade, no_wait }),
            (Action::Restart, _) => {
                Ok(Method::Restart { units, rolling: self.rolling, skip_configtest, no_wait })
            }
            (Action::Reload, _) => Ok(Method::Reload { units, skip_configtest, no_wait }),
        }
    }
}

/// `sexton signal`.
#[derive(Debug, Args)]
pub struct SignalArgs {
    /// The signal, by name or number
    #[arg(value_name = "SIGNAL", value_parser = parse_signal)]
    pub signal: Signal,
    /// Which units.
    #[command(flatten)]
    pub units: Units,
}

fn parse_signal(text: &str) -> Result<Signal, String> {
    if let Some(signal) = Signal::parse(text) {
        return Ok(signal);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    Err(match crate::cli::nearest(name, Signal::names()) {
        Some(nearest) => format!("no such signal; did you mean {nearest}?"),
        None => "no such signal".to_owned(),
    })
}
