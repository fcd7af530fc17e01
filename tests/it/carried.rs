//! `sexton library`, `add` and `diff`: what sexton carries with it, and copies of it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::harness::{Plan, sexton};

/// Runs sexton on no machine: its exit status and all that it says.
fn run(words: &[&str]) -> (i32, String) {
    #[allow(clippy::disallowed_methods, reason = "a child of the test")]
    let ended = Command::new(sexton()).args(words).output().unwrap_or_else(|e| panic!("sexton: {e}"));
    let text = [ended.stdout, ended.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (ended.status.code().unwrap_or(-1), text.concat())
}

/// A place for the unit files of a person, which goes with the test.
struct Own(PathBuf);

impl Own {
    fn new() -> Own {
        Own(Plan::new().scratch().to_owned())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // What stays in /tmp harms nobody.
    }
}

#[test]
fn a_copy_says_where_it_comes_from_and_is_never_written_over_unasked() {
    let own = Own::new();
    let to = own.0.join("own");
    let place = to.display().to_string();
    assert_eq!(run(&["add", "mosquitto", "--to", &place]).0, 0);
    let path = to.join("mosquitto.toml");
    let first = fs::read_to_string(&path).unwrap_or_default();
    assert!(first.starts_with("# From the library of sexton "), "{first}");
    fs::write(&path, "my own\n").unwrap_or_else(|e| panic!("{e}"));
    let (code, said) = run(&["add", "mosquitto", "--to", &place]);
    assert!(code != 0 && said.contains("it is there already; --force writes over it"), "{code} {said}");
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), "my own\n");
    assert_eq!(run(&["add", "mosquitto", "--to", &place, "--force"]).0, 0);
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), first);
}

#[test]
fn an_instance_is_added_to_those_that_are_there() {
    let own = Own::new();
    let to = own.0.join("own");
    let place = to.display().to_string();
    assert_eq!(run(&["add", "memcached@", "--instance", "11212", "--to", &place]).0, 0);
    fs::write(to.join("memcached@.toml"), "# mine\n").unwrap_or_else(|e| panic!("{e}"));
    for name in ["memcached@11213", "memcached@11212"] {
        let (code, said) = run(&["add", name, "--to", &place]);
        assert_eq!(code, 0, "{said}");
    }
    let drop_in = fs::read_to_string(to.join("memcached@.d/instances.toml")).unwrap_or_default();
    assert!(drop_in.contains("names = [\"11213\", \"11212\"]"), "{drop_in}");
    assert_eq!(fs::read_to_string(to.join("memcached@.toml")).unwrap_or_default(), "# mine\n");
    let (code, said) = run(&["add", "mosquitto", "--instance", "x", "--to", &place]);
    assert!(code != 0 && said.contains("'mosquitto' is no template"), "{code} {said}");
}

#[test]
fn an_instance_of_a_copy_leaves_those_of_the_copy_and_what_a_person_wrote() {
    let own = Own::new();
    let to = own.0.join("own");
    let place = to.display().to_string();
    let drop_in = to.join("memcached@.d/instances.toml");
    assert_eq!(run(&["add", "memcached@", "--to", &place]).0, 0);
    assert_eq!(run(&["add", "memcached@11212", "--to", &place]).0, 0);
    let text = fs::read_to_string(&drop_in).unwrap_or_default();
    assert!(text.contains("names = [\"11211\", \"11212\"]"), "{text}");
    let set = format!("{text}[instances.set.11212]\nmemory = \"128\"\n");
    fs::write(&drop_in, &set).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(run(&["add", "memcached@11213", "--to", &place]).0, 0);
    let text = fs::read_to_string(&drop_in).unwrap_or_default();
    assert_eq!(text, set.replace("\"11212\"]", "\"11212\", \"11213\"]"));
    for broken in ["[instances]\nnames = [\n  \"11212\",\n]\n", "no file of sexton's"] {
        fs::write(&drop_in, broken).unwrap_or_else(|e| panic!("{e}"));
        let (code, said) = run(&["add", "memcached@11214", "--to", &place]);
        assert!(code == 1 && said.contains("add '11214' to them"), "{code} {said}");
        assert_eq!(fs::read_to_string(&drop_in).unwrap_or_default(), broken);
    }
}

#[test]
fn an_instance_that_comes_of_a_file_is_not_listed_and_its_file_is_named() {
    let own = Own::new();
    let place = own.0.join("own").display().to_string();
    let (code, said) = run(&["add", "redis@6380", "--to", &place]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("redis@6380 comes of its file: '/etc/redis/redis_6380.conf'"), "{said}");
    assert!(!own.0.join("own/redis@.d").exists());
    let (code, said) = run(&["check", &place]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = run(&["add", "mariadb@", "--to", &place]);
    assert!(code == 0 && said.contains("`sexton add mariadb@ --instance NAME` adds one"), "{code} {said}");
}

#[test]
fn what_can_be_no_instance_is_refused_before_anything_is_written() {
    let own = Own::new();
    let to = own.0.join("own");
    let place = to.display().to_string();
    for (words, why) in [
        (&["add", "memcached@../../x"][..], "'../../x' cannot be an instance: a name cannot begin with '.'"),
        (&["add", "memcached@a/b"], "cannot hold '/'"),
        (&["add", "memcached@", "--instance", "a\nb"], "cannot hold '\\n'"),
        (&["add", "memcached@", "--instance", ""], "cannot be empty"),
        (&["add", "memcached@1", "--instance", "2"], "'1' and '2' are two instances"),
        (&["add", "app@3"], "the instances of 'app@' are counted"),
    ] {
        let (code, said) = run(&[words, &["--to", &place]].concat());
        assert!(code == 2 && said.contains(why), "{words:?}: {code} {said}");
    }
    assert!(!to.exists());
    let (code, said) = run(&["add", "../nginx", "--to", &place]);
    assert!(code == 1 && said.contains("there is no unit '../nginx' in the library"), "{code} {said}");
    fs::write(&to, "a file").unwrap_or_else(|e| panic!("{e}"));
    let (code, said) = run(&["add", "nginx", "--to", &place]);
    assert!(code == 1 && said.contains("cannot make the directory '"), "{code} {said}");
}

#[test]
fn a_version_that_a_unit_was_not_tested_with_is_warned_of() {
    let status = "Package: nginx-common\nVersion: 1.22.1-9\n\nPackage: nginx-light\nVersion: @VERSION@\n";
    let machine = Plan::new()
        .setup("mkdir -p /var/lib/dpkg && mount -t tmpfs dpkg /var/lib/dpkg")
        .daemon("quiet", "wait", "")
        .up();
    let own = machine.path("own").display().to_string();
    for (version, is_said) in [("1.22.1-9+deb12u7", false), ("1.26.0-1", true), ("1.220-1", true)] {
        machine.write("status", &status.replace("@VERSION@", version));
        machine.run(&["cp", &machine.path("status").display().to_string(), "/var/lib/dpkg/status"]).expect(0);
        let warning = format!("nginx {version} is installed; the unit 'nginx' was tested with 1.22");
        for words in [&["add", "nginx", "--force", "--to", &own][..], &["check", &own]] {
            let said = machine.sexton(words).expect(0).all();
            assert_eq!(said.contains(&warning), is_said, "{version}: {said}");
        }
    }
}

#[test]
fn a_difference_is_shown_and_is_the_exit_status() {
    let own = Own::new();
    let to = own.0.join("own");
    let place = to.display().to_string();
    assert_eq!(run(&["add", "mosquitto", "--to", &place]).0, 0);
    assert_eq!(run(&["diff", "mosquitto", "--from", &place]), (0, String::new()));
    let path = to.join("mosquitto.toml");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let changed = text.replace("user = \"mosquitto\"", "user = \"mqtt\"");
    fs::write(&path, changed).unwrap_or_else(|e| panic!("{e}"));
    let (code, said) = run(&["diff", "mosquitto", "--from", &place]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("\n-user = \"mosquitto\"\n+user = \"mqtt\"\n"), "{said}");
    for (name, why) in [("nginx", "; `sexton add nginx` makes one"), ("ngnx", "; did you mean 'nginx'?")] {
        let (code, said) = run(&["diff", name, "--from", &place]);
        assert!(code == 2 && said.contains(why), "{code} {said}");
    }
}

#[test]
fn the_library_is_listed_searched_and_shown() {
    let (code, all) = run(&["library"]);
    assert_eq!(code, 0, "{all}");
    for name in ["nginx", "redis@", "app@"] {
        assert!(all.lines().any(|line| line.starts_with(&format!("{name} "))), "{name} is not in:\n{all}");
    }
    let (code, found) = run(&["library", "mqtt"]);
    assert_eq!((code, found.lines().count()), (0, 2), "{found}");
    assert!(found.contains("\nmosquitto "), "{found}");
    let (code, found) = run(&["library", "--json", "mqtt"]);
    assert!(code == 0 && found.contains("\"name\":\"mosquitto\""), "{found}");
    let (code, said) = run(&["library", "no-such-word-anywhere"]);
    assert_eq!(code, 1, "{said}");
    assert_eq!(said, "sexton: no unit of the library holds 'no-such-word-anywhere'\n");
    assert!(run(&["library", "ngnix"]).1.ends_with("; did you mean 'nginx'?\n"));
    assert_eq!(run(&["library", "--json", "no-such-word-anywhere"]), (1, "[]\n".to_owned()));
    let (code, shown) = run(&["library", "show", "redis"]);
    assert!(code == 0 && shown.contains("product = \"Redis\""), "{shown}");
    let (code, said) = run(&["library", "show", "ngin"]);
    assert!(code != 0 && said.contains("did you mean 'nginx'?"), "{said}");
}
