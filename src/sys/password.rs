//! Is this the password that a line of `/etc/shadow` is of?
//!
//! The C library that sexton is linked with computes the kinds `$1$`, `$2$`, `$5$` and `$6$`. `$y$`, which some systems use
//! by default, it does not know, and says so.
//!
//! See [crypt(3)](https://man7.org/linux/man-pages/man3/crypt.3.html).

use std::ffi::CString;

/// Kinds that are known.
const KNOWN: [&str; 6] = ["$1$", "$2a$", "$2b$", "$2y$", "$5$", "$6$"];

/// Can [`is_right`] tell?
pub fn is_known(hash: &str) -> bool {
    cfg!(target_env = "musl") && KNOWN.iter().any(|kind| hash.starts_with(kind))
}

/// Does this password have this hash?
pub fn is_right(password: &str, hash: &str) -> bool {
    let (Ok(word), Ok(setting)) = (CString::new(password), CString::new(hash)) else { return false };
    is_known(hash) && crypt(&word, &setting).is_some_and(|made| is_same(made.as_bytes(), hash.as_bytes()))
}

/// Compares without telling by its time where they differ.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(target_env = "musl")]
fn crypt(word: &std::ffi::CStr, setting: &std::ffi::CStr) -> Option<CString> {
    unsafe extern "C" {
        #[link_name = "crypt"]
        fn c_crypt(word: *const libc::c_char, setting: *const libc::c_char) -> *mut libc::c_char;
    }
    // SAFETY: two C strings. This program has one thread, so nobody else uses the place of the answer.
    let made = unsafe { c_crypt(word.as_ptr(), setting.as_ptr()) };
    if made.is_null() {
        return None;
    }
    // SAFETY: an answer is a C string that stays until the next call.
    Some(unsafe { std::ffi::CStr::from_ptr(made) }.to_owned())
}

#[cfg(not(target_env = "musl"))]
fn crypt(_: &std::ffi::CStr, _: &std::ffi::CStr) -> Option<CString> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_same_or_not() {
        assert!(is_same(b"ab", b"ab") && !is_same(b"ab", b"ac") && !is_same(b"ab", b"abc"));
        assert!(!is_right("x", "") && !is_right("x\0", "$6$a$b") && !is_known("$y$j9T$a$b"));
    }
}
