//! Which call fails, which time, and with what: read off the log of an undisturbed run.

use std::collections::BTreeMap;
use std::fmt;

/// The `nth` call of this name fails with this error.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    call: String,
    nth: usize,
    error: &'static str,
}

/// Failures after which a service may never come, and why that is all that can be done: call, error, reason.
pub const MAY_MISS: [(&str, &str, &str); 2] = [
    ("getdents64", "EIO", "a directory of units that cannot be read has no units, and sexton says so"),
    ("wait4", "ECHILD", "the kernel never says that there are no children while there are some"),
];

impl Point {
    /// As strace wants it.
    pub fn as_inject(&self) -> String {
        format!("inject={}:error={}:when={}", self.call, self.error, self.nth)
    }

    /// Is a service that never comes excused here?
    pub fn may_miss(&self) -> bool {
        MAY_MISS.iter().any(|(call, error, _)| *call == self.call && *error == self.error)
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.call, self.nth, self.error)
    }
}

/// Calls that cannot fail, that are the way in or out, or that the C library makes before there is a program.
const NOT_SWEPT: [&str; 17] = [
    "execve",
    "exit",
    "exit_group",
    "rt_sigreturn",
    "restart_syscall",
    "getpid",
    "getppid",
    "gettid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "umask",
    "sched_yield",
    "arch_prctl",
    "set_tid_address",
    "getpgrp",
];

/// What the kernel says when this call fails for want of something, or because of where it runs.
fn error_of(call: &str) -> &'static str {
    match call {
        "open" | "openat" | "openat2" | "socket" | "socketpair" | "pipe" | "pipe2" | "epoll_create1"
        | "signalfd4" | "eventfd2" | "timerfd_create" | "dup" | "dup2" | "dup3" | "fcntl"
        | "memfd_create" | "accept" | "accept4" | "pidfd_open" | "inotify_init1" => "EMFILE",
        "clone" | "clone3" | "fork" | "vfork" => "EAGAIN",
        "mmap" | "mremap" | "munmap" | "mprotect" | "brk" | "madvise" | "poll" | "sigaltstack" => "ENOMEM",
        "read" | "readv" | "pread64" | "getdents64" | "fsync" => "EIO",
        "write" | "writev" | "pwrite64" | "epoll_ctl" | "ftruncate" | "fallocate" => "ENOSPC",
        "sendto" | "sendmsg" => "ENOBUFS",
        "recvfrom" | "recvmsg" => "ENOMEM",
        "epoll_wait" | "epoll_pwait" | "epoll_pwait2" | "wait4" | "waitid" | "close" | "ppoll" => "EINTR",
        "bind" | "listen" => "EADDRINUSE",
        "connect" => "ECONNREFUSED",
        "mkdir" | "mkdirat" | "chmod" | "fchmod" | "fchmodat" | "chown" | "fchown" | "fchownat"
        | "unlink" | "unlinkat" | "rmdir" | "rename" | "renameat" | "renameat2" | "symlink" | "symlinkat" => {
            "EROFS"
        }
        "stat" | "lstat" | "fstat" | "newfstatat" | "statx" | "access" | "faccessat" | "faccessat2"
        | "readlink" | "readlinkat" | "chdir" | "getcwd" => "EACCES",
        "rt_sigprocmask" | "rt_sigaction" | "getsockopt" | "setsockopt" => "EINVAL",
        "getrandom" | "statfs" | "fstatfs" | "close_range" | "sysinfo" => "ENOSYS",
        "ioctl" => "ENOTTY",
        _ => "EPERM",
    }
}

/// What the kernel says too, where that is met by other code.
fn another_error_of(call: &str) -> Option<&'static str> {
    match call {
        "wait4" | "waitid" => Some("ECHILD"),
        "read" | "recvmsg" | "sendmsg" | "accept4" => Some("EAGAIN"),
        _ => None,
    }
}

/// One point for every call that the log holds after the last exec.
pub fn of_log(log: &str) -> Vec<Point> {
    let name = |line: &str| line.split('(').next().unwrap_or("").to_owned();
    let lines: Vec<String> = log.lines().filter(|line| line.contains('(')).map(name).collect();
    let exec = lines.iter().rposition(|call| call == "execve").unwrap_or(0);
    let mut counts = BTreeMap::<&str, usize>::new();
    let mut points = Vec::new();
    for (index, call) in lines.iter().enumerate() {
        let nth = counts.entry(call).and_modify(|count| *count += 1).or_insert(1);
        let is_name = call.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if index > exec && is_name && !call.is_empty() && !NOT_SWEPT.contains(&call.as_str()) {
            let errors = [error_of(call)].into_iter().chain(another_error_of(call));
            points.extend(errors.map(|error| Point { call: call.clone(), nth: *nth, error }));
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_points_are_the_calls_after_the_exec_counted_from_the_start() {
        let log = "rt_sigprocmask(SIG) = 0\nexecve(\"x\") = 0\nrt_sigprocmask(SIG) = 0\nopenat(AT) = 3\n\
                   --- SIGCHLD {si_signo=SIGCHLD} ---\nopenat(AT) = 4\nexit_group(0) = ?\n+++ exited with 0 +++\n";
        let points: Vec<String> = of_log(log).iter().map(Point::as_inject).collect();
        assert_eq!(
            points,
            [
                "inject=rt_sigprocmask:error=EINVAL:when=2",
                "inject=openat:error=EMFILE:when=1",
                "inject=openat:error=EMFILE:when=2"
            ]
        );
        let log = "execve(\"x\") = 0\nwait4(-1) = 0\n";
        let points: Vec<String> = of_log(log).iter().map(Point::as_inject).collect();
        assert_eq!(points, ["inject=wait4:error=EINTR:when=1", "inject=wait4:error=ECHILD:when=1"]);
    }
}
