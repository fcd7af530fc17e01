//! Files made to do harm: each gets a diagnostic, none a crash, a hang or a full stack.

use std::time::{Duration, Instant};

use super::*;

/// Loads one hostile text within a time that only something quadratic would need, and answers what is said. A machine
/// that itself stands still for a while does so once and not three times.
fn survive(text: &str) -> Vec<String> {
    let timed = || {
        let began = Instant::now();
        (load(&[("web.toml", text), ("ok.toml", "")]), began.elapsed())
    };
    let in_time = |(_, took): &(_, Duration)| *took < Duration::from_secs(20);
    let (loaded, _) = (0..3).map(|_| timed()).find(in_time).expect("it is through before 20 s");
    assert_eq!(loaded.entries.len(), 2);
    assert!(matches!(&loaded.entries[0], Entry::Unit(_)), "the others carry on");
    said(&loaded)
}

#[test]
fn deep_nesting_is_refused_before_the_parser_sees_it() {
    let depth = 500_000;
    for text in [
        format!("a = {}", "[".repeat(depth)),
        format!("a = {}{}", "[".repeat(depth), "]".repeat(depth)),
        format!("a = {}", "{ a = ".repeat(depth / 5)),
        format!("{}a = 1", "a.".repeat(depth)),
        format!("[{}a]", "a.".repeat(depth)),
        format!("{}a = 1", "\"\\\"\".".repeat(depth / 8)),
        format!("x = {{ y = \"\"\"\n\"\"\", {}a = 1 }}", "b.".repeat(1000)),
        format!("a = [ # ]\n{}", "[ # ]\n".repeat(1000)),
        // The first of four quotes is the string's own: none is left to hide what follows.
        format!("a = [\"\"\"x\"\"\"\", {}", "[".repeat(depth)),
        format!("a = ['''x''''', {}", "[".repeat(depth)),
    ] {
        let said = survive(&text);
        assert!(said[0].contains("nested too deeply"), "{}: {said:?}", &text[..40]);
    }
}

#[test]
fn the_deepest_nesting_that_is_let_through_fits_on_a_small_stack() {
    let inner = "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a = { ";
    let text = format!("{}1 = 1{}", inner.repeat(31), " }".repeat(31));
    let run = move || assert!(!survive(&text)[0].is_empty());
    std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn brackets_in_strings_and_comments_are_not_nesting() {
    let open = "[{".repeat(100);
    let dots = "a.b.".repeat(100);
    let text = format!(
        "# {open}\n[service]\nexec = [\"sh\", '{open}{dots}', \"\\\"{open}\", \"\"\"\n{open}\"\n{dots}\"\"\", '''{open}\n''']\n"
    );
    assert_eq!(errors(&text), Vec::<String>::new());
}

#[test]
fn a_hundred_thousand_keys_are_counted_not_listed() {
    let text: String = (0..100_000).map(|n| format!("k{n}=1\n")).collect();
    let said = survive(&text);
    assert_eq!(said.len(), 101);
    assert_eq!(said.last().map(String::as_str), Some("web.toml: and 99900 more errors"));
    let syntax: String = "=\n".repeat(200_000);
    assert!(survive(&syntax).len() <= 101);
    let values = format!("[service]\nexec = [{}]", "1,".repeat(300_000));
    assert!(survive(&values).len() <= 101);
}

#[test]
fn nul_bytes_and_control_characters_are_errors() {
    assert!(!errors("a\0b = 1").is_empty());
    assert!(!errors("description = \"\u{1b}[2J\"").is_empty());
    let loaded = load(&[("web.toml", "\"\\u001b[2J\" = 1")]);
    assert!(!said(&loaded)[0].contains('\x1b'));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for path in
        ["../x.toml", "a/../b.toml", ".hidden.toml", "a b.toml", "a@b@c.toml", "@.toml", "a@*.toml", "-.toml"]
    {
        let loaded = load(&[(path, "")]);
        assert_eq!(loaded.entries.len(), 0, "{path}");
        assert!(said(&loaded)[0].contains("is not the name of a unit"), "{:?}", said(&loaded));
    }
}

#[test]
fn long_lines_long_keys_and_long_strings_are_shown_in_part() {
    let long = "x".repeat(900_000);
    for text in [format!("{long} = 1"), format!("needs = [\"{long}\"]"), format!("manual = \"{long}\"")] {
        let loaded = load(&[("web.toml", &text)]);
        let size = |d: &Diagnostic| d.place.as_ref().map_or(0, |place| place.excerpt.len());
        assert!(loaded.diagnostics.iter().all(|d| size(d) < 2_000 && d.message.len() < 2_000_000));
        assert!(!loaded.diagnostics.is_empty());
    }
}

#[test]
fn what_the_parser_can_repeat_is_not_quadratic() {
    survive(&"[a.b.c]\n".repeat(100_000));
    survive(&"[[a]]\n".repeat(150_000));
    survive(&format!("a = \"{}", "\\".repeat(900_000)));
    survive(&format!("a = {}", "\"\" ".repeat(300_000)));
    survive(&format!("a = \"\"\"{}", "\"\"\\".repeat(300_000)));
}
