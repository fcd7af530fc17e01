//! The files of one unit: the one that is written, and those that are full.
//!
//! ```text
//!   DIRECTORY/web/current     appended to; only ever whole lines, but where one is longer than the limit
//!   DIRECTORY/web/00000042    full, the newest; its number is never given again
//!   DIRECTORY/web/00000041    full; beyond `keep` the oldest goes
//! ```
//!
//! A reader that lists the directory and reads by number, `current` last, misses nothing: a name always means the same
//! lines. Each step of a rotation leaves a state that the next start understands. Whoever was killed in the middle of a
//! write, or lost power, may have left half a line at the end of `current`: it is cut off before anything is appended.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::Moment;

/// The file that is written.
pub const CURRENT: &str = "current";
/// How long a place that cannot be written is left alone.
const RETRY: Duration = Duration::from_secs(1);
/// How far back the end of the last whole line is looked for: more than is written at once.
const MAX_TORN: u64 = 256 * 1024;
/// Files and directories are their owner's to write and their group's to read: logs hold secrets.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// Where all units have their directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shelf {
    pub(super) directory: PathBuf,
    pub(super) group: Option<u32>,
}

/// The files of one unit.
#[derive(Debug)]
pub(super) struct Files {
    place: PathBuf,
    group: Option<u32>,
    max_size: u64,
    keep: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Closed,
    Open(Open),
    /// It failed and is tried again with the first line after this moment.
    Failed {
        until: Moment,
        cause: Option<i32>,
    },
}

/// The open file, and what is known of the others.
#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
    /// The numbers of the full files, oldest first.
    full: Vec<u64>,
}

/// What did not get into the file, and why.
#[derive(Debug)]
pub(super) struct Unwritten {
    /// Lines, or parts of one.
    pub(super) lines: u64,
    pub(super) cause: io::Error,
}

impl Files {
    pub(super) fn new(shelf: &Shelf, unit: &str, max_size: u64, keep: u32) -> Files {
        Files {
            place: shelf.directory.join(unit),
            group: shelf.group,
            max_size,
            keep: keep as usize,
            state: State::Closed,
        }
    }

    /// The directory.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// Puts other bounds to files that may be open.
    pub(super) fn bound(&mut self, max_size: u64, keep: u32) {
        (self.max_size, self.keep) = (max_size, keep as usize);
    }

    /// Appends whole lines, in one call of the kernel where it takes them. What does not fit is dropped, but never a part
    /// of a line: of a line that got in half, that half is taken out again.
    pub(super) fn append(&mut self, head: &[u8], body: &[u8], now: Moment) -> Result<(), Unwritten> {
        let len = (head.len() + body.len()) as u64;
        if len == 0 {
            return Ok(());
        }
        let count = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        let unwritten = |cause| Unwritten { lines: (count(head) + count(body)).max(1), cause };
        let (max_size, keep) = (self.max_size, self.keep);
        let place = self.place.clone();
        let open = self.open(now).map_err(unwritten)?;
        let turned =
            if open.size > 0 && open.size + len > max_size { open.turn(&place, keep) } else { Ok(()) };
        let (written, cause) = match turned.map(|()| write_both(&open.file, head, body)) {
            Ok((written, None)) => {
                open.size += written;
                return Ok(());
            }
            Ok((written, Some(cause))) => (written, cause),
            Err(cause) => (0, cause),
        };
        let all = [head, body].concat();
        let got = all.get(..usize::try_from(written).unwrap_or(0)).unwrap_or_default();
        let whole = got.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let _ = open.file.set_len(open.size + whole as u64); // Else the next start cuts it off.
        let lines = count(all.get(whole..).unwrap_or_default()).max(1);
        self.state = State::Failed { until: now + RETRY, cause: cause.raw_os_error() };
        Err(Unwritten { lines, cause })
    }

    fn open(&mut self, now: Moment) -> io::Result<&mut Open> {
        match self.state {
            State::Failed { until, cause } if now < until => {
                return Err(cause.map_or(io::ErrorKind::Other.into(), io::Error::from_raw_os_error));
            }
            State::Open(_) => {}
            State::Failed { .. } | State::Closed => match open(&self.place, self.group) {
                Ok(open) => self.state = State::Open(open),
                Err(error) => {
                    self.state = State::Failed { until: now + RETRY, cause: error.raw_os_error() };
                    return Err(error);
                }
            },
        }
        match &mut self.state {
            State::Open(open) => Ok(open),
            State::Closed | State::Failed { .. } => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Open {
    /// Puts the file aside under the next number, begins a new one, and removes what is too old.
    fn turn(&mut self, place: &Path, keep: usize) -> io::Result<()> {
        let number = self.full.last().copied().unwrap_or(0) + 1;
        let current = place.join(CURRENT);
        match fs::rename(&current, place.join(name(number))) {
            Ok(()) => self.full.push(number),
            // Somebody has removed it: a new one is begun all the same.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let old = self.file.metadata()?;
        let file = create(&current)?;
        let group = std::os::unix::fs::MetadataExt::gid(&old);
        let _ = fchown(&file, None, Some(group)); // Only root may; anybody else's files have the right group already.
        let _ = file.set_permissions(old.permissions()); // As the file before it.
        (self.file, self.size) = (file, 0);
        let surplus = self.full.len().saturating_sub(keep);
        for old in self.full.drain(..surplus) {
            let _ = fs::remove_file(place.join(name(old))); // What cannot be removed now is never looked at again.
        }
        Ok(())
    }
}

/// The name of a full file.
pub fn name(number: u64) -> String {
    format!("{number:08}")
}

fn open(place: &Path, group: Option<u32>) -> io::Result<Open> {
    if let Some(above) = place.parent() {
        make_directory(above, group, DirBuilder::new().recursive(true))?;
    }
    make_directory(place, group, &mut DirBuilder::new())?;
    let path = place.join(CURRENT);
    let is_new = !path.exists();
    let file = create(&path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    if is_new && group.is_some() {
        fchown(&file, None, group)?;
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    let numbers =
        fs::read_dir(place)?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok());
    let mut full: Vec<u64> = numbers.collect();
    full.sort_unstable();
    let size = mend(&file)?;
    Ok(Open { file, size, full })
}

fn make_directory(path: &Path, group: Option<u32>, builder: &mut DirBuilder) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    builder.mode(DIRECTORY_MODE).create(path)?;
    if group.is_some() {
        let directory =
            OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(path)?;
        fchown(&directory, None, group)?;
        directory.set_permissions(Permissions::from_mode(DIRECTORY_MODE))?;
    }
    Ok(())
}

/// Opens a file to append to, and makes it where it is not there. A pipe that somebody laid there would be waited for.
fn create(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    OpenOptions::new().read(true).append(true).create(true).mode(FILE_MODE).custom_flags(flags).open(path)
}

/// Makes sure that the file ends with a whole line; answers its size. Half a line is cut off; a line so long that its
/// beginning is not found gets its end.
fn mend(file: &File) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let from = size.saturating_sub(MAX_TORN);
    let mut last = [b'\n'];
    if size > 0 {
        file.read_exact_at(&mut last, size - 1)?;
    }
    if last == [b'\n'] {
        return Ok(size);
    }
    let mut end = vec![0; usize::try_from(size - from).unwrap_or(0)];
    file.read_exact_at(&mut end, from)?;
    match end.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => file.set_len(from + at as u64 + 1)?,
        None if from == 0 => file.set_len(0)?,
        None => {
            let mut file = file;
            file.write_all(b"\n")?;
        }
    }
    Ok(file.metadata()?.len())
}

/// Writes both, one after the other; answers how much was written, and what kept the rest from it.
fn write_both(mut file: &File, mut head: &[u8], mut body: &[u8]) -> (u64, Option<io::Error>) {
    let mut total = 0;
    while !(head.is_empty() && body.is_empty()) {
        let written = match head {
            [] => file.write(body),
            head => file.write_vectored(&[IoSlice::new(head), IoSlice::new(body)]),
        };
        match written {
            Ok(0) => return (total, Some(io::ErrorKind::WriteZero.into())),
            Ok(count) => {
                total += count as u64;
                body = body.get(count.saturating_sub(head.len())..).unwrap_or_default();
                head = head.get(count.min(head.len())..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (total, Some(error)),
        }
    }
    (total, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::sync::atomic::{AtomicU32, Ordering};

    static COUNT: AtomicU32 = AtomicU32::new(0);

    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Scratch {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            Scratch(std::env::temp_dir().join(format!("sexton-files-{}-{number}", std::process::id())))
        }

        fn files(&self, max_size: u64, keep: u32) -> Files {
            Files::new(&Shelf { directory: self.0.clone(), group: None }, "web", max_size, keep)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.0.join("web")).unwrap();
            let mut names: Vec<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.0.join("web").join(name)).unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0); // A scratch directory that stays behind harms nobody.
        }
    }

    fn append(files: &mut Files, text: &str) {
        files.append(b"", text.as_bytes(), Moment::default()).unwrap();
    }

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_goes() {
        let scratch = Scratch::new();
        let mut files = scratch.files(10, 2);
        for n in 0..5 {
            files.append(b"line", format!(" {n}23\n").as_bytes(), Moment::default()).unwrap();
        }
        assert_eq!(scratch.names(), ["00000003", "00000004", "current"]);
        assert_eq!(
            (scratch.read("00000004").as_str(), scratch.read("current").as_str()),
            ("line 323\n", "line 423\n")
        );
        // Whoever comes after a kill goes on counting.
        let mut files = scratch.files(10, 2);
        append(&mut files, "line 5\n");
        assert_eq!(scratch.names(), ["00000004", "00000005", "current"]);
        let mut files = scratch.files(10, 0);
        append(&mut files, "line 6789\n");
        append(&mut files, "line 7890\n");
        assert_eq!(
            (scratch.names(), scratch.read("current").as_str()),
            (vec!["current".to_owned()], "line 7890\n")
        );
    }

    #[test]
    fn half_a_line_at_the_end_is_cut_off_before_anything_is_appended() {
        let scratch = Scratch::new();
        for (found, expected) in
            [("one\ntw", "one\nnew\n"), ("tw", "new\n"), ("one\n", "one\nnew\n"), ("", "new\n")]
        {
            fs::create_dir_all(scratch.0.join("web")).unwrap();
            fs::write(scratch.0.join("web/current"), found).unwrap();
            append(&mut scratch.files(1000, 2), "new\n");
            assert_eq!(scratch.read("current"), expected);
        }
        let endless = "x".repeat(MAX_TORN as usize + 10);
        fs::write(scratch.0.join("web/current"), &endless).unwrap();
        append(&mut scratch.files(1 << 30, 2), "new\n");
        assert_eq!(scratch.read("current"), endless + "\nnew\n");
    }

    #[test]
    fn files_are_for_their_owner_and_group_alone() {
        let scratch = Scratch::new();
        append(&mut scratch.files(10, 2), "line\n");
        let mode = |path: PathBuf| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(scratch.0.join("web")) & 0o027, 0);
        assert_eq!(mode(scratch.0.join("web/current")) & 0o137, 0);
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_tried_again() {
        let scratch = Scratch::new();
        fs::create_dir_all(&scratch.0).unwrap();
        fs::write(scratch.0.join("web"), "in the way").unwrap();
        let mut files = scratch.files(1000, 2);
        let mut at =
            |nanos| files.append(b"a\n", b"b\nc\n", Moment::from_nanos(nanos)).map_err(|error| error.lines);
        assert_eq!((at(0), at(1)), (Err(3), Err(3)));
        fs::remove_file(scratch.0.join("web")).unwrap();
        assert_eq!((at(2), at(1_000_000_000)), (Err(3), Ok(())));
        assert_eq!(scratch.read("current"), "a\nb\nc\n");
    }

    #[test]
    fn what_is_no_regular_file_is_not_written_to() {
        let scratch = Scratch::new();
        fs::create_dir_all(scratch.0.join("web")).unwrap();
        let current = scratch.0.join("web").join(CURRENT);
        std::os::unix::fs::symlink("/dev/null", &current).unwrap();
        assert!(scratch.files(10, 2).append(b"", b"x\n", Moment::default()).is_err());
        fs::remove_file(&current).unwrap();
        nix::unistd::mkfifo(&current, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = scratch.files(10, 2).append(b"", b"x\n", Moment::default()).unwrap_err();
        assert_eq!(error.cause.to_string(), "it is no regular file");
    }
}
