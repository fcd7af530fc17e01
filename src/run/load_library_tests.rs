//! What is named and has no file, and the library.

use super::load::scratch::Scratch;
use super::load::{Library, UnitPaths, load};

#[test]
fn a_unit_that_is_named_and_has_no_file_is_the_librarys_and_that_is_said() {
    let scratch = Scratch::new();
    scratch.file("sexton.toml", "start = [\"app\", \"memcached@11212\"]\n");
    scratch.file("app.toml", "needs = [\"rabbitmq\"]\nafter = [\"app2\"]\n");
    scratch.file("app2.toml", "");
    scratch.file("memcached@.d/port.toml", "[instances]\nnames = [\"11212\"]\n");
    let paths = UnitPaths { library: Library::Searched, ..UnitPaths::directory(&scratch.path("")) };
    let loaded = load(&paths);
    let names: Vec<&str> = loaded.entries.iter().map(|entry| entry.name().as_str()).collect();
    // What the library's unit names is the library's too; what nobody names is not there.
    assert_eq!(names, ["app", "app2", "epmd", "memcached@11212", "rabbitmq"]);
    assert_eq!(loaded.counts(), (0, 3), "{:?}", loaded.diagnostics);
    let said: Vec<String> = loaded.diagnostics.iter().map(|said| said.message.clone()).collect();
    assert!(said.iter().any(|said| said.contains("no file is called 'epmd.toml'")), "{said:?}");
    assert_eq!(
        load(&UnitPaths::directory(&scratch.path(""))).counts().0,
        2,
        "a directory is all that is read"
    );
}

#[test]
fn a_file_comes_before_the_unit_of_the_library() {
    let scratch = Scratch::new();
    scratch.file("sexton.toml", "start = [\"nginx\"]\n");
    scratch.file("nginx.toml", "description = \"my own\"\n");
    let paths = UnitPaths { library: Library::Searched, ..UnitPaths::directory(&scratch.path("")) };
    let loaded = load(&paths);
    assert_eq!((loaded.entries.len(), loaded.counts()), (1, (0, 0)));
}
