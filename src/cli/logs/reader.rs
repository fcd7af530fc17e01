//! The lines of one unit, from its oldest file to the one that is written, and on from there.
//!
//! ```text
//!   00000041 ──▶ 00000042 ──▶ current ──EOF──▶ nothing yet; asked again later
//!                                └─ was put aside: read to its end, then the next number, else the new current
//! ```
//!
//! Numbers only grow, so what was read is known by one number.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::entry::Entry;
use crate::logger::file::CURRENT;

/// Reads one unit's files.
#[derive(Debug)]
pub(super) struct Reader {
    place: PathBuf,
    /// The number of the last full file that was read to its end, or is passed over.
    done: u64,
    open: Option<Open>,
    /// A line that has not ended yet.
    begun: Vec<u8>,
    order: String,
    /// Bytes that were read.
    read: u64,
    /// How many there were when reading began: somebody may write faster than we read.
    past: u64,
}

#[derive(Debug)]
struct Open {
    file: BufReader<File>,
    /// `None`: the one that is written.
    number: Option<u64>,
}

impl Reader {
    pub(super) fn new(place: PathBuf) -> Reader {
        Reader { place, done: 0, open: None, begun: Vec::new(), order: String::new(), read: 0, past: 0 }
    }

    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// Notes what is there, and passes over files in which nothing was written since then, and over those that come
    /// before the last so many lines.
    pub(super) fn begin(&mut self, since: Option<&str>, last: Option<usize>) {
        let numbers = self.numbers();
        for number in &numbers {
            let changed = fs::metadata(self.path(*number)).and_then(|metadata| metadata.modified());
            let is_before = |at| {
                since.is_some_and(|since| humantime::format_rfc3339_micros(at).to_string().as_str() < since)
            };
            if changed.is_ok_and(is_before) {
                self.done = *number;
            }
        }
        let mut wanted = last.unwrap_or(usize::MAX);
        let current = self.place.join(CURRENT);
        self.past = fs::metadata(&current).map_or(0, |metadata| metadata.len());
        wanted = wanted.saturating_sub(last.map_or(0, |_| count_lines(&current)));
        for number in numbers.into_iter().rev().take_while(|number| *number > self.done).collect::<Vec<_>>() {
            let path = self.path(number);
            if wanted == 0 {
                self.done = number;
                return;
            }
            wanted = wanted.saturating_sub(last.map_or(0, |_| count_lines(&path)));
            self.past += fs::metadata(&path).map_or(0, |metadata| metadata.len());
        }
    }

    /// The next line of those that were there when reading began.
    pub(super) fn next_of_past(&mut self) -> Option<Entry> {
        if self.read < self.past { self.next() } else { None }
    }

    /// The next line, as far as there is one now.
    pub(super) fn next(&mut self) -> Option<Entry> {
        loop {
            let open = match &mut self.open {
                Some(open) => open,
                none => none.insert(open_after(&self.place, self.done)?),
            };
            let read = open.file.read_until(b'\n', &mut self.begun);
            self.read += read.as_ref().map_or(0, |count| *count as u64);
            if read.is_ok() && self.begun.ends_with(b"\n") {
                self.begun.pop();
                let entry = Entry::parse(&self.begun, &self.order);
                self.begun.clear();
                self.order.clone_from(&entry.order);
                return Some(entry);
            }
            if !self.turn() {
                return None;
            }
        }
    }

    /// At the end of a file: goes to the next one; false when this is the one that is written.
    fn turn(&mut self) -> bool {
        let Some(open) = &mut self.open else { return false };
        if let Some(number) = open.number {
            (self.done, self.open) = (number, None);
            return true;
        }
        let Some(next) = numbers(&self.place).into_iter().find(|number| *number > self.done) else {
            return false;
        };
        // It was put aside under this number: what was written before that is read, and then it is a full file.
        open.number = Some(next);
        true
    }

    fn path(&self, number: u64) -> PathBuf {
        self.place.join(crate::logger::file::name(number))
    }

    fn numbers(&self) -> Vec<u64> {
        numbers(&self.place)
    }
}

fn count_lines(path: &Path) -> usize {
    let Ok(file) = File::open(path) else { return 0 };
    BufReader::with_capacity(64 * 1024, file).split(b'\n').map_while(Result::ok).count()
}

/// The numbers of the full files, oldest first.
fn numbers(place: &Path) -> Vec<u64> {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let mut numbers: Vec<u64> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// Opens the file that comes after a number. It may be put aside, or removed, while we look.
fn open_after(place: &Path, done: u64) -> Option<Open> {
    for _ in 0..100 {
        let next = |numbers: Vec<u64>| numbers.into_iter().find(|number| *number > done);
        if let Some(number) = next(numbers(place)) {
            match File::open(place.join(crate::logger::file::name(number))) {
                Ok(file) => return Some(Open { file: BufReader::new(file), number: Some(number) }),
                Err(_) => continue,
            }
        }
        let file = File::open(place.join(CURRENT)).ok()?;
        // What was put aside meanwhile comes first, unless it is this very file.
        match next(numbers(place)) {
            None => return Some(Open { file: BufReader::new(file), number: None }),
            Some(number) => {
                let inode = |metadata: fs::Metadata| metadata.ino();
                let aside = fs::metadata(place.join(crate::logger::file::name(number))).map(inode);
                if aside.ok() == file.metadata().map(inode).ok() {
                    return Some(Open { file: BufReader::new(file), number: Some(number) });
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_are_read_across_rotations_each_once_and_in_order() {
        let place = std::env::temp_dir().join(format!("sexton-reader-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("00000009"), "1\n2\n").unwrap();
        fs::write(place.join("00000010"), "3\n").unwrap();
        fs::write(place.join(CURRENT), "4\n5").unwrap();
        let mut reader = Reader::new(place.clone());
        let all = |reader: &mut Reader| {
            let mut lines = Vec::new();
            while let Some(entry) = reader.next() {
                lines.push(String::from_utf8(entry.text).unwrap());
            }
            lines
        };
        assert_eq!(all(&mut reader), ["1", "2", "3", "4"]);
        let mut file = File::options().append(true).open(place.join(CURRENT)).unwrap();
        file.write_all(b"5\n6\n").unwrap();
        fs::rename(place.join(CURRENT), place.join("00000011")).unwrap();
        fs::write(place.join("00000012"), "7\n").unwrap();
        fs::write(place.join(CURRENT), "8\n").unwrap();
        assert_eq!(all(&mut reader), ["55", "6", "7", "8"]);
        assert_eq!(all(&mut reader), [""; 0]);
        fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn the_past_is_what_was_there_and_begins_with_the_file_of_the_last_lines() {
        let place = std::env::temp_dir().join(format!("sexton-past-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("00000003"), "1\n2\n").unwrap();
        fs::write(place.join("00000004"), "3\n4\n").unwrap();
        fs::write(place.join(CURRENT), "5\n").unwrap();
        let mut file = File::options().append(true).open(place.join(CURRENT)).unwrap();
        let mut past = |last| {
            let mut reader = Reader::new(place.clone());
            reader.begin(None, last);
            file.write_all(b"later\n").unwrap();
            let texts =
                std::iter::from_fn(|| reader.next_of_past()).map(|entry| entry.text).collect::<Vec<_>>();
            texts.concat()
        };
        assert_eq!(past(None), b"12345");
        assert_eq!(past(Some(3)), b"345later", "the whole file with the last three");
        assert_eq!(past(Some(1)), b"5laterlater");
        fs::remove_dir_all(place).unwrap();
    }
}
