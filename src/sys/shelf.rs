//! A few low descriptor numbers on which the parent lays what a child gets.
//!
//! ```text
//!   0 1 2 │ sexton's first few │ shelf │ FREE …  two ends of a pipe for each unit, connections, sockets
//!   ──────────── the child copies these ───────┘ └───────────── and never sees these
//! ```
//!
//! A table of descriptors that is copied for a child and closed again by its exec costs by its length: with a
//! thousand units that is more than all else in a start. So the child shares the table until it takes a copy of its
//! lower part for itself, and what it was promised from the upper part lies on the shelf by then.
//!
//! See [dup(2)](https://man7.org/linux/man-pages/man2/dup.2.html) and
//! [close_range(2)](https://man7.org/linux/man-pages/man2/close_range.2.html).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use super::call;

/// Standard output, standard error, a readiness descriptor, and one to spare; what needs more is started with a copy
/// of the whole table.
const PLACES: usize = 4;

/// The numbers, each held by a descriptor that means nothing while no child is being started.
#[derive(Debug)]
pub(super) struct Shelf {
    places: [OwnedFd; PLACES],
    nothing: OwnedFd,
    free: RawFd,
}

/// What lies on the shelf for one child; taken off again when this is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Laid<'a> {
    shelf: &'a Shelf,
    sources: [RawFd; PLACES],
    used: usize,
}

impl Shelf {
    /// Takes the lowest numbers that are free, so the earlier the better.
    pub(super) fn new() -> io::Result<Shelf> {
        // SAFETY: no pointers.
        let nothing = call::owned(call::once(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) }))?;
        let place = || nothing.try_clone();
        let places = [place()?, place()?, place()?, place()?];
        let highest = places.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(2);
        Ok(Shelf { free: highest.saturating_add(1), places, nothing })
    }

    /// The first number that a child never sees.
    pub(super) fn free(&self) -> RawFd {
        self.free
    }

    /// Nothing yet, for a child that is to be started.
    pub(super) fn lay(&self) -> Laid<'_> {
        Laid { shelf: self, sources: [-1; PLACES], used: 0 }
    }
}

impl Laid<'_> {
    /// The number at which a child that copies the lower part finds this descriptor; `None` when the shelf is full.
    pub(super) fn number(&mut self, source: RawFd) -> Option<RawFd> {
        if source < self.shelf.free {
            return Some(source);
        }
        let known = self.sources.iter().take(self.used).position(|laid| *laid == source);
        if let Some(place) = known {
            return self.shelf.places.get(place).map(AsRawFd::as_raw_fd);
        }
        let number = self.shelf.places.get(self.used)?.as_raw_fd();
        put(source, number).ok()?;
        *self.sources.get_mut(self.used)? = source;
        self.used += 1;
        Some(number)
    }
}

impl Drop for Laid<'_> {
    fn drop(&mut self) {
        // Whoever waits for the last writer of a pipe to go must not wait for the shelf.
        for place in self.shelf.places.iter().take(self.used) {
            let _ = put(self.shelf.nothing.as_raw_fd(), place.as_raw_fd()); // Both are open, so it cannot fail.
        }
    }
}

fn put(source: RawFd, target: RawFd) -> io::Result<()> {
    // SAFETY: no pointers. The target is a number of the shelf's own.
    call::retry(|| unsafe { libc::dup3(source, target, libc::O_CLOEXEC) }).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_stands_low_stays_and_what_stands_high_is_laid_out_once() {
        let shelf = Shelf::new().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        // SAFETY: no pointers.
        let high = call::owned(call::once(unsafe {
            libc::fcntl(writer.as_raw_fd(), libc::F_DUPFD_CLOEXEC, shelf.free() + 100)
        }))
        .unwrap();
        drop(writer);
        let mut laid = shelf.lay();
        assert_eq!(laid.number(0), Some(0));
        let number = laid.number(high.as_raw_fd()).unwrap();
        assert!(number < shelf.free());
        assert_eq!(laid.number(high.as_raw_fd()), Some(number), "the second time it is the same");
        drop(high);
        drop(laid);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0, "nobody holds the writing end any more");
    }

    #[test]
    fn a_full_shelf_says_so() {
        let shelf = Shelf::new().unwrap();
        let (_reader, writer) = io::pipe().unwrap();
        let high: Vec<OwnedFd> = (0..=PLACES)
            .map(|n| {
                let least = shelf.free() + 200 + n as RawFd;
                // SAFETY: no pointers.
                let fd = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) };
                call::owned(call::once(fd)).unwrap()
            })
            .collect();
        let mut laid = shelf.lay();
        let numbers: Vec<Option<RawFd>> = high.iter().map(|fd| laid.number(fd.as_raw_fd())).collect();
        assert!(numbers.iter().take(PLACES).all(Option::is_some));
        assert_eq!(numbers.last(), Some(&None));
    }
}
