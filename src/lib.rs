//! sexton: a minimal PID 1. It reaps zombies, reads declarative units, starts services in dependency order.
//!
//! Four verbs: **model** describes, **engine** decides, **sys** does, **run** connects.

pub mod model;
pub mod unitfile;

pub mod engine;

pub mod control;
pub mod library;
pub mod logger;
pub mod machine;
pub mod sys;
pub mod wrapper;

pub mod run;

pub mod cli;
