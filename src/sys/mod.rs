//! WHAT THE KERNEL DOES: the only place of `unsafe`. It decides nothing.
#![allow(
    unsafe_code,
    reason = "this is the one place where sexton speaks to the kernel past the type system"
)]
