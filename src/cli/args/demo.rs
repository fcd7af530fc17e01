//! The arguments of the demo's own processes: nobody types them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::model::time;
use crate::sys::namespace::Outside;

/// `sexton demo-init`.
#[derive(Debug, Args)]
pub struct StageArgs {
    /// The namespaces that `sexton demo` left
    pub outside: Outside,
}

/// `sexton demo-server`.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// What it calls itself
    pub name: String,
    /// Where it listens, on 127.0.0.1
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// A file of `port NUMBER` and `greeting WORD` lines
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// How long it is busy before it listens
    #[arg(long, value_parser = time::parse_duration)]
    pub warm_up: Option<Duration>,
    /// A port whose server it asks for each answer
    #[arg(long = "ask")]
    pub asks: Vec<u16>,
}
