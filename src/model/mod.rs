//! WHAT THINGS ARE: the nouns that every other module speaks of. Pure: no I/O, no clock, no global.
//!
//! ```text
//!   name      UnitName, and the rules for it      unit      Unit and the groups of its keys
//!   command   an argv and its `$` substitution    process   Pid, ExitStatus, Account, limits
//!   signal    Signal, by name or number           time      Moment, durations and sizes as text
//!   spawn     why a process could not be started   settings  what sexton.toml says of sexton itself
//!   number    a number as programs print it  phases    what stands between a wish and the process
//!   log       where output goes, and in what form  security  capabilities
//!   machine   boot and network of a machine         kernel_line  what the kernel was started with
//! ```

pub mod command;
pub mod env_file;
pub mod kernel_line;
pub mod log;
pub mod machine;
pub mod name;
pub mod number;
pub mod phases;
pub mod process;
pub mod resources;
pub mod security;
pub mod settings;
pub mod signal;
pub mod spawn;
pub mod time;
pub mod unit;

pub use command::{Command, Text};
pub use name::UnitName;
pub use number::Number;
pub use process::{Account, ExitStatus, Pid};
pub use settings::Settings;
pub use signal::Signal;
pub use spawn::{ExecStage, SpawnError};
pub use time::Moment;
pub use unit::{Kind, Unit};
