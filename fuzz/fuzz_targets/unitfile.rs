//! Arbitrary bytes as a unit, as a template, as a drop-in and as settings: `cargo +nightly fuzz run unitfile`.
//!
//! Nothing may crash or hang. A byte 0xFF divides the input into those four files, missing ones are empty.

#![no_main]

use std::path::Path;
use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use sexton::unitfile::render::{Colour, render};
use sexton::unitfile::{self, Diagnostic, Files, Input, UnitFile};

struct Memory(Vec<(Rc<Path>, String)>);

impl Files for Memory {
    fn read(&mut self, path: &Rc<Path>) -> Result<String, Box<Diagnostic>> {
        let found = self.0.iter().find(|(known, _)| known == path).map(|(_, text)| text.clone());
        found.ok_or_else(|| Box::new(Diagnostic::of_file(path.clone(), "cannot read it")))
    }

    fn list(&mut self, directory: &str) -> Result<Vec<String>, String> {
        match directory {
            "/" => Err("permission denied".to_owned()),
            _ => Ok(["redis_1.conf", "redis_2.conf", "a b.conf", ".hidden"].map(str::to_owned).into()),
        }
    }

    fn exists(&mut self, path: &str) -> bool {
        path.len() % 2 == 0
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut texts = bytes.split(|byte| *byte == 0xFF).map(|part| String::from_utf8_lossy(part).into_owned());
    let paths = ["web.toml", "redis@.toml", "redis@.d/x.toml", "sexton.toml"].map(|path| Rc::from(Path::new(path)));
    let mut memory = Memory(paths.iter().cloned().map(|path| (path, texts.next().unwrap_or_default())).collect());
    let [web, redis, drop_in, settings] = paths;
    let mut input = Input {
        units: vec![
            UnitFile { stem: "redis@".to_owned(), path: redis, at_boot: true },
            UnitFile { stem: "web".to_owned(), path: web, at_boot: true },
        ],
        settings: Some(settings),
        ..Input::default()
    };
    input.drop_ins.insert("redis@".to_owned(), vec![drop_in.clone()]);
    input.drop_ins.insert("redis@1".to_owned(), vec![drop_in]);
    let loaded = unitfile::load(&input, &mut memory);
    let warnings = unitfile::lint::lint(&loaded, &input, &mut memory);
    for diagnostic in loaded.diagnostics.iter().chain(&warnings) {
        let place = diagnostic.place.as_ref();
        assert!(place.is_none_or(|place| place.excerpt.get(place.highlight.clone()).is_some()));
        assert!(!diagnostic.to_string().contains('\x1b'));
        let _ = render(diagnostic, Colour::Plain);
    }
});
