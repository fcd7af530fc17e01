//! The allocator: it asks again when there is no memory, because PID 1 may not die of it.
//!
//! Rust ends a program whose allocation fails. A client may end so, after some seconds; an init waits until there
//! is memory again: its services run on meanwhile, and the kernel kills somebody long before it comes back with nothing.
//!
//! What is small comes from `pieces`, the rest from the C library.
//!
//! See [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html), ENOMEM.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::time::Duration;

use super::clock;
use super::pieces::{Class, Pieces};

/// An allocator that is asked more than once.
#[derive(Debug)]
pub struct Patient;

/// How long a program that may die of it asks again: 5 seconds.
const TRIES: u32 = 500;

/// Between two tries: rarely enough to cost nothing, soon enough that nobody notices.
const PAUSE: Duration = Duration::from_millis(10);

/// Addresses that are set aside: many times what a step of PID 1 needs. They are only addresses, no memory.
const RESERVE: usize = 4 << 20;

static NEVER_GIVES_UP: AtomicBool = AtomicBool::new(false);
static SET_ASIDE: AtomicPtr<libc::c_void> = AtomicPtr::new(null_mut());

/// From now on this program waits for memory for as long as it takes. Addresses are set aside for a day on which
/// somebody forbids it to grow.
#[doc(alias = "RLIMIT_AS")]
pub fn never_give_up() {
    NEVER_GIVES_UP.store(true, Ordering::Relaxed);
    set_aside();
}

fn set_aside() {
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping, wherever the kernel likes, which nobody may touch.
    let addresses = unsafe { libc::mmap(null_mut(), RESERVE, libc::PROT_NONE, kind, -1, 0) };
    if addresses != libc::MAP_FAILED {
        SET_ASIDE.store(addresses, Ordering::Relaxed);
    }
}

/// Sets addresses aside for the next such day, once they were given up. Where there is no room for them yet, the next who
/// allocates asks again: until then that costs a call of the kernel each time, and afterwards nothing.
fn refill_reserve() {
    if SET_ASIDE.load(Ordering::Relaxed).is_null() && NEVER_GIVES_UP.load(Ordering::Relaxed) {
        set_aside();
    }
}

/// Gives up what was set aside, if anything was.
fn break_into_reserve() {
    let addresses = SET_ASIDE.swap(null_mut(), Ordering::Relaxed);
    if !addresses.is_null() {
        // SAFETY: it is the mapping of `set_aside`, of that size, which nobody else knows of.
        unsafe { libc::munmap(addresses, RESERVE) };
    }
}

/// Tries again until there is memory. The first time at once: most such failures are gone with the call.
fn insist(mut allocate: impl FnMut() -> *mut u8) -> *mut u8 {
    let mut tries = 0;
    loop {
        let memory = allocate();
        if !memory.is_null() {
            refill_reserve();
            return memory;
        }
        if tries >= TRIES && !NEVER_GIVES_UP.load(Ordering::Relaxed) {
            return memory;
        }
        match tries {
            0 => break_into_reserve(),
            _ => clock::pause(PAUSE),
        }
        tries = tries.saturating_add(1);
    }
}

static PIECES: Pieces = Pieces::new();

// SAFETY: what has a class is a piece that nobody else has, of that class's size at least, which is freed into the same
// class; all else is handed to the system's allocator as it came. Either is asked as often as it says that it has nothing.
unsafe impl GlobalAlloc for Patient {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match Class::of(layout) {
            Some(class) => insist(|| PIECES.take(class)),
            // SAFETY: the caller keeps the promises that are asked of it here.
            None => insist(|| unsafe { System.alloc(layout) }),
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        match Class::of(layout) {
            // SAFETY: the caller promises that it was taken with this layout, and so for this class.
            Some(class) => unsafe { PIECES.give(class, memory) },
            // SAFETY: as above.
            None => unsafe { System.dealloc(memory, layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(class) = Class::of(layout) else {
            // SAFETY: as above.
            return insist(|| unsafe { System.alloc_zeroed(layout) });
        };
        let memory = insist(|| PIECES.take(class));
        if !memory.is_null() {
            // SAFETY: the piece is at least as large as its layout.
            unsafe { memory.write_bytes(0, layout.size()) };
        }
        memory
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the new size, rounded up to the alignment, is not too large.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (Class::of(layout), Class::of(new)) {
            // SAFETY: as above. When it answers nothing the old memory is still there.
            (None, None) => insist(|| unsafe { System.realloc(memory, layout, size) }),
            (old, new) if old == new => memory,
            // SAFETY: as above.
            _ => unsafe { self.move_to(memory, layout, new) },
        }
    }
}

impl Patient {
    /// # Safety
    /// As for [`GlobalAlloc::realloc`].
    unsafe fn move_to(&self, memory: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        // SAFETY: the new layout is a valid one, and its size is not zero.
        let moved = unsafe { self.alloc(new) };
        if !moved.is_null() {
            // SAFETY: both are as large as the smaller of the two, and not the same.
            unsafe { moved.copy_from_nonoverlapping(memory, old.size().min(new.size())) };
            // SAFETY: it was allocated with this layout, and what was in it has moved.
            unsafe { self.dealloc(memory, old) };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_comes_back_is_waited_for_and_the_reserve_is_set_aside_again() {
        never_give_up();
        let is_set_aside = || !SET_ASIDE.load(Ordering::Relaxed).is_null();
        assert!(is_set_aside());
        let (mut asked, place) = (0, &mut 0_u8);
        let memory: *mut u8 = place;
        let got = insist(|| {
            asked += 1;
            assert_eq!(is_set_aside(), asked == 1, "it is given up at the first failure");
            if asked < 4 { null_mut() } else { memory }
        });
        assert_eq!((asked, got), (4, memory));
        assert!(is_set_aside());
    }
}
