//! Where lines go: sexton's own output, written without ever waiting for it.
//!
//! ```text
//!   line ──▶ rendered ──▶ waiting (at most 256 KiB, of one unit 32) ──▶ sink
//!                │ full: dropped and counted              a terminal or pipe: opened anew, O_NONBLOCK is ours alone
//!                └── "12 lines dropped", once it flows    a file: shared, so that both write at one place
//!                                                         a socket: MSG_DONTWAIT
//!                                                         what cannot be opened anew: asked before each write
//! ```
//!
//! O_NONBLOCK belongs to an open file description, which sexton shares with whoever started it: setting it
//! on standard output itself would change a shell's terminal.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::time::Duration;

use nix::sys::socket::MsgFlags;

use super::Slot;
use super::protocol::Stream;
use super::record::Record;
use super::render::{self, Surface};
use crate::model::Moment;
use crate::model::log::LogFormat;
use crate::sys::clock;
use crate::sys::poll::{Interest, Poller, Token};

/// What may wait for a console that is slow: some thousand lines, and little beside what a service uses.
const MAX_WAITING: usize = 256 * 1024;
/// What may wait of one unit. With as much of it on its way here it is what a kill of the logger may cost a unit.
pub(super) const MAX_SHARE: usize = 32 * 1024;
/// How much is written at once where much comes at once.
const FLUSH_AT: usize = 32 * 1024;
/// How long a console that failed (its reader is gone, its terminal hung up) is left alone.
const RETRY: Duration = Duration::from_secs(1);
/// As much as a pipe that has room for anything takes without waiting (`PIPE_BUF`).
const ASKED_CHUNK: usize = 4096;

/// A descriptor that can be written without waiting.
#[derive(Debug)]
pub(super) enum Sink {
    /// An open file description of our own that does not block, or a regular file, which never does.
    Own(File),
    /// A socket.
    Socket(File),
    /// One shared with others: it may block, so it is asked first. The poller holds nothing else.
    Asked(File, Poller),
    /// There is none.
    Nowhere,
}

impl Sink {
    /// Opens a standard stream of this process for itself.
    pub(super) fn open(stream: Stream) -> Sink {
        let (copy, path) = match stream {
            Stream::Error => (io::stderr().as_fd().try_clone_to_owned(), "/proc/self/fd/2"),
            _ => (io::stdout().as_fd().try_clone_to_owned(), "/proc/self/fd/1"),
        };
        copy.map_or(Sink::Nowhere, |fd| Sink::of(File::from(fd), path))
    }

    /// The way to write to `file`, which can be opened anew at `path`.
    pub(super) fn of(file: File, path: &str) -> Sink {
        let Ok(kind) = file.metadata().map(|metadata| metadata.file_type()) else { return Sink::Nowhere };
        if kind.is_socket() {
            return Sink::Socket(file);
        }
        if !kind.is_fifo() && !kind.is_char_device() {
            return Sink::Own(file);
        }
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        if let Ok(own) = OpenOptions::new().write(true).custom_flags(flags).open(path) {
            return Sink::Own(own);
        }
        let asked = Poller::new().and_then(|poller| {
            poller.add(file.as_fd(), Token::new(0, 0), Interest::Write)?;
            Ok(poller)
        });
        match asked {
            Ok(poller) => Sink::Asked(file, poller),
            // epoll refuses what never blocks, such as /dev/null.
            Err(_) => Sink::Own(file),
        }
    }

    /// Writes some of `bytes`; `WouldBlock` when there is no room.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Own(file) => file.write(bytes),
            Sink::Socket(file) => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                let fd = std::os::fd::AsRawFd::as_raw_fd(file);
                nix::sys::socket::send(fd, bytes, flags).map_err(io::Error::from)
            }
            Sink::Asked(file, poller) => {
                let mut ready = Vec::new();
                poller.wait(&mut ready, Some(Duration::ZERO))?;
                if ready.is_empty() {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                file.write(bytes.get(..ASKED_CHUNK).unwrap_or(bytes))
            }
            Sink::Nowhere => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.fd().is_some_and(|fd| fd.is_terminal())
    }

    /// What to wait on for room.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Sink::Own(file) | Sink::Socket(file) | Sink::Asked(file, _) => Some(file.as_fd()),
            Sink::Nowhere => None,
        }
    }
}

/// Can the console take more?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// It took everything so far.
    Open,
    /// It has no room. It is tried again when it can be written.
    Blocked,
    /// It failed. It is tried again with the first line after this moment.
    Failed(Moment),
}

/// The console and what waits for it.
#[derive(Debug)]
pub(super) struct Console {
    sink: Sink,
    surface: Surface,
    width: usize,
    own_format: LogFormat,
    waiting: Vec<u8>,
    /// Whose the bytes in `waiting` are, in their order.
    queue: VecDeque<(Slot, usize)>,
    written: usize,
    dropped: u64,
    /// Whose lines are dropped, until the console has caught up.
    shut: Shut,
    flow: Flow,
}

/// Who finds no room.
#[derive(Debug)]
enum Shut {
    These(BTreeSet<Slot>),
    All,
}

impl Console {
    pub(super) fn new(sink: Sink, surface: Surface) -> Console {
        let own_format = LogFormat::Prefix;
        let shut = Shut::These(BTreeSet::new());
        let (waiting, queue) = (Vec::new(), VecDeque::new());
        let (written, dropped, flow) = (0, 0, Flow::Open);
        Console { sink, surface, width: 0, own_format, waiting, queue, written, dropped, shut, flow }
    }

    /// How wide the column of names is, and what form sexton's own lines have.
    pub(super) fn begin(&mut self, width: u8, own_format: LogFormat) {
        (self.width, self.own_format) = (usize::from(width).min(render::MAX_WIDTH), own_format);
    }

    pub(super) fn flow(&self) -> Flow {
        self.flow
    }

    pub(super) fn sink(&self) -> &Sink {
        &self.sink
    }

    pub(super) fn is_drained(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a line of this unit, or counts it as dropped where too much waits already, of it or of all. Once one was
    /// dropped all are, until the console has caught up by half: a gap with its number says more than a line here and
    /// there.
    pub(super) fn line(&mut self, slot: Slot, format: LogFormat, record: &Record<'_>) {
        if self.is_shut_for(slot) {
            self.dropped += 1;
            return;
        }
        let mut before = self.waiting.len();
        render::line(&mut self.waiting, self.surface, format, self.width, record);
        let count = self.waiting.len() - before;
        self.enqueue(slot, count);
        if self.waiting.len() - self.written > FLUSH_AT {
            // Who reads as fast as it is written loses nothing, however much comes at once.
            let whole = self.waiting.len();
            if self.flow == Flow::Open {
                self.write_out(clock::now());
            }
            before = before.saturating_sub(whole - self.waiting.len());
        }
        if self.waiting.len() - self.written > MAX_WAITING {
            self.waiting.truncate(before);
            self.queue.back_mut().into_iter().for_each(|(_, bytes)| *bytes -= count.min(*bytes));
            self.dropped += 1;
            self.shut = Shut::All;
        }
    }

    /// Notes whose the last bytes are.
    fn enqueue(&mut self, slot: Slot, count: usize) {
        match self.queue.back_mut() {
            Some((last, bytes)) if *last == slot => *bytes += count,
            _ => self.queue.push_back((slot, count)),
        }
    }

    /// Is there no room for this unit? One line is let in whatever its length.
    fn is_shut_for(&mut self, slot: Slot) -> bool {
        let Shut::These(shut) = &mut self.shut else { return true };
        if self.flow == Flow::Open {
            return false;
        }
        if shut.contains(&slot) {
            return true;
        }
        let own = self.queue.iter().filter(|(other, _)| *other == slot).map(|(_, bytes)| bytes);
        let is_full = own.sum::<usize>() >= MAX_SHARE;
        if is_full {
            shut.insert(slot);
        }
        is_full
    }

    /// What waits to be written.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> &str {
        std::str::from_utf8(&self.waiting).unwrap_or("?")
    }

    /// Writes what waits, as far as the console takes it.
    pub(super) fn write_out(&mut self, now: Moment) {
        if let Flow::Failed(until) = self.flow
            && now < until
        {
            return;
        }
        self.flow = Flow::Open;
        loop {
            self.report_dropped();
            let rest = self.waiting.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                return self.forget_written();
            }
            match self.sink.write(rest) {
                Ok(0) => self.flow = Flow::Failed(now + RETRY),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.flow = Flow::Blocked,
                Err(_) => self.flow = Flow::Failed(now + RETRY),
            }
            if self.flow != Flow::Open {
                return self.forget_written();
            }
        }
    }

    /// A line of sexton itself.
    fn own_line(&mut self, text: &str) {
        let record = super::own_record("", text);
        let before = self.waiting.len();
        render::line(&mut self.waiting, self.surface, self.own_format, self.width, &record);
        self.enqueue(super::OWN_SLOT, self.waiting.len() - before);
    }

    /// Once half of what may wait is gone, says how many lines are missing here.
    fn report_dropped(&mut self) {
        let low = match self.shut {
            Shut::These(_) => MAX_SHARE / 2,
            Shut::All => MAX_WAITING / 2,
        };
        if self.dropped == 0 || self.waiting.len() - self.written > low {
            return;
        }
        let lines = if self.dropped == 1 { "line" } else { "lines" };
        let text = format!("{} {lines} dropped: the console did not keep up", self.dropped);
        self.dropped = 0;
        self.shut = Shut::These(BTreeSet::new());
        self.own_line(&text);
    }

    /// Gives the room of what was written back.
    fn forget_written(&mut self) {
        self.waiting.drain(..self.written);
        let mut gone = std::mem::take(&mut self.written);
        while let Some((_, bytes)) = self.queue.front_mut().filter(|_| gone > 0) {
            let taken = gone.min(*bytes);
            *bytes -= taken;
            gone -= taken;
            if *bytes == 0 {
                self.queue.pop_front();
            }
        }
        if self.waiting.is_empty() && self.waiting.capacity() > ASKED_CHUNK * 4 {
            self.waiting = Vec::new();
        }
    }
}

/// How this process's terminal, if the sink is one, wants its lines.
pub(super) fn surface_of(sink: &Sink) -> Surface {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match (sink.is_terminal(), dumb || plain) {
        (false, _) => Surface::Plain,
        (true, true) => Surface::Terminal,
        (true, false) => Surface::Coloured,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logger::lines::Ending;
    use std::io::{PipeReader, Read};
    use std::os::fd::{AsRawFd, OwnedFd};

    fn sink_of(fd: OwnedFd) -> Sink {
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        Sink::of(File::from(fd), &path)
    }

    fn piped() -> (PipeReader, Console) {
        let (reader, writer) = io::pipe().unwrap();
        (reader, Console::new(sink_of(writer.into()), Surface::Plain))
    }

    fn record<'a>(unit: &'a str, text: &'a [u8]) -> Record<'a> {
        Record { time: "now", unit, pid: None, stream: "stdout", text, ending: Ending::Whole }
    }

    fn fill(console: &mut Console, lines: usize) {
        for n in 0..lines {
            console.line(Slot(n as u32 % 20), LogFormat::Raw, &record("", format!("{n:099}").as_bytes()));
            console.write_out(Moment::from_nanos(0));
        }
    }

    #[test]
    fn a_console_that_blocks_costs_lines_and_says_how_many() {
        let (mut reader, mut console) = piped();
        fill(&mut console, 10_000);
        assert_eq!(console.flow(), Flow::Blocked);
        let mut text = Vec::new();
        let mut chunk = vec![0; 1 << 16];
        while !console.is_drained() {
            let count = reader.read(&mut chunk).unwrap();
            text.extend(&chunk[..count]);
            console.write_out(Moment::from_nanos(0));
        }
        drop(console);
        reader.read_to_end(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let kept = text.lines().filter(|line| line.len() == 99).count();
        let note = text.lines().find(|line| line.contains("dropped")).unwrap();
        assert_eq!(note, format!("sexton | {} lines dropped: the console did not keep up", 10_000 - kept));
        assert!(kept * 100 >= MAX_WAITING && kept < 5_000, "{kept}");
    }

    #[test]
    fn what_waits_is_bounded() {
        let (_reader, mut console) = piped();
        fill(&mut console, 20_000);
        assert!(console.waiting.len() <= MAX_WAITING);
    }

    #[test]
    fn one_unit_takes_no_more_than_its_share_and_leaves_room_for_the_others() {
        let (_reader, mut console) = piped();
        let text = [b'x'; 99];
        let chatty = |console: &mut Console| {
            (0..5_000).for_each(|_| console.line(Slot(1), LogFormat::Raw, &record("", &text)));
            console.write_out(Moment::from_nanos(0));
        };
        (0..3).for_each(|_| chatty(&mut console));
        assert_eq!(console.flow(), Flow::Blocked);
        let waiting = console.waiting.len();
        assert!((MAX_SHARE..MAX_SHARE + FLUSH_AT + 200).contains(&waiting), "{waiting}");
        let dropped = console.dropped;
        console.line(Slot(2), LogFormat::Raw, &record("", b"another's"));
        assert_eq!((console.waiting.len(), console.dropped), (waiting + 10, dropped));
        assert_eq!(console.queue.iter().map(|(_, bytes)| bytes).sum::<usize>(), console.waiting.len());
    }

    #[test]
    fn a_console_whose_reader_is_gone_is_left_alone_for_a_second() {
        let (reader, mut console) = piped();
        drop(reader);
        console.line(Slot(0), LogFormat::Raw, &record("", b"x"));
        console.write_out(Moment::from_nanos(5));
        assert_eq!(console.flow(), Flow::Failed(Moment::from_nanos(5) + RETRY));
        console.write_out(Moment::from_nanos(6));
        assert_eq!(console.flow(), Flow::Failed(Moment::from_nanos(5) + RETRY));
    }

    #[test]
    fn opening_anew_leaves_the_shared_description_blocking() {
        let (_reader, writer) = io::pipe().unwrap();
        let shared: OwnedFd = writer.into();
        let Sink::Own(own) = sink_of(shared.try_clone().unwrap()) else { panic!("not opened anew") };
        let flags = |fd: BorrowedFd<'_>| nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFL).unwrap();
        assert_eq!(flags(shared.as_fd()) & libc::O_NONBLOCK, 0);
        assert_eq!(flags(own.as_fd()) & libc::O_NONBLOCK, libc::O_NONBLOCK);
    }

    #[test]
    fn a_pipe_that_cannot_be_opened_anew_is_asked_and_never_waited_for() {
        let (_reader, writer) = io::pipe().unwrap();
        let mut sink = Sink::of(File::from(OwnedFd::from(writer)), "/nonexistent");
        assert!(matches!(sink, Sink::Asked(..)));
        let mut total = 0;
        let error = loop {
            match sink.write(&[b'x'; 10_000]) {
                Ok(count) => total += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(total >= 4096, "{total}");
    }

    #[test]
    fn a_socket_is_written_without_waiting() {
        let (_near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut sink = sink_of(far.into());
        let error = loop {
            if let Err(error) = sink.write(&[b'x'; 10_000]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_terminal_is_known_and_sees_no_control_characters() {
        let terminal = nix::pty::openpty(None, None).unwrap();
        let sink = sink_of(terminal.slave);
        assert!(matches!(sink, Sink::Own(_)));
        let surface = surface_of(&sink);
        assert_ne!(surface, Surface::Plain);
        let mut console = Console::new(sink, Surface::Terminal);
        console.line(Slot(0), LogFormat::Prefix, &record("web", b"\x1b]0;title\x07 hi"));
        console.write_out(Moment::from_nanos(0));
        let mut shown = [0; 200];
        let count = File::from(terminal.master).read(&mut shown).unwrap();
        assert_eq!(&shown[..count], b"web | \\x1b]0;title\\x07 hi\r\n");
    }

    #[test]
    fn a_file_is_written_where_the_others_left_off() {
        let path = std::env::temp_dir().join(format!("sexton-console-{}", std::process::id()));
        let mut first = File::create(&path).unwrap();
        let mut sink = sink_of(first.try_clone().unwrap().into());
        first.write_all(b"one\n").unwrap();
        sink.write(b"two\n").unwrap();
        first.write_all(b"three\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\nthree\n");
        std::fs::remove_file(path).unwrap();
    }
}
