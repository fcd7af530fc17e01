//! Links the release binary without unwind tables: it aborts on a panic, so nobody would ever read them, and they
//! are a tenth of its size.

#![allow(clippy::disallowed_macros, reason = "this is how a build script speaks to cargo")]

fn main() {
    println!("cargo::rerun-if-changed=build/no-unwind-tables.ld");
    println!("cargo::rerun-if-changed=config/units");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    if variable("PROFILE") == "release" && variable("CARGO_CFG_TARGET_ENV") == "musl" {
        let script = format!("{}/build/no-unwind-tables.ld", variable("CARGO_MANIFEST_DIR"));
        for argument in ["--no-eh-frame-hdr", "--icf=all", &format!("--script={script}")] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}
