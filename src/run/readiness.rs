//! Watches for what `[ready]` names.
