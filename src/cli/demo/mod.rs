//! `sexton demo`: a real PID 1 in namespaces of its own, and a walk through what it does.
//!
//! ```text
//!   stage   namespaces, a private /tmp, PID 1        server  the daemon of the units
//!   story   the acts and their claims                chart   events as bars over time
//! ```

mod chart;
mod server;
mod stage;
mod story;

pub(super) use server::serve;

use super::args::demo::StageArgs;
use super::{Exit, Screen, Trouble};

/// `sexton demo`.
pub(super) fn demo(screen: &mut Screen<'_>) -> Result<Exit, Trouble> {
    let mut stage = stage::Stage::build()?;
    let mut listener = stage.connect()?;
    story::Story::new(screen, &mut stage, &mut listener)?.tell()?;
    Ok(Exit::Done)
}

/// `sexton demo-init`: returns only when it cannot become PID 1 of the stage.
pub(super) fn become_init(args: &StageArgs) -> Trouble {
    stage::become_init(args.outside)
}
