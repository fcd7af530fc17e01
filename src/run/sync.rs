//! The unit files as a sync goes over to them: all of them anew, or one template with another number of instances.
//!
//! ```text
//!   sync, SIGHUP ─▶ all files ─▶ an error anywhere? refused, every one is told
//!                            └─▶ Definitions ─▶ Request::Sync
//!   scale redis@ 5 ─▶ the template alone, with 5 for its count ─▶ what runs, less its instances, and those ─▶ as above
//! ```
//!
//! A number that was scaled to stands nowhere on disk: the next sync goes back to what the files say.

use std::rc::Rc;

use crate::control::error::MethodError;
use crate::engine::{Definitions, Event, Gate, Request};
use crate::model::{Settings, Unit, UnitName};
use crate::unitfile::Input;
use crate::unitfile::diagnostic::nearest;

use super::changes::NoWish;
use super::definitions::{Unfit, definitions};
use super::requests::{Pending, Wish};
use super::{Init, load};

impl Init {
    /// Everything as the files say it now.
    pub(super) fn read_definitions(&self) -> Result<(Definitions, Settings), NoWish> {
        definitions(load::load(&self.paths)).map_err(NoWish::Files)
    }

    /// What there is, with this many instances of a template.
    pub(super) fn scaled_definitions(&self, template: &str, count: u32) -> Result<Definitions, NoWish> {
        let prefix = template.strip_suffix('@').unwrap_or(template);
        let (mut input, _) = load::find(&self.paths);
        let stem = format!("{prefix}@");
        if !input.units.iter().any(|file| file.stem == stem) {
            return Err(self.no_template(template, &input));
        }
        input.counts.insert(prefix.to_owned(), count);
        let (read, _) = definitions(crate::unitfile::load(&input, &mut load::Disk)).map_err(NoWish::Files)?;
        let is_its = |name: &UnitName| name.prefix() == prefix && name.instance().is_some();
        let running = |name: &UnitName| self.engine.unit(self.engine.find(name.as_str())?).unit().cloned();
        let others = self.engine.ids().filter_map(|id| self.engine.unit(id).unit().cloned());
        let mut units: Vec<Rc<Unit>> = others.filter(|unit| !is_its(&unit.name)).collect();
        let mut boot = Vec::new();
        for unit in read.units.into_iter().filter(|unit| is_its(&unit.name)) {
            // One that is there stays as it is: whoever asks for another one does not ask for a change of this.
            match running(&unit.name) {
                Some(same) => units.push(same),
                None => {
                    boot.push(unit.name.clone());
                    units.push(unit);
                }
            }
        }
        Ok(Definitions { units, boot })
    }

    /// There are no instances to be had of it: it is one itself, it is no template, or there is no such thing.
    fn no_template(&self, name: &str, input: &Input) -> NoWish {
        let refused = |message| NoWish::Files(Unfit { message, diagnostics: Vec::new() });
        match name.split_once('@') {
            Some((prefix, instance)) if !instance.is_empty() => refused(format!(
                "'{name}' is one instance; what has a number of them is its template, '{prefix}@'"
            )),
            _ if self.engine.find(name).is_some() => refused(format!(
                "'{name}' is no template: its name does not end in '@', so there is one of it"
            )),
            _ => {
                let templates =
                    input.units.iter().map(|file| file.stem.as_str()).filter(|stem| stem.ends_with('@'));
                let nearest = nearest(name, templates).map(str::to_owned);
                MethodError::NoSuchUnit { name: name.to_owned(), nearest }.into()
            }
        }
    }

    /// SIGHUP: nobody waits, so what comes of it is said on the console.
    pub(super) fn sync_on_signal(&mut self) {
        let loaded = load::load(&self.paths);
        self.say_new_errors(&loaded);
        let (definitions, settings) = match definitions(loaded) {
            Ok(read) => read,
            Err(unfit) => return self.say(&format!("sync: refused: {}; nothing was changed", unfit.message)),
        };
        let Wish { request, units, done, files } = self.sync(definitions, Some(settings), Gate::Enforced);
        let definitions = match &request {
            Request::Sync { definitions, .. } => definitions.units.clone(),
            _ => Vec::new(),
        };
        let id =
            self.requests.open(Pending { done, units, definitions, files, is_said: true, ..Pending::own() });
        self.events.push_back(Event::Requested { id, request });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::load::scratch::Scratch;
    use crate::run::load::{Disk, UnitPaths, find};

    fn read(scratch: &Scratch, count: Option<u32>) -> Result<Vec<String>, Vec<String>> {
        let (mut input, _) = find(&UnitPaths::directory(&scratch.path("")));
        input.counts.extend(count.map(|count| ("w".to_owned(), count)));
        let (read, _) =
            definitions(crate::unitfile::load(&input, &mut Disk)).map_err(|unfit| unfit.diagnostics)?;
        Ok(read.units.iter().map(|unit| unit.name.to_string()).collect())
    }

    #[test]
    fn a_template_that_counts_has_as_many_instances_as_it_is_scaled_to() {
        let scratch = Scratch::new();
        let text = "[instances]\ncount = 2\n[instances.set.2]\nx = \"1\"\n[instances.defaults]\nx = \"0\"\n\
                    [service]\nexec = [\"/bin/true\", \"%{x}\"]\n";
        scratch.file("w@.toml", text);
        assert_eq!(read(&scratch, None).unwrap(), ["w@1", "w@2"]);
        assert_eq!(read(&scratch, Some(3)).unwrap(), ["w@1", "w@2", "w@3"]);
        assert_eq!(read(&scratch, Some(1)).unwrap(), ["w@1"]);
        scratch.file("w@.toml", "[instances]\nnames = [\"a\"]\n[service]\nexec = [\"/bin/true\"]\n");
        let lines = read(&scratch, Some(3)).unwrap_err().join("\n");
        assert!(lines.contains("only a template with a 'count'"), "{lines}");
    }
}
