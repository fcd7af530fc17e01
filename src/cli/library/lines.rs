//! What is different between two texts, line by line, as `diff -u` shows it without its numbers. Pure.

/// Lines around a difference that are shown with it.
const AROUND: usize = 2;

/// A longer text is compared to this line: the table of a comparison has the product of both lengths.
const MOST: usize = 2000;

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Same,
    Gone,
    New,
}

/// Lines that are gone begin with `-`, new ones with `+`; nothing where the texts are the same.
pub(super) fn difference(before: &str, after: &str) -> String {
    let (old, new) = (cut(before), cut(after));
    let changes = compare(&old, &new);
    let mut shown = vec![false; changes.len()];
    for (at, _) in changes.iter().enumerate().filter(|(_, (change, _))| *change != Change::Same) {
        let near = at.saturating_sub(AROUND)..changes.len().min(at + AROUND + 1);
        shown.get_mut(near).into_iter().flatten().for_each(|shown| *shown = true);
    }
    let mut text = String::new();
    let mut skipped = true;
    for ((change, line), shown) in changes.iter().zip(&shown) {
        if !shown {
            skipped = true;
            continue;
        }
        if std::mem::take(&mut skipped) {
            text.push_str("@@\n");
        }
        text.push(match change {
            Change::Same => ' ',
            Change::Gone => '-',
            Change::New => '+',
        });
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn cut(text: &str) -> Vec<&str> {
    text.lines().take(MOST).collect()
}

/// The longest run of lines that both have, and what stands around it.
fn compare<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(Change, &'t str)> {
    let width = new.len() + 1;
    let mut longest = vec![0_u16; (old.len() + 1) * width];
    let place = |o: usize, n: usize| o * width + n;
    let read = |longest: &[u16], o: usize, n: usize| longest.get(place(o, n)).copied().unwrap_or(0);
    for (o, line) in old.iter().enumerate().rev() {
        for (n, other) in new.iter().enumerate().rev() {
            let best = if line == other {
                read(&longest, o + 1, n + 1) + 1
            } else {
                read(&longest, o + 1, n).max(read(&longest, o, n + 1))
            };
            if let Some(cell) = longest.get_mut(place(o, n)) {
                *cell = best;
            }
        }
    }
    let (mut changes, mut o, mut n) = (Vec::new(), 0, 0);
    loop {
        match (old.get(o), new.get(n)) {
            (Some(line), Some(other)) if line == other => {
                changes.push((Change::Same, *line));
                (o, n) = (o + 1, n + 1);
            }
            (Some(line), other)
                if other.is_none() || read(&longest, o + 1, n) >= read(&longest, o, n + 1) =>
            {
                changes.push((Change::Gone, *line));
                o += 1;
            }
            (_, Some(other)) => {
                changes.push((Change::New, *other));
                n += 1;
            }
            (_, None) => return changes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_and_what_is_new_stands_between_what_is_the_same() {
        assert_eq!(difference("a\nb\nc\n", "a\nb\nc\n"), "");
        assert_eq!(
            difference("a\nb\nc\nd\ne\nf\n", "a\nb\nc\nX\ne\nf\ng\n"),
            "@@\n b\n c\n-d\n+X\n e\n f\n+g\n"
        );
        assert_eq!(difference("", "a\n"), "@@\n+a\n");
        assert_eq!(difference("a\n", ""), "@@\n-a\n");
    }

    #[test]
    fn differences_that_are_far_apart_are_shown_apart() {
        let text = difference("1\n2\n3\n4\n5\n6\n7\n8\n", "X\n2\n3\n4\n5\n6\n7\nY\n");
        assert_eq!(text.matches("@@").count(), 2);
        assert!(!text.contains(" 4\n") && !text.contains(" 5\n"), "{text}");
    }
}
