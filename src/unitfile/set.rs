//! All units at once: reads each file, expands the templates, and lets `resolve` tie them together.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;

use toml::de::DeTable;

use super::diagnostic::{Diagnostic, Level, Problems, Sources, Spot};
use super::library::{self, Wished};
use super::read::{Reader, table};
use super::substitute::{self, Dollar, Names};
use super::template::{self, Instance, Listing};
use super::unit::{Draft, Origin};
use super::{Files, Input, Loaded, UnitFile, command, document, resolve, schema};
use crate::model::name::check_prefix;
use crate::model::{Settings, UnitName};

use super::command::WithCommand;
use super::parts::Parts;
use super::pool::Pool;
use super::resolve::{Given, KnownTemplate};

/// Instances that nothing but dependencies names are made up to this number: `needs = ["a@%i1", "a@%i2"]`
/// in a template without `[instances]` would go on for ever.
const MOST_ON_DEMAND: usize = 4096;

/// One unit on its way to the engine.
#[derive(Debug)]
pub struct Slot {
    /// Its name.
    pub name: UnitName,
    /// What was read of it.
    pub content: Content,
    /// It is started at boot when the settings do not say what is.
    pub at_boot: bool,
}

/// What was read of a unit.
#[derive(Debug)]
pub enum Content {
    /// It is fine, so far.
    Draft(Box<Draft>),
    /// The first error, with its place.
    Broken(String),
}

/// A template and what is known of it.
#[derive(Debug)]
pub struct Template<'s> {
    /// The part before `@`.
    pub prefix: String,
    /// Does it say which instances there are?
    pub lists: bool,
    /// The first error that concerns all instances.
    pub broken: Option<String>,
    /// What it says.
    pub root: DeTable<'s>,
    file: &'s UnitFile,
    sources: &'s Sources,
    parts: Parts,
    known: Vec<String>,
    syntax_fails: bool,
    /// Where an instance had an error already: the next one has the same.
    seen: HashSet<(usize, usize)>,
    on_demand: usize,
}

/// A name that `sexton.toml` starts, with its place.
pub type Start = (String, Spot);

/// Reads all units, and with them what they name of the library.
pub fn load(input: &Input, files: &mut dyn Files) -> Loaded {
    let mut input = Cow::Borrowed(input);
    loop {
        let (loaded, named) = match &input.command {
            Some(command) => read(&command.beside(&input), &mut WithCommand { command, files }),
            None => read(&input, files),
        };
        if named.is_empty() {
            return loaded;
        }
        library::extend(input.to_mut(), named);
    }
}

/// All units, and what of the library they name and nobody else is.
fn read(input: &Input, files: &mut dyn Files) -> (Loaded, BTreeSet<&'static str>) {
    let mut set = Set {
        input,
        files,
        pool: Pool::default(),
        slots: Vec::new(),
        index: HashMap::new(),
        diagnostics: Vec::new(),
    };
    let mut sources = Vec::new();
    for file in &input.units {
        match Stem::parse(&file.stem) {
            Ok(Stem::Unit(name)) => set.read_unit(file, name),
            Ok(Stem::Template) => {
                sources.extend(set.sources(file, &[&file.stem]).ok().map(|texts| (file, texts)))
            }
            Err(message) => set.diagnostics.push(Diagnostic::of_file(file.path.clone(), message)),
        }
    }
    let mut templates: Vec<Template<'_>> = Vec::with_capacity(sources.len());
    for (file, sources) in &sources {
        templates.push(set.read_template(file, sources));
    }
    templates.iter_mut().for_each(|template| set.expand(template));
    let (settings, start) = set.settings();
    set.make_named(&mut templates, start.as_deref().unwrap_or_default());
    let wished = Wished { slots: &set.slots, index: &set.index, start: start.as_deref().unwrap_or_default() };
    let named =
        wished.of(&input.library, |prefix| templates.iter().any(|template| template.prefix == prefix));
    let Set { files, slots, diagnostics, mut pool, .. } = set;
    let known = templates.iter().map(KnownTemplate::of);
    let given = Given {
        templates: known.collect(),
        start,
        last: input.command.as_ref().map(|_| command::MAIN),
        own: input.own,
    };
    let mut loaded = resolve::resolve(slots, given, &mut pool, files, diagnostics);
    loaded.settings = settings;
    loaded.diagnostics.extend(input.units.iter().filter_map(library::notice));
    (loaded, named)
}

/// What a file's name says it is.
enum Stem {
    Unit(UnitName),
    Template,
}

impl Stem {
    fn parse(stem: &str) -> Result<Stem, String> {
        let parsed = match stem.strip_suffix('@') {
            Some(prefix) => check_prefix(prefix).map(|()| Stem::Template),
            None => UnitName::parse(stem).map(Stem::Unit),
        };
        parsed.map_err(|error| format!("'{stem}' is not the name of a unit: {error}"))
    }
}

struct Set<'f> {
    input: &'f Input,
    files: &'f mut dyn Files,
    pool: Pool,
    slots: Vec<Slot>,
    index: HashMap<UnitName, usize>,
    diagnostics: Vec<Diagnostic>,
}

impl<'f> Set<'f> {
    /// The texts of a unit file and of the drop-ins of these names. What cannot be read is reported.
    fn sources(&mut self, file: &UnitFile, stems: &[&str]) -> Result<Sources, String> {
        let drop_ins = stems.iter().filter_map(|stem| self.input.drop_ins.get(*stem)).flatten();
        let mut texts = Vec::new();
        let mut first_error = None;
        for path in std::iter::once(&file.path).chain(drop_ins) {
            match self.files.read(path) {
                Ok(text) => texts.push((path.clone(), text)),
                Err(diagnostic) => {
                    first_error.get_or_insert_with(|| diagnostic.in_one_line());
                    self.diagnostics.push(*diagnostic);
                }
            }
        }
        first_error.map_or_else(|| Ok(Sources::new(texts)), Err)
    }

    fn push(&mut self, name: UnitName, content: Content, at_boot: bool) {
        self.index.insert(name.clone(), self.slots.len());
        self.slots.push(Slot { name, content, at_boot });
    }

    /// Reads a unit that has a file of its own.
    fn read_unit(&mut self, file: &UnitFile, name: UnitName) {
        let content = match self.sources(file, &[&file.stem]) {
            Ok(sources) => self.unit_of(&sources, file, &name),
            Err(words) => Content::Broken(words),
        };
        self.push(name, content, file.at_boot);
    }

    fn unit_of(&mut self, sources: &Sources, file: &UnitFile, name: &UnitName) -> Content {
        let mut problems = Problems::new(sources);
        let root = document::parse(sources, &mut problems);
        let syntax_fails = problems.end_of_syntax();
        document::check(&root, schema::UNIT, &mut problems);
        if let Some((_, at)) = table(&root, "instances") {
            let help = format!("a template's file is called '{}@.toml'", name.prefix());
            problems.error_help(&at, "only a template has instances", help);
        }
        let names = Names {
            name: name.as_str(),
            prefix: name.prefix(),
            instance: name.instance(),
            ..Names::default()
        };
        let mut draft = None;
        if !syntax_fails {
            let mut parts = Parts::default();
            let mut reader = Reader::new(&names, &mut problems, &mut self.pool, &mut parts);
            let origin = Origin { name: name.clone(), source: file.path.clone(), instance_file: None };
            draft = reader.unit(&root, origin);
        }
        self.finish(problems, draft)
    }

    /// A unit with errors is broken; its errors are kept.
    fn finish(&mut self, problems: Problems<'_>, draft: Option<Draft>) -> Content {
        if let (Some(draft), 0) = (draft, problems.errors()) {
            return Content::Draft(Box::new(draft));
        }
        let list = problems.into_list();
        let words = list.first().map_or_else(|| "it cannot be read".to_owned(), Diagnostic::in_one_line);
        self.diagnostics.extend(list);
        Content::Broken(words)
    }

    fn read_template<'s>(&mut self, file: &'s UnitFile, sources: &'s Sources) -> Template<'s> {
        let mut problems = Problems::new(sources);
        let root = document::parse(sources, &mut problems);
        let syntax_fails = problems.end_of_syntax();
        let mut used = document::check(&root, schema::UNIT, &mut problems);
        self.used_by_drop_ins(&file.stem, &root, &mut used);
        if !syntax_fails {
            template::check_parameters(&root, &used, &mut problems);
        }
        let list = problems.into_list();
        let broken = list.first().map(Diagnostic::in_one_line);
        self.diagnostics.extend(list);
        Template {
            prefix: file.stem.trim_end_matches('@').to_owned(),
            lists: template::lists_instances(&root),
            broken,
            file,
            sources,
            known: template::known_parameters(&root),
            root,
            parts: Parts::default(),
            syntax_fails,
            seen: HashSet::new(),
            on_demand: 0,
        }
    }

    /// A parameter may be used in the drop-ins of one instance only.
    fn used_by_drop_ins(&mut self, stem: &str, root: &DeTable<'_>, used: &mut BTreeSet<String>) {
        let own = self.input.drop_ins.range(stem.to_owned()..).take_while(|(name, _)| name.starts_with(stem));
        for path in own.filter(|(name, _)| *name != stem).flat_map(|(_, paths)| paths) {
            // A file that cannot be read is reported when its instance is made.
            if let Ok(text) = self.files.read(path) {
                used.extend(substitute::parameters(&text).map(str::to_owned));
                // A file that is rendered may use any. The word may stand for something else; then one error less is said.
                if text.contains("render") {
                    used.extend(template::known_parameters(root));
                }
            }
        }
    }

    /// Makes the instances that a template lists.
    fn expand(&mut self, template: &mut Template<'_>) {
        let count = self.input.counts.get(&template.prefix).copied();
        if count.is_some() && !template::counts(&template.root) {
            let message = "only a template with a 'count' in [instances] can be scaled";
            self.diagnostics.push(Diagnostic::of_file(template.file.path.clone(), message));
        }
        let mut problems = Problems::new(template.sources);
        let (found, listing) =
            template::instances(&template.root, &template.prefix, count, self.files, &mut problems);
        let list = problems.into_list();
        if let (Listing::InDoubt, Some(first), None) = (listing, list.first(), &template.broken) {
            template.broken = Some(first.in_one_line());
        }
        self.diagnostics.extend(list);
        if found.is_empty() {
            self.rehearse(template);
        }
        for instance in found {
            self.make(template, &instance);
        }
    }

    /// Makes one instance. An instance with a file of its own is that file.
    fn make(&mut self, template: &mut Template<'_>, instance: &Instance) {
        let Ok(name) = UnitName::parse(&format!("{}@{}", template.prefix, instance.id)) else { return };
        if self.index.contains_key(&name) {
            return;
        }
        let content = match self.input.drop_ins.contains_key(name.as_str()) {
            true => match self.sources(template.file, &[&template.file.stem, name.as_str()]) {
                Ok(sources) => {
                    let mut problems = Problems::new(&sources);
                    let root = document::parse(&sources, &mut problems);
                    let syntax_fails = problems.end_of_syntax();
                    document::check(&root, schema::UNIT, &mut problems);
                    let mut parts = Parts::default();
                    self.instance_of(template, (&root, &mut parts), problems, syntax_fails, &name, instance)
                }
                Err(words) => Content::Broken(words),
            },
            false => {
                let (root, mut parts) =
                    (std::mem::take(&mut template.root), std::mem::take(&mut template.parts));
                let problems = Problems::new(template.sources);
                let syntax_fails = template.syntax_fails;
                let document = (&root, &mut parts);
                let content = self.instance_of(template, document, problems, syntax_fails, &name, instance);
                (template.root, template.parts) = (root, parts);
                content
            }
        };
        self.push(name, content, template.file.at_boot);
    }

    fn instance_of<'s>(
        &mut self,
        template: &mut Template<'_>,
        (root, parts): (&DeTable<'s>, &mut Parts),
        mut problems: Problems<'s>,
        syntax_fails: bool,
        name: &UnitName,
        instance: &Instance,
    ) -> Content {
        let mut names = Names {
            name: name.as_str(),
            prefix: &template.prefix,
            instance: Some(&instance.id),
            file: instance.file.as_deref(),
            parameters: Vec::new(),
            doubled: Vec::new(),
            known: &template.known,
        };
        names.parameters = template::parameters(root, &names, Dollar::Plain);
        if instance.file.as_ref().is_some_and(|file| file.contains('$')) {
            names.doubled = template::parameters(root, &names, Dollar::Later);
        }
        let mut draft = None;
        if !syntax_fails {
            let instance_file = instance.file.as_deref().map(|file| Rc::from(Path::new(file)));
            let origin = Origin { name: name.clone(), source: template.file.path.clone(), instance_file };
            let mut reader = Reader::new(&names, &mut problems, &mut self.pool, parts);
            draft = reader.unit(root, origin);
        }
        let content = match (draft, problems.errors(), &template.broken) {
            (Some(draft), 0, None) => Content::Draft(Box::new(draft)),
            (_, 0, broken) => {
                Content::Broken(broken.clone().unwrap_or_else(|| "it cannot be read".to_owned()))
            }
            (_, _, _) => Content::Broken(String::new()),
        };
        self.instance_errors(template, problems, content, name)
    }

    /// Keeps those errors of an instance that no instance before it had.
    fn instance_errors(
        &mut self,
        template: &mut Template<'_>,
        problems: Problems<'_>,
        content: Content,
        name: &UnitName,
    ) -> Content {
        let list = problems.into_list();
        let content = match (content, list.first()) {
            (Content::Broken(words), Some(first)) if words.is_empty() => Content::Broken(first.in_one_line()),
            (content, _) => content,
        };
        let place = |diagnostic: &Diagnostic| {
            diagnostic.place.as_ref().map_or((0, 0), |place| (place.line, place.column))
        };
        let fresh: Vec<Diagnostic> =
            list.into_iter().filter(|diagnostic| !template.seen.contains(&place(diagnostic))).collect();
        template.seen.extend(fresh.iter().map(place));
        self.diagnostics.extend(fresh.into_iter().map(|diagnostic| Diagnostic {
            message: format!("{} (in '{name}')", diagnostic.message),
            ..diagnostic
        }));
        content
    }

    /// A template without instances is read as if it had one, so that its errors are seen before its first
    /// instance comes. What depends on an instance's name is not judged.
    fn rehearse(&mut self, template: &mut Template<'_>) {
        let Ok(name) = UnitName::parse(&format!("{}@1", template.prefix)) else { return };
        if template.syntax_fails {
            return;
        }
        let mut names = Names {
            name: name.as_str(),
            prefix: &template.prefix,
            instance: Some("1"),
            file: Some("/1"),
            parameters: Vec::new(),
            doubled: Vec::new(),
            known: &template.known,
        };
        names.parameters = template.known.iter().map(|name| (name.clone(), "1".to_owned())).collect();
        let mut problems = Problems::new(template.sources);
        problems.rehearse();
        let origin = Origin { name: name.clone(), source: template.file.path.clone(), instance_file: None };
        let mut parts = Parts::default();
        Reader::new(&names, &mut problems, &mut self.pool, &mut parts).unit(&template.root, origin);
        let list = problems.into_list();
        if let (Some(first), None) = (list.first(), &template.broken) {
            template.broken = Some(first.in_one_line());
        }
        template
            .seen
            .extend(list.iter().filter_map(|d| d.place.as_ref().map(|place| (place.line, place.column))));
        self.diagnostics.extend(list);
    }

    /// Makes the instances that only dependencies and `start` name, of templates that do not say which there are.
    fn make_named(&mut self, templates: &mut [Template<'_>], start: &[Start]) {
        let by_prefix: HashMap<String, usize> =
            templates.iter().enumerate().map(|(n, template)| (template.prefix.clone(), n)).collect();
        if by_prefix.is_empty() {
            return;
        }
        for (target, _) in start {
            self.make_target(templates, &by_prefix, target);
        }
        let mut at = 0;
        while let Some(slot) = self.slots.get(at) {
            at += 1;
            let Content::Draft(draft) = &slot.content else { continue };
            let instances = draft.dependencies.iter().filter(|dependency| dependency.target.contains('@'));
            let targets: Vec<Rc<str>> = instances.map(|dependency| dependency.target.clone()).collect();
            for target in targets {
                self.make_target(templates, &by_prefix, &target);
            }
        }
    }

    fn make_target(
        &mut self,
        templates: &mut [Template<'_>],
        by_prefix: &HashMap<String, usize>,
        target: &str,
    ) {
        let Some((prefix, id)) = target.split_once('@').filter(|(_, id)| *id != "*") else { return };
        let Some(template) = by_prefix.get(prefix).and_then(|n| templates.get_mut(*n)) else { return };
        let Ok(name) = UnitName::parse(target) else { return };
        if self.index.contains_key(&name) {
            return;
        }
        if let Some(words) = template.broken.clone() {
            // Which instances there are may be just what could not be read.
            return self.push(name, Content::Broken(words), template.file.at_boot);
        }
        if template.lists || template.on_demand >= MOST_ON_DEMAND {
            return;
        }
        template.on_demand += 1;
        self.make(template, &Instance { id: id.to_owned(), file: None, span: 0..0 });
    }

    fn settings(&mut self) -> (Settings, Option<Vec<Start>>) {
        let Some(path) = self.input.settings.clone() else { return (Settings::default(), None) };
        let text = match self.files.read(&path) {
            Ok(text) => text,
            Err(diagnostic) => {
                self.diagnostics.push(*diagnostic);
                return (Settings::default(), None);
            }
        };
        let sources = Sources::new([(path, text)]);
        let mut problems = Problems::new(&sources);
        let root = document::parse(&sources, &mut problems);
        problems.end_of_syntax();
        document::check(&root, schema::SETTINGS, &mut problems);
        let names = Names::default();
        let mut parts = Parts::default();
        let answer = Reader::new(&names, &mut problems, &mut self.pool, &mut parts).settings(&root);
        self.diagnostics.extend(problems.into_list());
        answer
    }
}

/// Shows a late error at its place, for which the file is read again.
pub fn late(
    files: &mut dyn Files,
    spot: &Spot,
    level: Level,
    message: String,
    help: Option<String>,
) -> Diagnostic {
    let text = files.read(&spot.file).ok();
    let diagnostic = spot.diagnose(level, message, text.as_deref());
    match help {
        Some(help) => diagnostic.with_help(help),
        None => diagnostic,
    }
}
