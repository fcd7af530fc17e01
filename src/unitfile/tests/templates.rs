//! Instances: from files, by name, by number and on demand; their parameters and their drop-ins.

use super::*;
use crate::model::unit::Program;

const REDIS: &str = "[instances]\nfiles = \"/etc/redis/redis_*.conf\"\n[service]\nexec = [\"redis-server\", \"%f\", \"%i\"]\n";

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded.entries.iter().map(|entry| entry.name().as_str()).collect()
}

#[test]
fn each_file_that_matches_makes_an_instance() {
    let units = good(&[
        ("redis@.toml", REDIS),
        ("/etc/redis/redis_6380.conf", ""),
        ("/etc/redis/redis_6379.conf", ""),
        ("/etc/redis/redis_.conf", ""),
        ("/etc/redis/redis.conf", ""),
        ("/etc/redis/redis_6381.conf.bak", ""),
    ]);
    let commands: Vec<String> = units.iter().map(|unit| unit.program().unwrap().exec.to_string()).collect();
    assert_eq!(
        commands,
        ["redis-server /etc/redis/redis_6379.conf 6379", "redis-server /etc/redis/redis_6380.conf 6380"]
    );
    assert_eq!(units[0].instance_file.as_ref().unwrap().to_str(), Some("/etc/redis/redis_6379.conf"));
}

#[test]
fn the_star_may_stand_for_a_directory() {
    let template = "[instances]\nfiles = \"/srv/*/app.toml\"\n[service]\nexec = [\"app\", \"%f\"]\n";
    let loaded = load(&[
        ("%@.toml", ""),
        ("app@.toml", template),
        ("/srv/blue/app.toml", ""),
        ("/srv/green/other", ""),
        ("/srv/.git/app.toml", ""),
    ]);
    assert!(names(&loaded).contains(&"app@blue") && !names(&loaded).contains(&"app@green"));
}

#[test]
fn names_and_a_count_make_instances_and_parameters_differ() {
    let template = "description = \"%i has %{memory} on %{port}\"\n[instances]\nnames = [\"cache\", \"queue\"]\ncount = 2\n\
                    defaults = { memory = \"64mb\", port = \"70%i\" }\n[instances.set.cache]\nmemory = 256\nport = 1\n";
    let units = good(&[("mem@.toml", template)]);
    let said: Vec<&str> = units.iter().map(|unit| &*unit.description).collect();
    assert_eq!(
        said,
        ["1 has 64mb on 701", "2 has 64mb on 702", "cache has 256 on 1", "queue has 64mb on 70queue"]
    );
}

#[test]
fn a_template_that_lists_nothing_has_the_instances_that_are_named() {
    let files = [
        ("sexton.toml", "start = [\"getty@tty1\"]"),
        ("getty@.toml", "needs = [\"log@%i\"]\n[service]\nexec = [\"agetty\", \"%i\"]\n"),
        ("log@.toml", ""),
        ("web.toml", "wants = [\"getty@tty2\"]"),
    ];
    let loaded = load(&files);
    assert_eq!(said(&loaded), Vec::<String>::new());
    assert_eq!(names(&loaded), ["getty@tty1", "getty@tty2", "log@tty1", "log@tty2", "web"]);
    assert_eq!(loaded.start.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["getty@tty1"]);
}

#[test]
fn of_a_template_that_lists_its_instances_no_other_can_be_named() {
    let loaded =
        load(&[("db@.toml", "[instances]\nnames = [\"a\", \"b\"]\n"), ("web.toml", "needs = [\"db@c\"]")]);
    assert_eq!(said(&loaded), ["web.toml:1:10: the template 'db@' has no instance 'c' (there is a, b)"]);
    let loaded = load(&[
        ("db@.toml", "[instances]\nfiles = \"/nowhere/*.conf\"\n"),
        ("web.toml", "needs = [\"db@c\"]"),
    ]);
    let words =
        "web.toml:1:10: the template 'db@' has no instance 'c' (each file '/nowhere/*.conf' makes one)";
    assert_eq!(said(&loaded), [words]);
}

#[test]
fn instances_that_name_each_other_without_end_come_to_an_end() {
    let loaded = load(&[("a@.toml", "after = [\"a@%ix\", \"a@%iy\"]\n"), ("web.toml", "needs = [\"a@1\"]")]);
    assert!(loaded.entries.len() > 100 && loaded.entries.len() < 10_000);
    assert!(!loaded.diagnostics.is_empty());
}

#[test]
fn a_parameter_that_nobody_uses_or_nobody_has_is_an_error() {
    let template = "[instances]\nnames = [\"a\", \"b\"]\ndefaults = { prot = \"1\" }\nset.a.only = 2\n\
                    [service]\nexec = [\"x\", \"%{port}\", \"%{only}\"]\n";
    let said = said(&load(&[("t@.toml", template)]));
    assert_eq!(
        said,
        [
            "t@.toml:3:14: the parameter 'prot' is used nowhere (did you mean 'port'?)",
            "t@.toml:6:15: unknown parameter 'port' (in 't@a') (did you mean '%{prot}'?)",
            "t@.toml:6:26: the instance 't@b' has no parameter 'only' (in 't@b') (set it in [instances] defaults, or in [instances.set.b])",
        ]
    );
}

#[test]
fn what_cannot_be_an_instance_is_said_with_its_file() {
    let template =
        "[instances]\nfiles = \"/c/*.conf\"\nnames = [\"a\", \"b c\", \"a\", \"..\"]\n[instances.set.z]\n";
    let said = said(&load(&[("t@.toml", template), ("/c/a.conf", ""), ("/c/x y.conf", "")]));
    assert_eq!(said.len(), 6, "{said:?}");
    assert!(said[0].starts_with(
        "t@.toml:2:9: 'x y' (from '/c/x y.conf') cannot be an instance: a name cannot hold ' '"
    ));
    assert_eq!(said[1], "t@.toml:3:10: the instance 't@a' is there already, by '/c/a.conf'");
    assert!(said[2].starts_with("t@.toml:3:15: 'b c' cannot be an instance"));
    assert_eq!(said[3], "t@.toml:3:22: the instance 't@a' is there already, by '/c/a.conf'");
    assert!(said[4].starts_with("t@.toml:3:27: '..' cannot be an instance"));
    assert!(said[5].starts_with("t@.toml:4:"), "{said:?}");
}

#[test]
fn what_cannot_be_an_instance_breaks_no_other() {
    let template = "[instances]\nfiles = \"/c/r_*.conf\"\nnames = [\"1\"]\ndefaults.x = 1\nset.3.x = 1\n[service]\nexec = [\"a\", \"%{x}\"]\n";
    let files = [("t@.toml", template), ("/c/r_1.conf", ""), ("/c/r_2.conf", ""), ("/c/r_2 (copy).conf", "")];
    let loaded = load(&files);
    assert_eq!(said(&loaded).len(), 3, "{:?}", said(&loaded));
    assert_eq!(names(&loaded), ["t@1", "t@2"]);
    assert!(loaded.entries.iter().all(|entry| matches!(entry, Entry::Unit(_))), "{:?}", loaded.entries);
    let in_doubt = load(&[("t@.toml", "[instances]\nnames = [\"1\"]\ncount = 10001\n")]);
    assert!(matches!(&in_doubt.entries[0], Entry::Broken { .. }), "which are meant is not known");
}

#[test]
fn an_instance_of_a_template_with_an_error_says_it_with_its_hint() {
    let loaded = load(&[("t@.toml", "[instances]\nnames = [\"1\"]\ndefaults.a = 1\n")]);
    let Entry::Broken { words, .. } = &loaded.entries[0] else { panic!("{:?}", loaded.entries) };
    assert_eq!(words, "t@.toml:3:10: the parameter 'a' is used nowhere; use it as %{a}, or take it out");
}

#[test]
fn a_count_may_be_written_in_any_base() {
    let loaded = load(&[("t@.toml", "[instances]\ncount = 0x1_0\n")]);
    assert_eq!((loaded.entries.len(), said(&loaded)), (16, Vec::new()));
}

#[test]
fn a_dollar_in_a_files_path_stays_one_on_its_way_through_a_parameter() {
    let template = "[instances]\nfiles = \"/c$HOME/*.conf\"\ndefaults.path = \"%f.${X}\"\n\
                    [service]\nexec = [\"a\", \"%f.${X}\", \"%{path}\"]\n";
    let units = good(&[("t@.toml", template), ("/c$HOME/a.conf", "")]);
    let exec = &units[0].program().unwrap().exec;
    let settled: Vec<String> =
        exec.argv().iter().map(|word| word.expand(|_| Some("value")).unwrap()).collect();
    assert_eq!(settled, ["a", "/c$HOME/a.conf.value", "/c$HOME/a.conf.value"]);
}

#[test]
fn a_pattern_has_one_star_and_is_absolute() {
    let say = |pattern: &str| said(&load(&[("t@.toml", &format!("[instances]\nfiles = \"{pattern}\"\n"))]));
    assert_eq!(
        say("/etc/x.conf"),
        ["t@.toml:2:9: 'files' holds exactly one '*' (what it matches becomes %i)"]
    );
    assert_eq!(say("/etc/*/*.conf").len(), 1);
    assert_eq!(say("etc/*.conf"), ["t@.toml:2:9: 'etc/*.conf' is not an absolute path"]);
    assert_eq!(say("/etc/%p/*.conf"), Vec::<String>::new());
    assert_eq!(
        errors("[instances]\ncount = 1"),
        ["1:1: only a template has instances (a template's file is called 'web@.toml')"]
    );
}

#[test]
fn an_error_of_a_template_is_said_once_and_breaks_every_instance() {
    let loaded =
        load(&[("t@.toml", "[instances]\ncount = 50\n[service]\nexec = [\"x\"]\n[process]\nnice = 99\n")]);
    assert_eq!(said(&loaded), ["t@.toml:6:8: 99 is not a number from -20 to 19 (in 't@1')"]);
    assert!(loaded.entries.iter().all(|entry| matches!(entry, Entry::Broken { .. })));
    assert_eq!(loaded.entries.len(), 50);
}

#[test]
fn a_template_without_instances_is_checked_too() {
    let say = |text: &str| said(&load(&[("t@.toml", text)]));
    let text = "[service]\nexec = [\"x\", \"%{a}\"]\n[ready]\ntcp = \"%i\"\ntimeout = \"x\"\n";
    let said = say(text);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("t@.toml:2:15: unknown parameter 'a'"));
    assert!(said[1].starts_with("t@.toml:5:11: 'x' is no duration"));
}

#[test]
fn an_instance_has_drop_ins_of_its_own_or_a_file_of_its_own() {
    let units = good(&[
        ("t@.toml", "description = \"%i\"\n[instances]\ncount = 3\ndefaults = { extra = \"e\" }\n"),
        ("t@.d/a.toml", "docs = [\"all\"]"),
        ("t@2.d/a.toml", "description = \"second %{extra}\""),
        ("t@3.toml", "description = \"own %i\""),
    ]);
    let said: Vec<(&str, usize)> = units.iter().map(|unit| (&*unit.description, unit.docs.len())).collect();
    assert_eq!(said, [("1", 1), ("second e", 1), ("own 3", 0)]);
}

#[test]
fn a_dependency_may_be_on_one_on_all_or_instance_by_instance() {
    let units = good(&[
        ("app@.toml", "needs = [\"db@%i\"]\n[instances]\nnames = [\"a\", \"b\"]\n"),
        ("db@.toml", "conflicts = []\nafter = [\"db@*\", \"web\"]\n[instances]\nnames = [\"a\"]\n"),
        ("db@b.toml", ""),
        ("web.toml", "wants = [\"none@*\"]\nbefore = [\"app@*\", \"app@a\"]"),
        ("none@.toml", ""),
    ]);
    let needs = |n: usize| units[n].needs.iter().map(|name| name.as_str()).collect::<Vec<_>>();
    assert_eq!((needs(0), needs(1)), (vec!["db@a"], vec!["db@b"]));
    assert_eq!(format!("{:?}", units[2].after), "[db@b, web]");
    assert_eq!(format!("{:?} {:?}", units[4].wants, units[4].before), "[] [app@a, app@b]");
    assert_eq!(format!("{:?}", units[0].after), "[web]");
}

#[test]
fn what_depends_on_a_broken_template_is_told_so() {
    let loaded = load(&[
        ("db@.toml", "x = ["),
        ("one.toml", "needs = [\"db@1\"]"),
        ("all.toml", "needs = [\"db@*\"]"),
    ]);
    assert!(said(&loaded).iter().all(|line| line.starts_with("db@.toml:")), "{:?}", said(&loaded));
    assert_eq!(names(&loaded), ["all", "db@1", "one"]);
    assert!(matches!(&loaded.entries[1], Entry::Broken { words, .. } if words.starts_with("db@.toml:1:")));
    assert!(matches!(&loaded.entries[2], Entry::Unit(_)));
}

#[test]
fn instances_that_are_alike_share_what_they_have_in_common() {
    let units = good(&[(
        "t@.toml",
        "[instances]\ncount = 100\n[service]\nexec = [\"daemon\", \"--id\", \"%i\"]\n[stop]\nkill = \"never\"\n",
    )]);
    let program = |n: usize| units[n].program().unwrap();
    assert!(
        Rc::ptr_eq(&program(3).stop, &program(70).stop)
            && Rc::ptr_eq(&program(3).process, &program(70).process)
    );
    assert!(Rc::ptr_eq(&units[3].source, &units[70].source));
}

#[test]
fn what_instances_share_is_what_no_percent_and_no_drop_in_touches() {
    let template = "[instances]\nnames = [\"a\", \"b\", \"c\"]\n[service]\nexec = [\"x\", \"%i\"]\n\
         [process]\nenv = { ID = \"%i\" }\n[stop]\ncodes-ok = [1]\n[restart]\nlimit = 1\n";
    let units = good(&[("x@.toml", template), ("x@b.d/1.toml", "[stop]\ncodes-ok = [2]\n")]);
    let programs: Vec<&Program> = units.iter().map(|unit| unit.program().unwrap()).collect();
    let [a, b, c] = programs[..] else { panic!("{units:?}") };
    assert!(Rc::ptr_eq(&a.stop, &c.stop) && Rc::ptr_eq(&a.restart, &c.restart));
    assert_eq!([a, b, c].map(|program| program.stop.codes_ok[0]), [1, 2, 1]);
    assert_eq!([a, b, c].map(|program| program.process.env[0].1.to_string()), ["a", "b", "c"]);
    assert_eq!([a, b, c].map(|program| program.exec.to_string()), ["x a", "x b", "x c"]);
}

#[test]
fn an_error_in_what_instances_share_breaks_each_of_them() {
    let text = "[instances]\ncount = 2\n[service]\nexec = [\"x\"]\n[restart]\ndelay = \"soon\"\n";
    let loaded = load(&[("x@.toml", text)]);
    assert!(loaded.entries.iter().all(|entry| matches!(entry, Entry::Broken { .. })), "{:?}", loaded.entries);
    assert_eq!((loaded.entries.len(), loaded.diagnostics.len()), (2, 1));
}
