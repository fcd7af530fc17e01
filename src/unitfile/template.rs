//! Templates: which instances there are, and what their parameters are.
//!
//! ```text
//!   files = "/etc/redis/redis_*.conf"   redis_6379.conf → redis@6379, %f = /etc/redis/redis_6379.conf
//!   names = ["cache"]                   redis@cache
//!   count = 2                           redis@1, redis@2
//!   none of the three                   those that dependencies and `start` name
//! ```

use std::collections::{BTreeSet, HashMap};

use toml::de::DeTable;

use super::Files;
use super::diagnostic::{Problems, Span, nearest};
use super::read::{items, scalar, table};
use super::substitute::{self, Dollar, Names};
use crate::model::UnitName;
use crate::model::name::check_instance;

/// One instance that a template lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// `%i`.
    pub id: String,
    /// `%f`.
    pub file: Option<String>,
    /// What in the template made it.
    pub span: Span,
}

/// Does the template say which instances there are?
pub fn lists_instances(root: &DeTable<'_>) -> bool {
    table(root, "instances")
        .is_some_and(|(keys, _)| ["files", "names", "count"].iter().any(|key| keys.get(*key).is_some()))
}

/// The pattern of the files that make its instances.
pub fn pattern<'t>(root: &'t DeTable<'_>) -> Option<&'t str> {
    table(root, "instances")?.0.get("files")?.get_ref().as_str()
}

/// Every parameter that any instance has.
pub fn known_parameters(root: &DeTable<'_>) -> Vec<String> {
    let Some((keys, _)) = table(root, "instances") else { return Vec::new() };
    let defaults = table(keys, "defaults").into_iter().flat_map(|(map, _)| map.keys());
    let sets = table(keys, "set").into_iter().flat_map(|(sets, _)| sets.values());
    let set = sets.filter_map(|set| set.get_ref().as_table()).flat_map(|map| map.keys());
    let names: BTreeSet<String> = defaults.chain(set).map(|key| key.get_ref().to_string()).collect();
    names.into_iter().collect()
}

/// Reports every parameter that no string of the template uses, unless files are rendered, which may use all.
pub fn check_parameters(root: &DeTable<'_>, used: &BTreeSet<String>, problems: &mut Problems<'_>) {
    let Some((keys, _)) = table(root, "instances") else { return };
    // A template file that is rendered may use any of them, and it is read only when it is rendered.
    if !items(root, "render").is_empty() {
        return;
    }
    let defaults = table(keys, "defaults").map(|(map, _)| map);
    let sets = table(keys, "set").map(|(sets, _)| sets);
    let set = sets.iter().flat_map(|sets| sets.values()).filter_map(|set| set.get_ref().as_table());
    for map in defaults.into_iter().chain(set) {
        for key in map.keys().filter(|key| !used.contains(key.get_ref().as_ref())) {
            let message = format!("the parameter '{key}' is used nowhere");
            match nearest(key.get_ref(), used.iter().map(String::as_str)) {
                Some(word) => problems.error_help(&key.span(), message, format!("did you mean '{word}'?")),
                None => {
                    problems.error_help(&key.span(), message, format!("use it as %{{{key}}}, or take it out"))
                }
            }
        }
    }
}

/// The parameters of one instance: the defaults, and what is set for it over them.
pub fn parameters(root: &DeTable<'_>, names: &Names<'_>, dollar: Dollar) -> Vec<(String, String)> {
    let Some((keys, _)) = table(root, "instances") else { return Vec::new() };
    let mut list: Vec<(String, String)> = Vec::new();
    let defaults = table(keys, "defaults").map(|(map, _)| map);
    let set = names.instance.and_then(|id| table(table(keys, "set")?.0, id)).map(|(map, _)| map);
    for (key, value) in defaults.into_iter().chain(set).flat_map(|map| map.iter()) {
        let Some(written) = scalar(value.get_ref()) else { continue };
        // A parameter may hold %i, but no other parameter. What cannot be replaced stays, and is seen where it is used.
        let text =
            substitute::expand(&written, names, dollar).map_or(written.to_string(), |text| text.into_owned());
        list.retain(|(known, _)| known != key.get_ref());
        list.push((key.get_ref().to_string(), text));
    }
    list
}

/// How much is known of the instances that a template lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// All that can be are there. One with a name that cannot be used, or is used already, is left out alone.
    Whole,
    /// What lists them is wrong, so nobody knows which are meant.
    InDoubt,
}

/// Does the template say how many instances there are?
pub fn counts(root: &DeTable<'_>) -> bool {
    table(root, "instances").is_some_and(|(keys, _)| keys.get("count").is_some())
}

/// Finds the instances that a template lists, in the order files, names, count. `scaled` takes the place of `count`.
pub fn instances(
    root: &DeTable<'_>,
    prefix: &str,
    scaled: Option<u32>,
    files: &mut dyn Files,
    problems: &mut Problems<'_>,
) -> (Vec<Instance>, Listing) {
    let Some((keys, _)) = table(root, "instances") else { return (Vec::new(), Listing::Whole) };
    let mut found = Vec::new();
    if let Some((pattern, span)) =
        keys.get("files").and_then(|value| Some((value.get_ref().as_str()?, value.span())))
    {
        of_files(pattern, &span, prefix, files, problems, &mut found);
    }
    for item in items(keys, "names") {
        if let Some(name) = item.get_ref().as_str() {
            found.push(Instance { id: name.to_owned(), file: None, span: item.span() });
        }
    }
    if let Some(value) = keys.get("count") {
        let written = value.get_ref().as_integer();
        let number = written.and_then(|n| u32::from_str_radix(n.as_str(), n.radix()).ok());
        match scaled.or(number).filter(|number| *number <= 10_000) {
            Some(count) => found.extend((1..=count).map(|n| Instance {
                id: n.to_string(),
                file: None,
                span: value.span(),
            })),
            None => problems.error(&value.span(), "'count' is a number from 0 to 10000"),
        }
    }
    let listing = if problems.errors() == 0 { Listing::Whole } else { Listing::InDoubt };
    let found = only_good(found, prefix, problems);
    // What is set for an instance beyond the number waits for it.
    if scaled.is_none() {
        check_sets(keys, &found, problems);
    }
    (found, listing)
}

/// Takes out the instances whose names cannot be used, or are there twice.
fn only_good(found: Vec<Instance>, prefix: &str, problems: &mut Problems<'_>) -> Vec<Instance> {
    let mut first: HashMap<String, Option<String>> = HashMap::new();
    let mut good = Vec::with_capacity(found.len());
    for instance in found {
        let of = instance.file.as_ref().map_or(String::new(), |file| format!(" (from '{file}')"));
        let named = check_instance(&instance.id)
            .and_then(|()| UnitName::parse(&format!("{prefix}@{}", instance.id)).map(|_| ()));
        if let Err(error) = named {
            problems.error(&instance.span, format!("'{}'{of} cannot be an instance: {error}", instance.id));
            continue;
        }
        if let Some(other) = first.get(&instance.id) {
            let by = other.as_ref().map_or(String::new(), |file| format!(", by '{file}'"));
            let message = format!("the instance '{prefix}@{}'{of} is there already{by}", instance.id);
            problems.error(&instance.span, message);
            continue;
        }
        first.insert(instance.id.clone(), instance.file.clone());
        good.push(instance);
    }
    good
}

/// Reports `[instances.set.NAME]` for a NAME that is no instance.
fn check_sets(keys: &DeTable<'_>, found: &[Instance], problems: &mut Problems<'_>) {
    let listed = ["files", "names", "count"].iter().any(|key| keys.get(*key).is_some());
    let Some((sets, _)) = table(keys, "set").filter(|_| listed) else { return };
    let ids: BTreeSet<&str> = found.iter().map(|instance| instance.id.as_str()).collect();
    for name in sets.keys().filter(|name| !ids.contains(name.get_ref().as_ref())) {
        let message = format!("there is no instance '{name}'");
        match nearest(name.get_ref(), ids.iter().copied()) {
            Some(word) => problems.error_help(&name.span(), message, format!("did you mean '{word}'?")),
            None => problems.error(&name.span(), message),
        }
    }
}

/// The files that match a pattern with one `*`, each with what `*` matched.
fn of_files(
    pattern: &str,
    span: &Span,
    prefix: &str,
    files: &mut dyn Files,
    problems: &mut Problems<'_>,
    found: &mut Vec<Instance>,
) {
    let name = format!("{prefix}@");
    let names = Names { name: &name, prefix, ..Names::default() };
    let pattern = match substitute::expand(pattern, &names, Dollar::Plain) {
        Ok(pattern) => pattern,
        Err(error) => return problems.error(span, error.message),
    };
    let Some((before, after)) = pattern.split_once('*').filter(|(_, after)| !after.contains('*')) else {
        return problems.error_help(span, "'files' holds exactly one '*'", "what it matches becomes %i");
    };
    let Some((directory, start)) = before.rsplit_once('/').filter(|_| pattern.starts_with('/')) else {
        return problems.error(span, format!("'{pattern}' is not an absolute path"));
    };
    let (end, rest) = after.split_once('/').map_or((after, None), |(end, rest)| (end, Some(rest)));
    let directory = if directory.is_empty() { "/" } else { directory };
    let mut entries = match files.list(directory) {
        Ok(entries) => entries,
        Err(cause) => return problems.error(span, format!("cannot list '{directory}': {cause}")),
    };
    entries.sort_unstable();
    for entry in entries {
        // As in a shell, a file that hides is found only by a pattern that begins with a dot.
        let hidden = entry.starts_with('.') && !start.starts_with('.');
        let matched = entry.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
        let Some(id) = matched.filter(|id| !id.is_empty() && !hidden) else { continue };
        let slash = if directory == "/" { "" } else { directory };
        let file = match rest {
            None => format!("{slash}/{entry}"),
            Some(rest) => format!("{slash}/{entry}/{rest}"),
        };
        if rest.is_none() || files.exists(&file) {
            found.push(Instance { id: id.to_owned(), file: Some(file), span: span.clone() });
        }
    }
}
