//! What the kernel put on the stack for `main`: the arguments and the variables, read where they lie.
//!
//! ```text
//!   slots:  [0] "tini"  [1] "-g"  [2] "--"  [3] "cmd"  [4] "x"  null      text: "tini\0-g\0--\0cmd\0x\0A=1\0"
//!            └── the pointers may be moved and replaced                     └── the text never changes
//! ```
//!
//! Who only passes a command on needs no copy of it: moved together, the last slots are what `execve(2)` takes. The
//! pointers belong to the program, as the C language has it, and lie in memory that is its own for as long as it lives.

use std::ffi::{CStr, CString, c_char, c_int};

/// The arguments and the variables of this process.
#[derive(Debug)]
pub struct Arguments {
    slots: *mut *const c_char,
    count: usize,
    variables: *mut *const c_char,
}

impl Arguments {
    /// Takes over what `main` was given.
    pub(super) fn of_main(
        count: c_int,
        slots: *mut *const c_char,
        variables: *mut *const c_char,
    ) -> Arguments {
        let mut arguments = Arguments { slots, count: 0, variables };
        let claimed = usize::try_from(count).unwrap_or(0);
        // Whoever starts a program without arguments may leave the list empty; it ends at the null pointer.
        while arguments.count < claimed && !arguments.raw(arguments.count).is_null() {
            arguments.count += 1;
        }
        arguments
    }

    /// How many there are, the program's name among them.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Is not even the program's name there?
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One of them.
    pub fn get(&self, index: usize) -> Option<&'static CStr> {
        if index >= self.count {
            return None;
        }
        // SAFETY: below `count` each slot points to a string that ends with NUL, which nobody changes or frees.
        Some(unsafe { CStr::from_ptr(self.raw(index)) })
    }

    /// The bytes of one of them.
    pub fn bytes(&self, index: usize) -> Option<&'static [u8]> {
        self.get(index).map(CStr::to_bytes)
    }

    /// Puts what stands in one slot into another; what stood there is gone. Where one of them does not exist nothing is done.
    pub fn copy_slot(&mut self, from: usize, to: usize) {
        if from < self.count && to < self.count {
            let text = self.raw(from);
            self.put(to, text);
        }
    }

    /// Ends the list before `count`.
    pub fn truncate(&mut self, count: usize) {
        if count < self.count {
            self.put(count, std::ptr::null());
            self.count = count;
        }
    }

    /// The value of a variable.
    pub fn variable(&self, name: &[u8]) -> Option<&'static CStr> {
        self.variables().find_map(|(_, text)| value_of(text, name))
    }

    /// All variables, each as `NAME=value` with its place.
    pub(super) fn variables(&self) -> impl Iterator<Item = (usize, &'static CStr)> {
        let first = self.variables;
        (0_usize..).map_while(move |index| {
            if first.is_null() {
                return None;
            }
            // SAFETY: the list ends with a null pointer, and nobody has gone past it.
            let slot = unsafe { first.add(index) };
            // SAFETY: as above.
            let text = unsafe { slot.read() };
            if text.is_null() {
                return None;
            }
            // SAFETY: a string that ends with NUL, which nobody changes or frees.
            Some((index, unsafe { CStr::from_ptr(text) }))
        })
    }

    /// All variables, each as `NAME=value`.
    pub fn copied_variables(&self) -> Vec<CString> {
        self.variables().map(|(_, text)| text.to_owned()).collect()
    }

    /// From now on these are the variables. They stay for as long as the program runs, as those before them do.
    pub fn set_variables(&mut self, entries: Vec<CString>) {
        let pointers = entries.into_iter().map(|entry| CString::into_raw(entry).cast_const());
        let list: Box<[*const c_char]> = pointers.chain([std::ptr::null()]).collect();
        self.variables = Box::leak(list).as_mut_ptr();
    }

    /// The list of variables as `execve(2)` takes it.
    pub(super) fn variable_slots(&self) -> *mut *const c_char {
        self.variables
    }

    /// The list from `first` on as `execve(2)` takes it: it ends with a null pointer. There is a slot before it.
    pub(super) fn slots_from(&mut self, first: usize) -> Option<*mut *const c_char> {
        // SAFETY: the slot exists.
        (1..self.count).contains(&first).then(|| unsafe { self.slots.add(first) })
    }

    fn raw(&self, index: usize) -> *const c_char {
        // SAFETY: the callers stay below the count that `main` was given, or at the null pointer after it.
        let slot = unsafe { self.slots.add(index) };
        // SAFETY: as above.
        unsafe { slot.read() }
    }

    fn put(&mut self, index: usize, text: *const c_char) {
        // SAFETY: as in `raw`.
        let slot = unsafe { self.slots.add(index) };
        // SAFETY: as above; the list is this program's to change, and no reference into it exists.
        unsafe { slot.write(text) };
    }

    /// Arguments of a test, which stay for as long as it runs.
    #[cfg(test)]
    pub(crate) fn of_test(texts: &[&'static CStr], variables: &[&'static CStr]) -> Arguments {
        let list = |texts: &[&'static CStr]| {
            let pointers = texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]);
            Box::leak(pointers.collect::<Box<[*const c_char]>>()).as_mut_ptr()
        };
        Arguments::of_main(c_int::try_from(texts.len()).unwrap(), list(texts), list(variables))
    }

    /// All of them as text, for a test.
    #[cfg(test)]
    pub(crate) fn texts(&self) -> Vec<&'static str> {
        (0..self.count).map(|index| self.get(index).unwrap().to_str().unwrap()).collect()
    }
}

/// What stands after `name` and an equals sign.
fn value_of(text: &'static CStr, name: &[u8]) -> Option<&'static CStr> {
    let rest = text.to_bytes().strip_prefix(name)?.strip_prefix(b"=")?;
    let start = text.to_bytes().len().checked_sub(rest.len())?;
    CStr::from_bytes_with_nul(text.to_bytes_with_nul().get(start..)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_moved_together_and_the_list_ends_where_it_is_told() {
        let mut arguments = Arguments::of_test(&[c"tini", c"ls", c"-s", c"--", c"x"], &[]);
        arguments.copy_slot(4, 2);
        arguments.truncate(3);
        assert_eq!(arguments.texts(), ["tini", "ls", "x"]);
        arguments.copy_slot(7, 1);
        arguments.truncate(9);
        assert_eq!((arguments.texts(), arguments.get(3)), (vec!["tini", "ls", "x"], None));
    }

    #[test]
    fn an_empty_list_and_one_that_ends_early_are_no_crash() {
        let empty = Arguments::of_test(&[], &[]);
        assert!(empty.is_empty() && empty.get(0).is_none());
        let mut slots = [c"sexton".as_ptr(), std::ptr::null()];
        let none = std::ptr::null_mut();
        let short = Arguments::of_main(9, slots.as_mut_ptr(), none);
        assert_eq!((short.len(), short.variable(b"A")), (1, None));
    }

    #[test]
    fn a_variable_is_found_by_its_whole_name() {
        let arguments = Arguments::of_test(&[c"x"], &[c"AB=1", c"A=2=3", c"A"]);
        let value = |name: &[u8]| arguments.variable(name).map(|value| value.to_str().unwrap());
        assert_eq!((value(b"A"), value(b"AB"), value(b"B")), (Some("2=3"), Some("1"), None));
    }

    #[test]
    fn a_command_never_begins_at_the_programs_own_name() {
        let mut arguments = Arguments::of_test(&[c"tini", c"ls"], &[]);
        assert!(arguments.slots_from(0).is_none() && arguments.slots_from(2).is_none());
        assert!(arguments.slots_from(1).is_some());
    }
}
