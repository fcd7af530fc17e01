//! The notify sockets of units: `READY=1` and its kin.
