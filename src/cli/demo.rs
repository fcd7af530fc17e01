//! `sexton demo`.

use clap::Args;

/// `sexton demo-server`.
#[derive(Debug, Args)]
pub struct ServerArgs {}
