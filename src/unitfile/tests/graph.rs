//! Dependencies between units: wrong names, cycles, both sides of an order, and what two units share.

use super::*;

#[test]
fn a_dependency_on_nothing_is_an_error_with_the_nearest_name() {
    let loaded = load(&[("web.toml", "needs = [\"databse\"]\nafter = [\"zzz\"]"), ("database.toml", "")]);
    assert_eq!(
        said(&loaded),
        [
            "web.toml:1:10: there is no unit 'databse' (did you mean 'database'?)",
            "web.toml:2:10: there is no unit 'zzz'"
        ]
    );
    assert!(
        matches!(&loaded.entries[1], Entry::Broken { words, .. } if words.starts_with("web.toml:1:10: "))
    );
}

#[test]
fn what_is_no_name_of_a_unit_is_said() {
    assert_eq!(errors("needs = [\"web\"]"), ["1:10: 'web' depends on itself"]);
    assert_eq!(
        errors("needs = [\"db@\"]"),
        ["1:10: 'db@' is a template, not a unit ('db@*' is all its instances, 'db@NAME' one of them)"]
    );
    assert_eq!(
        errors("needs = [\"../x\"]"),
        ["1:10: '../x' is not the name of a unit: a name cannot begin with '.'"]
    );
    let loaded = load(&[("db@.toml", ""), ("web.toml", "needs = [\"db\"]")]);
    assert_eq!(
        said(&loaded),
        [
            "web.toml:1:10: there is no unit 'db' ('db' is a template: 'db@*' is all its instances, 'db@NAME' one of them)"
        ]
    );
}

#[test]
fn a_cycle_is_shown_whole_and_breaks_its_units_only() {
    let loaded = load(&[
        ("a.toml", "needs = [\"b\"]"),
        ("b.toml", "wants = [\"c\"]"),
        ("c.toml", "after = [\"a\"]"),
        ("d.toml", "needs = [\"a\"]"),
    ]);
    assert_eq!(said(&loaded), ["a.toml:1:10: a cycle: a needs b wants c after a"]);
    let broken: Vec<bool> =
        loaded.entries.iter().map(|entry| matches!(entry, Entry::Broken { .. })).collect();
    assert_eq!(broken, [true, true, true, false]);
}

#[test]
fn before_counts_as_after_on_the_other_side_in_cycles_and_in_units() {
    let loaded = load(&[("a.toml", "before = [\"b\"]\nafter = [\"b\"]"), ("b.toml", "")]);
    assert_eq!(said(&loaded), ["a.toml:2:10: a cycle: a after b after a"]);
    let units =
        good(&[("a.toml", "before = [\"b\"]"), ("b.toml", "after = [\"a\", \"a\"]\nneeds = [\"a\"]")]);
    assert_eq!(format!("{:?} {:?}", units[0].before, units[0].after), "[b] []");
    assert_eq!(format!("{:?} {:?}", units[1].after, units[1].needs), "[a] [a]");
}

#[test]
fn every_cycle_is_reported_once() {
    let loaded = load(&[
        ("a.toml", "needs = [\"b\", \"c\"]\nafter = [\"b\"]"),
        ("b.toml", "needs = [\"a\"]"),
        ("c.toml", "needs = [\"a\"]"),
        ("x.toml", "needs = [\"y\"]"),
        ("y.toml", "needs = [\"x\"]"),
    ]);
    let cycles: Vec<String> =
        said(&loaded).into_iter().map(|line| line.rsplit(": ").next().unwrap().to_owned()).collect();
    assert_eq!(cycles, ["a needs b needs a", "a needs c needs a", "x needs y needs x"]);
}

#[test]
fn a_wrong_word_in_a_template_is_one_error_and_breaks_every_instance() {
    for (line, words) in [
        ("needs = [\"nope\"]", "v@.toml:1:10: there is no unit 'nope'"),
        ("after = [\"v@*\"]", "v@.toml:1:10: a cycle: v@1 after v@10 after v@1"),
    ] {
        let loaded = load(&[("v@.toml", &format!("{line}\n[instances]\ncount = 300"))]);
        assert_eq!(said(&loaded), [words]);
        assert_eq!(loaded.entries.len(), 300);
        let is_broken =
            |entry: &Entry| matches!(entry, Entry::Broken { words: own, .. } if own.as_str() == words);
        assert!(loaded.entries.iter().all(is_broken), "{:?}", loaded.entries.first());
    }
}

#[test]
fn a_chain_of_a_hundred_thousand_units_needs_no_deep_stack() {
    let mut files: Vec<(String, String)> =
        (0..20_000).map(|n| (format!("u{n}.toml"), format!("needs = [\"u{}\"]", n + 1))).collect();
    files.push(("u20000.toml".into(), "needs = [\"u0\"]".into()));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let loaded = load(&files);
    assert_eq!(loaded.diagnostics.len(), 1);
    assert_eq!(loaded.diagnostics[0].message.matches("needs").count(), 20_001);
}

#[test]
fn what_one_needs_one_cannot_conflict_with() {
    let loaded = load(&[("a.toml", "needs = [\"b\"]\nconflicts = [\"b\"]"), ("b.toml", "")]);
    assert_eq!(said(&loaded), ["a.toml:2:14: it needs 'b' and can never be up with it"]);
}
