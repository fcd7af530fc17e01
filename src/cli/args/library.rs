//! What the commands of the library take.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::OneUnit;

/// `sexton library`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct LibraryArgs {
    /// Only units that hold all of these words
    #[arg(value_name = "WORD")]
    pub words: Vec<String>,
    /// What else is asked of it.
    #[command(subcommand)]
    pub verb: Option<LibraryVerb>,
}

/// What else is asked of the library.
#[derive(Debug, Subcommand)]
pub enum LibraryVerb {
    /// Print a unit of the library
    Show(OneUnit),
}

/// `sexton add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The name of a unit of the library
    #[arg(value_name = "NAME")]
    pub unit: String,
    /// An instance of the template, which is added to those that there are
    #[arg(long, value_name = "INSTANCE")]
    pub instance: Option<String>,
    /// Write over a file that is there already
    #[arg(long)]
    pub force: bool,
    /// Where to [default: /etc/sexton/units]
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}

/// `sexton diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The name of a unit of the library
    #[arg(value_name = "NAME")]
    pub unit: String,
    /// Where the copy is [default: /etc/sexton/units]
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
}
