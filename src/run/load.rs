//! Reads unit directories from disk and hands their text to `unitfile`.
