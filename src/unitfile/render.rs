//! Diagnostics for people: the line, a caret under what is meant, the hint.

use annotate_snippets::{AnnotationKind, Group, Level as Shown, Renderer, Snippet};

use super::diagnostic::harmless;
use super::{Diagnostic, Level};

/// For whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// A file or a pipe.
    Plain,
    /// A terminal.
    Styled,
}

/// The diagnostic with its line and caret, ending in a line break.
pub fn render(diagnostic: &Diagnostic, colour: Colour) -> String {
    let level = match diagnostic.level {
        Level::Error => Shown::ERROR,
        Level::Warning => Shown::WARNING,
    };
    let path = harmless(diagnostic.file.display().to_string());
    let mut group = match &diagnostic.place {
        Some(place) => {
            let title = level.primary_title(diagnostic.message.as_str());
            let annotation = AnnotationKind::Primary.span(place.highlight.clone());
            let snippet = Snippet::source(place.excerpt.as_str()).line_start(place.line).path(path);
            title.element(snippet.annotation(annotation))
        }
        None => Group::with_title(level.primary_title(format!("{path}: {}", diagnostic.message))),
    };
    if let Some(help) = &diagnostic.help {
        group = group.element(Shown::HELP.message(help.as_str()));
    }
    let renderer = match colour {
        Colour::Plain => Renderer::plain(),
        Colour::Styled => Renderer::styled(),
    };
    let mut text = renderer.render(&[group]);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::rc::Rc;

    use super::*;
    use crate::unitfile::diagnostic::Place;

    #[test]
    fn a_diagnostic_shows_its_line_a_caret_and_the_hint() {
        let file: Rc<Path> = Rc::from(Path::new("/etc/sexton/units/web.toml"));
        let place = Some(Place::find("description = \"x\"\nneds = [\"db\"]\n", 18..22));
        let diagnostic = Diagnostic { place, ..Diagnostic::of_file(file, "unknown key 'neds'") };
        let text = render(&diagnostic.with_help("did you mean 'needs'?"), Colour::Plain);
        assert_eq!(
            text,
            "error: unknown key 'neds'
 --> /etc/sexton/units/web.toml:2:1
  |
2 | neds = [\"db\"]
  | ^^^^
  |
  = help: did you mean 'needs'?
"
        );
    }

    #[test]
    fn a_diagnostic_without_a_place_names_its_file() {
        let file: Rc<Path> = Rc::from(Path::new("/etc/sexton/units/web.toml"));
        let text = render(&Diagnostic::of_file(file, "cannot read it: permission denied"), Colour::Plain);
        assert_eq!(text, "error: /etc/sexton/units/web.toml: cannot read it: permission denied\n");
    }

    #[test]
    fn colours_are_for_terminals_only() {
        let file: Rc<Path> = Rc::from(Path::new("x"));
        assert!(!render(&Diagnostic::of_file(file.clone(), "no"), Colour::Plain).contains('\x1b'));
        assert!(render(&Diagnostic::of_file(file, "no"), Colour::Styled).contains('\x1b'));
    }
}
