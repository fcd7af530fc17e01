//! The logger process: output of units in, console out.
