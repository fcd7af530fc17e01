//! What is allowed and will yet not work: each warning, and what keeps it away.

use super::*;
use crate::unitfile::lint::lint;

fn warnings(files: &[(&str, &str)]) -> Vec<String> {
    let mut memory = Memory::new(files);
    let input = memory.input();
    let mut loaded = super::super::load(&input, &mut memory);
    assert_eq!(said(&loaded), Vec::<String>::new());
    loaded.diagnostics = lint(&loaded, &input, &mut memory);
    said(&loaded)
}

#[test]
fn two_units_that_share_an_address_or_a_file_are_warned_of() {
    let text = "[service]\nexec = [\"x\"]\n[process]\npid-file = \"/run/x.pid\"\n[dirs]\nstate = [\"x\"]\nlog = [\"x\"]\n[ready]\n";
    let (a, b) = (format!("{text}tcp = \"127.0.0.1:80\"\n"), format!("{text}unix = \"/run/x\"\n"));
    assert_eq!(
        warnings(&[("a.toml", &a), ("b.toml", &b)]),
        [
            "b.toml:4:12: 'a' and 'b' share the pid file '/run/x.pid'",
            "b.toml:6:9: 'a' and 'b' share the state directory '/var/lib/x'"
        ]
    );
    let other = "conflicts = [\"a\"]\n[service]\nexec = [\"x\"]\n[ready]\ntcp = \"127.0.0.1:80\"\n";
    assert_eq!(warnings(&[("a.toml", &a), ("b.toml", other)]), Vec::<String>::new());
}

#[test]
fn instances_that_share_what_they_should_not_are_told_of_the_missing_name() {
    let template = "[instances]\ncount = 3\n[service]\nexec = [\"x\"]\n[ready]\ntcp = \"127.0.0.1:80\"\n";
    assert_eq!(
        warnings(&[("t@.toml", template)]),
        [
            "t@.toml:6:7: 't@1', 't@3' and 1 more units share the TCP address '127.0.0.1:80' (all instances of the template have it: use %i, %f or a parameter in it)"
        ]
    );
}

#[test]
fn a_program_that_is_not_there_and_a_drop_in_for_nothing_are_warned_of() {
    let files = [
        ("a.toml", "[service]\nexec = [\"/opt/none\", \"x\"]"),
        ("b.toml", "[task]\nexec = [\"/opt/there\"]"),
        ("c.toml", "[task]\nexec = [\"${HOME}/x\"]"),
        ("/opt/there", ""),
        ("bb.d/x.toml", ""),
    ];
    assert_eq!(
        warnings(&files),
        [
            "a.toml:2:8: the program '/opt/none' is not there",
            "bb.d/x.toml: it changes nothing: there is no unit 'bb' (did you mean 'b.d'?)"
        ]
    );
}

#[test]
fn instances_that_render_the_same_file_are_warned_of_at_that_table() {
    let template = "[instances]\ncount = 2\n[service]\nexec = [\"x\"]\n\
                    [[render]]\nfrom = \"/in\"\nto = \"/run/%i.conf\"\n[[render]]\nfrom = \"/in\"\nto = \"/run/x.conf\"\n";
    assert_eq!(
        warnings(&[("t@.toml", template), ("/in", "")]),
        [
            "t@.toml:10:6: 't@1' and 't@2' share the rendered file '/run/x.conf' (all instances of the template have it: use %i, %f or a parameter in it)"
        ]
    );
}

#[test]
fn a_template_that_is_not_there_is_warned_of_unless_a_variable_says_where_it_is() {
    let text = "[service]\nexec = [\"x\"]\n[[render]]\nfrom = \"${DIR}/in\"\nto = \"/a\"\n[[render]]\nfrom = \"/none\"\nto = \"/b\"\n";
    assert_eq!(warnings(&[("web.toml", text)]), ["web.toml:7:8: the template '/none' is not there"]);
}

#[test]
fn a_reload_by_a_signal_without_a_test_is_warned_of_once_a_file() {
    let reload = "[reload]\nsignal = \"HUP\"\n";
    let template = format!("[instances]\ncount = 3\n[service]\nexec = [\"x\"]\n{reload}");
    assert_eq!(
        warnings(&[("t@.toml", &template)]),
        [
            "t@.toml:6:10: nothing tests the configuration before SIGHUP, at which a broken one may end it (give it a [configtest]: then a broken configuration never reaches it)"
        ]
    );
    let tested = format!("[service]\nexec = [\"x\"]\n{reload}[configtest]\nexec = [\"t\"]\n");
    let command = "[service]\nexec = [\"x\"]\n[reload]\nexec = [\"ctl\", \"reload\"]\n";
    assert_eq!(warnings(&[("a.toml", &tested), ("b.toml", command)]), Vec::<String>::new());
}

#[test]
fn an_overlap_needs_a_readiness_that_only_the_new_process_can_show() {
    let say = |rest: &str| {
        let text = format!("[service]\nexec = [\"x\"]\n[restart]\noverlap = true\n{rest}\n");
        warnings(&[("web.toml", &text)])
    };
    let alone = say("");
    assert_eq!(alone.len(), 1);
    assert!(
        alone[0].starts_with("web.toml:4:11: without [ready] the new process counts as ready after a second"),
        "{alone:?}"
    );
    for way in
        ["tcp = \"127.0.0.1:80\"", "unix = \"/run/x\"", "http = \"http://127.0.0.1/\"", "file = \"/run/y\""]
    {
        let said = say(&format!("[ready]\n{way}"));
        assert!(said.len() == 1 && said[0].contains("is there already, from the old process"), "{said:?}");
    }
    for way in ["notify = true", "fd = 3", "log = \"serving\"", "exec = [\"ask\"]"] {
        let said = say(&format!("[ready]\n{way}"));
        assert_eq!(said, [""; 0]);
    }
    let forks = say("[process]\npid-file = \"/run/x.pid\"\n[ready]\nnotify = true");
    assert!(forks.len() == 1 && forks[0].contains("both processes write the same pid file"), "{forks:?}");
}
