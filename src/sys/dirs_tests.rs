//! Directories with hostile things in the way.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use super::*;
use crate::model::unit::{DirectoryKind, Keep};

/// A root of its own for one test.
struct Root(PathBuf);

impl Root {
    fn new(name: &str) -> Root {
        let path = std::env::temp_dir().join(format!("sexton-dirs-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Root(path)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn runtime(path: &str, mode: u32) -> Directory {
    Directory { path: format!("/run/{path}"), kind: DirectoryKind::Runtime, mode, keep: Keep::Never }
}

const SERVICE: Owner = Owner { uid: 1234, gid: 2345 };

#[test]
fn a_directory_gets_its_owner_and_bits_and_its_parents_stay_ours() {
    let root = Root::new("make");
    for _ in 0..2 {
        make(&root.0, &runtime("a/b/c", 0o2750), Some(SERVICE)).unwrap();
        let about = root.at("a/b/c").metadata().unwrap();
        assert_eq!((about.uid(), about.gid(), about.mode() & 0o7777), (1234, 2345, 0o2750));
        let parent = root.at("a/b").metadata().unwrap();
        assert_eq!((parent.uid(), parent.mode() & 0o7777), (0, 0o755));
    }
}

#[test]
fn a_directory_that_is_there_is_put_right_and_keeps_what_is_in_it() {
    let root = Root::new("adjust");
    std::fs::create_dir(root.at("a")).unwrap();
    std::fs::set_permissions(root.at("a"), std::fs::Permissions::from_mode(0o777)).unwrap();
    std::fs::write(root.at("a/file"), "kept").unwrap();
    make(&root.0, &runtime("a", 0o700), Some(SERVICE)).unwrap();
    let about = root.at("a").metadata().unwrap();
    assert_eq!((about.uid(), about.mode() & 0o7777), (1234, 0o700));
    assert_eq!(
        (std::fs::read(root.at("a/file")).unwrap(), root.at("a/file").metadata().unwrap().uid()),
        (b"kept".into(), 0)
    );
}

#[test]
fn a_link_at_any_component_is_refused_and_what_it_leads_to_is_untouched() {
    for (link, wanted) in [("a", "a"), ("a", "a/b"), ("x/a", "x/a/b"), ("x/y/a", "x/y/a")] {
        let root = Root::new(&format!("link-{}-{}", link.len(), wanted.len()));
        let victim = root.at("victim");
        std::fs::create_dir_all(victim.join("b")).unwrap();
        std::fs::create_dir_all(root.at(link).parent().unwrap()).unwrap();
        symlink(&victim, root.at(link)).unwrap();
        let before = (victim.metadata().unwrap().mode(), victim.join("b").metadata().unwrap().uid());
        for open in [open_child_strictly, open_child_simply] {
            let parent = open_root(root.at(link).parent().unwrap()).unwrap();
            assert!(open(&parent, c"a", Mounts::Cross).is_err(), "{link}");
        }
        let error = make(&root.0, &runtime(wanted, 0o777), Some(SERVICE)).unwrap_err();
        assert!(matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENOTDIR)), "{error}");
        assert!(remove(&root.0, &runtime(wanted, 0)).is_err(), "{link} {wanted}");
        assert_eq!(before, (victim.metadata().unwrap().mode(), victim.join("b").metadata().unwrap().uid()));
    }
}

#[test]
fn what_is_no_path_below_its_root_is_refused() {
    let root = Root::new("paths");
    let escape = Directory { path: "/run/../etc".into(), ..runtime("", 0o700) };
    let foreign = Directory { path: "/etc/x".into(), ..runtime("", 0o700) };
    let deep = runtime(&"x/".repeat(MAX_DEPTH + 1), 0o700);
    for directory in [escape, foreign, deep, runtime("", 0o700), runtime("a\0b", 0o700)] {
        let error = make(&root.0, &directory, None).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{}", directory.path);
        assert!(remove(&root.0, &directory).is_err());
    }
}

#[test]
fn a_file_where_a_directory_should_be_is_refused() {
    let root = Root::new("file");
    std::fs::write(root.at("a"), "precious").unwrap();
    assert!(make(&root.0, &runtime("a", 0o700), None).is_err());
    assert!(remove(&root.0, &runtime("a", 0o700)).is_err());
    assert_eq!(std::fs::read(root.at("a")).unwrap(), b"precious");
}

#[test]
fn a_missing_root_is_made() {
    let root = Root::new("root");
    make(&root.at("var/lib"), &runtime("a", 0o700), None).unwrap();
    assert!(root.at("var/lib/a").is_dir());
}

#[test]
fn a_tree_is_removed_and_links_in_it_are_not_followed() {
    let root = Root::new("remove");
    std::fs::create_dir_all(root.at("victim")).unwrap();
    std::fs::write(root.at("victim/file"), "kept").unwrap();
    for number in 0..200 {
        std::fs::create_dir_all(root.at(&format!("a/b/{number}/c/d"))).unwrap();
        std::fs::write(root.at(&format!("a/b/{number}/file")), "").unwrap();
    }
    symlink(root.at("victim"), root.at("a/b/link")).unwrap();
    symlink("/none", root.at("a/dangling")).unwrap();
    remove(&root.0, &runtime("a", 0)).unwrap();
    assert!(!root.at("a").exists());
    assert_eq!(std::fs::read(root.at("victim/file")).unwrap(), b"kept");
    remove(&root.0, &runtime("a", 0)).unwrap();
    remove(&root.0, &runtime("x/y/z", 0)).unwrap();
}

#[test]
fn a_tree_that_is_too_deep_or_too_large_is_left_and_costs_a_bounded_time() {
    let root = Root::new("bounds");
    std::fs::create_dir_all(root.at(&format!("a/{}", "x/".repeat(MAX_DEPTH + 5)))).unwrap();
    let error = remove(&root.0, &runtime("a", 0)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
    std::fs::create_dir(root.at("b")).unwrap();
    std::fs::write(root.at("b/1"), "").unwrap();
    std::fs::write(root.at("b/2"), "").unwrap();
    let error = remove_some(&open_root(&root.at("b")).unwrap(), &mut 1).map(drop).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::E2BIG));
}
