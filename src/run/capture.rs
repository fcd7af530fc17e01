//! The output of processes that are judged by it: read as it comes, kept within bounds, judged at the end.
//!
//! ```text
//!   pipes() ──▶ (the process starts) ──▶ watch(pid) ──▶ readable: read ──▶ reaped: take(pid) ──▶ Output
//!
//!   kept of each descriptor:  the first 8 KiB … and the last 56 KiB
//! ```
//!
//! What is asked for is the end of the process and never that of its pipe: what it left running in the background may
//! hold that open for ever. The pipe is read until nothing is in it at that moment, and closed.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::model::Pid;
use crate::sys::pipe;
use crate::sys::poll::{Interest, Poller, Readiness, Token};

/// How an output begins tells what it is about…
const HEAD: usize = 8 << 10;
/// …and how it ends tells what became of it.
const TAIL: usize = 56 << 10;

/// Read in one turn of the loop; a quarter of what a pipe holds.
const CHUNK: usize = 16 << 10;

/// Reads of a pipe after the end of its process: what fits into one of the largest size that a user may make. Somebody
/// who goes on writing to it is not listened to any longer.
const LAST_READS: usize = 64;

/// The ends that the process is given.
#[derive(Debug)]
pub struct Pipes {
    answer: (OwnedFd, OwnedFd),
    aside: Option<(OwnedFd, OwnedFd)>,
}

impl Pipes {
    /// One pipe for both descriptors, or one for each. The error is that of `pipe(2)`.
    pub fn new(is_apart: bool) -> io::Result<Pipes> {
        let aside = if is_apart { Some(nonblocking()?) } else { None };
        Ok(Pipes { answer: nonblocking()?, aside })
    }

    /// Standard output and standard error of the process.
    pub fn outputs(&self) -> (BorrowedFd<'_>, BorrowedFd<'_>) {
        let (_, answer) = &self.answer;
        let aside = self.aside.as_ref().map_or(answer, |(_, aside)| aside);
        (answer.as_fd(), aside.as_fd())
    }
}

/// A pipe whose read end does not block. The process expects of the other one that it does.
fn nonblocking() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe::new()?;
    pipe::set_nonblocking(read.as_fd())?;
    Ok((read, write))
}

/// What a process wrote, as far as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Its standard output, or both where they are one.
    pub answer: Vec<u8>,
    /// Its standard error, where that is kept apart.
    pub aside: Vec<u8>,
}

/// The pipes of all processes that run and will be judged, and beside each what it will be judged by.
#[derive(Debug)]
pub struct Captures<Standard> {
    class: u8,
    by_pid: BTreeMap<Pid, (Standard, Vec<Stream>)>,
}

/// One descriptor of a process.
#[derive(Debug)]
struct Stream {
    /// None once every other end is closed.
    pipe: Option<OwnedFd>,
    kept: Kept,
}

impl<Standard> Captures<Standard> {
    /// None yet; `class` is the class of its tokens.
    pub fn new(class: u8) -> Captures<Standard> {
        Captures { class, by_pid: BTreeMap::new() }
    }

    /// The process runs: its ends of the pipes are closed here, and the others are read from now on.
    pub fn watch(&mut self, pid: Pid, standard: Standard, pipes: Pipes, poller: &Poller) {
        let mut streams = Vec::with_capacity(2);
        for (read, write) in [Some(pipes.answer), pipes.aside].into_iter().flatten() {
            drop(write);
            // What cannot be waited on is read when the process ended.
            let _ = poller.add(read.as_fd(), self.token(pid, streams.len()), Interest::Read);
            streams.push(Stream { pipe: Some(read), kept: Kept::default() });
        }
        self.by_pid.insert(pid, (standard, streams));
    }

    /// Reads what is there.
    pub fn handle(&mut self, readiness: &Readiness, poller: &Poller) {
        let (pid, place) = (readiness.token.index() >> 1, readiness.token.index() & 1);
        let pid = i32::try_from(pid).ok().and_then(Pid::new);
        let streams = pid.and_then(|pid| self.by_pid.get_mut(&pid));
        let Some(stream) = streams.and_then(|(_, streams)| streams.get_mut(place as usize)) else { return };
        if stream.read() == Found::End {
            stream.close(poller);
        }
    }

    /// A process was reaped: what it wrote. None for one that is not judged.
    pub fn take(&mut self, pid: Pid, poller: &Poller) -> Option<(Standard, Output)> {
        let (standard, streams) = self.by_pid.remove(&pid)?;
        let mut texts = streams.into_iter().map(|mut stream| {
            for _ in 0..LAST_READS {
                if stream.read() != Found::Something {
                    break;
                }
            }
            stream.close(poller);
            stream.kept.into_bytes()
        });
        let answer = texts.next().unwrap_or_default();
        Some((standard, Output { answer, aside: texts.next().unwrap_or_default() }))
    }

    /// A pid has 22 bits at the most; the lowest bit of the index tells its two descriptors apart.
    fn token(&self, pid: Pid, place: usize) -> Token {
        Token::new(self.class, pid.get().cast_unsigned() << 1 | u32::from(place == 1))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Something,
    Nothing,
    End,
}

impl Stream {
    fn read(&mut self) -> Found {
        let Some(pipe) = &self.pipe else { return Found::End };
        let mut chunk = [0; CHUNK];
        match nix::unistd::read(pipe, &mut chunk) {
            Ok(0) => Found::End,
            Ok(count) => {
                self.kept.push(chunk.get(..count).unwrap_or_default());
                Found::Something
            }
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => Found::Nothing,
            Err(_) => Found::End,
        }
    }

    fn close(&mut self, poller: &Poller) {
        if let Some(pipe) = self.pipe.take() {
            let _ = poller.remove(pipe.as_fd()); // It is closed next, which removes it too.
        }
    }
}

/// The beginning and the end of what was read.
#[derive(Debug, Default)]
struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Kept {
    fn push(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(HEAD.saturating_sub(self.head.len())));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..surplus);
        self.left_out += surplus as u64;
    }

    fn into_bytes(mut self) -> Vec<u8> {
        if self.left_out > 0 {
            let note = format!("\n[{} bytes are left out here]\n", self.left_out);
            self.head.extend_from_slice(note.as_bytes());
        }
        self.head.extend(self.tail);
        self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;
    use std::time::Duration;

    const CLASS: u8 = 5;

    fn pid(number: i32) -> Pid {
        Pid::new(number).unwrap()
    }

    /// Copies of the ends that a process would have.
    fn ends(pipes: &Pipes) -> (File, File) {
        let copy = |fd: BorrowedFd<'_>| File::from(fd.try_clone_to_owned().unwrap());
        let (stdout, stderr) = pipes.outputs();
        (copy(stdout), copy(stderr))
    }

    fn turn(captures: &mut Captures<()>, poller: &Poller) -> usize {
        let mut ready = Vec::new();
        poller.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        for readiness in &ready {
            assert_eq!(readiness.token.class(), CLASS);
            captures.handle(readiness, poller);
        }
        ready.len()
    }

    #[test]
    fn both_descriptors_are_one_text_unless_they_are_kept_apart() {
        let (poller, mut captures) = (Poller::new().unwrap(), Captures::new(CLASS));
        for is_apart in [false, true] {
            let pipes = Pipes::new(is_apart).unwrap();
            let (mut stdout, mut stderr) = ends(&pipes);
            captures.watch(pid(4_194_303), (), pipes, &poller);
            stdout.write_all(b"one ").unwrap();
            stderr.write_all(b"two ").unwrap();
            while turn(&mut captures, &poller) > 0 {}
            stdout.write_all(b"three").unwrap();
            let ((), output) = captures.take(pid(4_194_303), &poller).unwrap();
            let texts = if is_apart { ("one three", "two ") } else { ("one two three", "") };
            assert_eq!((&output.answer[..], &output.aside[..]), (texts.0.as_bytes(), texts.1.as_bytes()));
            assert_eq!(turn(&mut captures, &poller), 0);
        }
        assert_eq!(captures.take(pid(7), &poller), None);
    }

    #[test]
    fn a_grandchild_that_holds_the_pipe_and_writes_on_holds_up_nothing() {
        let (poller, mut captures) = (Poller::new().unwrap(), Captures::new(CLASS));
        let pipes = Pipes::new(false).unwrap();
        let (mut stdout, _) = ends(&pipes);
        captures.watch(pid(2), (), pipes, &poller);
        stdout.write_all(b"said").unwrap();
        assert_eq!(captures.take(pid(2), &poller).unwrap().1.answer, b"said");
        assert_eq!(stdout.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(turn(&mut captures, &poller), 0);
    }

    #[test]
    fn a_pipe_that_is_closed_does_not_keep_the_loop_awake() {
        let (poller, mut captures) = (Poller::new().unwrap(), Captures::new(CLASS));
        captures.watch(pid(2), (), Pipes::new(true).unwrap(), &poller);
        assert_eq!(turn(&mut captures, &poller), 2, "both hung up");
        assert_eq!(turn(&mut captures, &poller), 0);
        assert_eq!(captures.take(pid(2), &poller), Some(((), Output::default())));
    }

    #[test]
    fn of_a_flood_the_beginning_and_the_end_are_kept() {
        let mut kept = Kept::default();
        let total = 1_000_000;
        kept.push(b"begin");
        for _ in 0..(total - 8) / 32 {
            kept.push(&[b'.'; 32]);
        }
        kept.push(b"end");
        let left_out = kept.left_out;
        let bytes = kept.into_bytes();
        assert!(bytes.starts_with(b"begin...") && bytes.ends_with(b"...end"));
        assert_eq!(left_out as usize, 5 + 3 + (total - 8) / 32 * 32 - HEAD - TAIL);
        assert!(bytes.len() < HEAD + TAIL + 64, "{}", bytes.len());
    }
}
