//! Small pieces of memory, kept by size: what was freed is the next to be given out.
//!
//! ```text
//!   size ──▶ class ──▶ free list ── empty ──▶ the rest of a run ── too short ──▶ a new run (mmap)
//!                         ▲                                                        64 KiB
//!                         └── free
//! ```
//!
//! The C library gives a page back to the kernel as soon as nothing of it is used, and asks for it again with the next
//! step: two calls, a page to clear, and a word to every processor on which a child has not come to its exec yet, at each
//! start of a service. Here nothing goes back, so PID 1 keeps what it needed at the most of each size. A piece has no
//! header: whoever frees it says how large it is.
//!
//! See [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html).

use std::alloc::Layout;
use std::ptr::{NonNull, null_mut};
use std::sync::{Mutex, PoisonError};

/// Every piece begins at a multiple of this, and no size is finer.
const GRAIN: usize = 16;

/// Up to here there is a class for each multiple of the grain.
const FINE: usize = 512;
const FINE_CLASSES: usize = FINE / GRAIN;

/// The largest piece; from the fine ones up to here each doubling has four classes. What is larger is rare, and stays the
/// C library's.
const LARGEST: usize = 4096;
const CLASSES: usize = FINE_CLASSES + 4 * (LARGEST / FINE).ilog2() as usize;

/// What the kernel is asked for at once. Only the pages that are touched are memory.
const RUN: usize = 64 << 10;

/// The pieces of one program.
#[derive(Debug)]
pub(super) struct Pieces(Mutex<Lists>);

#[derive(Debug)]
struct Lists {
    /// The last that was freed of each class; its first bytes lead to the one before.
    free: [*mut Piece; CLASSES],
    /// What is left of the run.
    rest: *mut u8,
    left: usize,
}

#[derive(Debug)]
struct Piece {
    next: *mut Piece,
}

// SAFETY: what the pointers lead to is memory that nobody else knows of.
unsafe impl Send for Lists {}

impl Pieces {
    pub(super) const fn new() -> Pieces {
        Pieces(Mutex::new(Lists { free: [null_mut(); CLASSES], rest: null_mut(), left: 0 }))
    }

    /// A piece for this class, null where the kernel has no memory. What is in it is anything.
    pub(super) fn take(&self, class: Class) -> *mut u8 {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.pop(class).unwrap_or_else(|| lists.cut(class.size()))
    }

    /// Takes a piece back.
    ///
    /// # Safety
    /// It was taken for this class, and nobody uses it any more.
    pub(super) unsafe fn give(&self, class: Class, memory: *mut u8) {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the caller promises that nobody else has it, and that it is at least as large as this class.
        unsafe { lists.push(class, memory) };
    }
}

impl Lists {
    fn pop(&mut self, class: Class) -> Option<*mut u8> {
        let first = self.free.get_mut(class.0)?;
        let piece = NonNull::new(*first)?;
        // SAFETY: what stands in a list was put there by `push`, which wrote this.
        *first = unsafe { piece.as_ref() }.next;
        Some(piece.as_ptr().cast())
    }

    /// # Safety
    /// The memory is nobody's, as large as the class says, and begins at a multiple of the grain.
    unsafe fn push(&mut self, class: Class, memory: *mut u8) {
        let Some(first) = self.free.get_mut(class.0) else { return };
        let piece = memory.cast::<Piece>();
        // SAFETY: every class has room for a pointer, and the grain is a multiple of its alignment.
        unsafe { piece.write(Piece { next: *first }) };
        *first = piece;
    }

    /// Cuts a piece from the run. What is too short for it is kept as a smaller one.
    fn cut(&mut self, size: usize) -> *mut u8 {
        if self.left < size && !self.next_run() {
            return null_mut();
        }
        let piece = self.rest;
        self.rest = piece.wrapping_add(size);
        self.left -= size;
        piece
    }

    fn next_run(&mut self) -> bool {
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let writable = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, wherever the kernel likes.
        let run = unsafe { libc::mmap(null_mut(), RUN, writable, kind, -1, 0) };
        if run == libc::MAP_FAILED {
            return false;
        }
        if let Some(class) = Class::within(self.left) {
            // SAFETY: the rest of the run is nobody's, and holds the largest class that is not larger.
            unsafe { self.push(class, self.rest) };
        }
        (self.rest, self.left) = (run.cast(), RUN);
        true
    }
}

/// A class of sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Class(usize);

impl Class {
    /// Where a piece of this layout is kept; `None` for what is too large or too particular.
    pub(super) fn of(layout: Layout) -> Option<Class> {
        if layout.size() > LARGEST || layout.align() > GRAIN {
            return None;
        }
        let last = layout.size().saturating_sub(1);
        Some(Class(match last {
            0..FINE => last / GRAIN,
            _ => {
                let doubling = last.ilog2();
                let quarter = (last - (1 << doubling)) >> (doubling - 2);
                FINE_CLASSES + 4 * (doubling - FINE.ilog2()) as usize + quarter
            }
        }))
    }

    /// The largest class that so many bytes hold.
    fn within(bytes: usize) -> Option<Class> {
        (0..CLASSES).rev().map(Class).find(|class| class.size() <= bytes)
    }

    /// Bytes of a piece.
    fn size(self) -> usize {
        match self.0.checked_sub(FINE_CLASSES) {
            None => (self.0 + 1) * GRAIN,
            Some(coarse) => {
                let start = FINE << (coarse / 4);
                start + (coarse % 4 + 1) * (start / 4)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(size: usize) -> Class {
        Class::of(Layout::from_size_align(size, 8).unwrap()).unwrap()
    }

    #[test]
    fn every_size_has_the_smallest_class_that_holds_it() {
        for size in 1..=LARGEST {
            let class = class(size);
            assert!(class.size() >= size && class.size().is_multiple_of(GRAIN), "{size}");
            assert!(class.0 == 0 || Class(class.0 - 1).size() < size, "{size}");
        }
        assert_eq!(class(LARGEST), Class(CLASSES - 1));
        assert_eq!(
            (Class::within(15), Class::within(63), Class::within(700)),
            (None, Some(Class(2)), Some(class(640)))
        );
        assert_eq!(Class::of(Layout::from_size_align(LARGEST + 1, 8).unwrap()), None);
        assert_eq!(Class::of(Layout::from_size_align(64, 64).unwrap()), None);
    }

    #[test]
    fn what_was_freed_is_given_out_next_and_no_two_have_the_same() {
        let pieces = Pieces::new();
        let mut held: Vec<(*mut u8, usize, u8)> = Vec::new();
        let mut random = 12_345_u32;
        for step in 0..20_000_u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let size = 1 + (random >> 8) as usize % if step % 7 == 0 { LARGEST } else { 200 };
            if held.len() > 100 {
                let (memory, size, mark) = held.swap_remove(random as usize % held.len());
                // SAFETY: it was taken with this size.
                let bytes = unsafe { std::slice::from_raw_parts(memory, size) };
                assert!(bytes.iter().all(|byte| *byte == mark));
                // SAFETY: as above, and nobody uses it any more.
                unsafe { pieces.give(class(size), memory) };
                let again = pieces.take(class(size));
                assert_eq!(again, memory);
                // SAFETY: as above.
                unsafe { pieces.give(class(size), again) };
            }
            let memory = pieces.take(class(size));
            assert!(memory.addr().is_multiple_of(GRAIN));
            // SAFETY: the piece has this size.
            unsafe { memory.write_bytes(step as u8, size) };
            held.push((memory, size, step as u8));
        }
    }
}
