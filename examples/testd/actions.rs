//! What the daemon can do, one word each, followed by the word's own arguments.
//!
//! | words | what happens |
//! | --- | --- |
//! | `say TEXT`, `complain TEXT`, `part TEXT` | a line on standard output, on standard error; a text without its newline |
//! | `mark FILE WORD` | adds the line `WORD NANOSECONDS PID` to the file |
//! | `touch FILE`, `byte FIFO`, `newline FD` | makes a file; writes one byte; writes a newline |
//! | `dump FILE` | writes what it knows of itself, as JSON |
//! | `listen tcp ADDRESS`, `listen unix PATH`, `listen http ADDRESS STATUS` | answers from now on |
//! | `notify TEXT` | a datagram to `NOTIFY_SOCKET`; `\n` in the text is a newline, `PID` the own pid |
//! | `notify-of FILE TEXT` | as above, but `PID` is the pid that stands in the file |
//! | `ignore SIGNAL`, `trap SIGNAL FILE CODE` | ignores it; on it, during `wait`, marks the file and exits |
//! | `child FILE`, `escape FILE` | a child that waits for ever; one in a session of its own whose parent is gone |
//! | `orphans N`, `daemonise FILE` | N orphans that end together; forks away as old daemons do, pid in the file |
//! | `freeze FILE` | until the file is there, stops every process that comes and may be stopped |
//! | `until FILE`, `sleep MS`, `wait` | until the file is there; for a time; for ever |
//! | `exit CODE`, `die SIGNAL`, `die-of NUMBER` | the end |
//! | `eat MIB` | memory, touched and kept |
//! | `kexec KERNEL INITRAMFS LINE` | the kernel has another one ready to go over to |

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::process::exit;
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, raise, sigprocmask};
use nix::unistd::{ForkResult, Pid, fork, getpid, pause, pipe, read, setsid};

use crate::facts;

type Outcome = Result<(), String>;

/// Does what the words say, in order; returns when they are at their end.
pub fn perform(words: &[String]) -> Outcome {
    let mut words = words.iter();
    let mut trapped: Vec<(Signal, String, i32)> = Vec::new();
    while let Some(action) = words.next() {
        let mut next = || words.next().cloned().ok_or(format!("'{action}' wants another word"));
        match action.as_str() {
            "say" => write_to(1, &format!("{}\n", next()?)),
            "complain" => write_to(2, &format!("{}\n", next()?)),
            "part" => write_to(1, &next()?),
            "mark" => mark(&next()?, &next()?)?,
            "touch" => publish(&next()?, "")?,
            "byte" => append(&next()?, "x")?,
            "newline" => write_to(number(&next()?)?, "\n"),
            "dump" => publish(&next()?, &facts::gather().to_string())?,
            "listen" => listen(&next()?, &mut next)?,
            "notify" => notify(&next()?, &getpid().to_string())?,
            "notify-of" => notify_of(&next()?, &next()?)?,
            "ignore" => facts::ignore(signal(&next()?)?),
            "trap" => {
                let trap = (signal(&next()?)?, next()?, number(&next()?)?);
                block(trap.0)?;
                trapped.push(trap);
            }
            "child" => child(&next()?)?,
            "escape" => escape(&next()?)?,
            "orphans" => orphans(number(&next()?)?)?,
            "daemonise" => daemonise(&next()?)?,
            "freeze" => freeze(&next()?)?,
            "until" => until(&next()?),
            "sleep" => std::thread::sleep(Duration::from_millis(number(&next()?)? as u64)),
            "wait" => wait(&trapped)?,
            "exit" => exit(number(&next()?)?),
            "die-of" => facts::die_of(number(&next()?)?),
            "kexec" => load_kernel(&next()?, &next()?, &next()?)?,
            "eat" => drop(Box::leak(vec![1_u8; number(&next()?)? as usize * 1024 * 1024].into_boxed_slice())),
            "die" => {
                let signal = signal(&next()?)?;
                facts::restore(signal);
                raise(signal).map_err(|e| e.to_string())?;
            }
            other => return Err(format!("'{other}' is nothing that testd can do")),
        }
    }
    Ok(())
}

fn number(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("'{text}' is no number"))
}

fn signal(text: &str) -> Result<Signal, String> {
    format!("SIG{text}").parse().map_err(|_| format!("'{text}' is no signal"))
}

fn write_to(fd: i32, text: &str) {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match facts::write(fd, rest) {
            0 => return,
            n => rest = &rest[n..],
        }
    }
}

fn append(path: &str, text: &str) -> Outcome {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|e| format!("{path}: {e}"))
}

fn mark(path: &str, word: &str) -> Outcome {
    append(path, &format!("{word} {} {}\n", facts::nanoseconds(), getpid()))
}

/// Writes a file so that nobody ever sees half of it.
pub fn publish(path: &str, text: &str) -> Outcome {
    let draft = format!("{path}.{}.draft", getpid());
    fs::write(&draft, text).and_then(|()| fs::rename(&draft, path)).map_err(|e| format!("{path}: {e}"))
}

fn until(path: &str) {
    while fs::symlink_metadata(path).is_err() {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Tries the numbers that the kernel gives next, again and again: one of them is somebody who is not yet what he will be.
fn freeze(file: &str) -> Outcome {
    let last = || fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().last()?.parse::<i32>().ok();
    while fs::symlink_metadata(file).is_err() {
        let last = last().ok_or("/proc/loadavg tells of no pid")?;
        for _ in 0..2_000 {
            for pid in (last + 1..last + 5).filter(|pid| *pid != getpid().as_raw()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGSTOP); // Mostly there is nobody.
            }
        }
    }
    Ok(())
}

fn listen(kind: &str, next: &mut dyn FnMut() -> Result<String, String>) -> Outcome {
    let place = next()?;
    let failed = |e: std::io::Error| format!("{place}: {e}");
    match kind {
        "tcp" => {
            let listener = TcpListener::bind(&place).map_err(failed)?;
            std::thread::spawn(move || listener.incoming().for_each(drop));
        }
        "unix" => {
            let _ = fs::remove_file(&place); // It is there only when an earlier run was killed.
            let listener = UnixListener::bind(&place).map_err(failed)?;
            std::thread::spawn(move || listener.incoming().for_each(drop));
        }
        "http" => {
            let status = next()?;
            let listener = TcpListener::bind(&place).map_err(failed)?;
            std::thread::spawn(move || serve_http(&listener, &status));
        }
        other => return Err(format!("'{other}' is nothing that testd can listen on")),
    }
    Ok(())
}

fn serve_http(listener: &TcpListener, status: &str) {
    for mut stream in listener.incoming().flatten() {
        let mut request = [0; 1024];
        let _ = stream.read(&mut request); // Whatever was asked, the answer is the same.
        let answer =
            format!("HTTP/1.1 {status} As told\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n");
        let _ = stream.write_all(answer.as_bytes()); // A client that is gone needs no answer.
    }
}

fn notify_of(file: &str, text: &str) -> Outcome {
    notify(text, &fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?)
}

fn notify(text: &str, pid: &str) -> Outcome {
    let path = std::env::var("NOTIFY_SOCKET").map_err(|_| "NOTIFY_SOCKET is not set".to_owned())?;
    let text = text.replace("\\n", "\n").replace("=PID", &format!("={pid}"));
    let socket = UnixDatagram::unbound().map_err(|e| e.to_string())?;
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let address = address.map_err(|e| e.to_string())?;
    socket.send_to_addr(text.as_bytes(), &address).map(drop).map_err(|e| format!("{path}: {e}"))
}

fn block(signal: Signal) -> Outcome {
    let mut set = SigSet::empty();
    set.add(signal);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None).map_err(|e| e.to_string())
}

fn wait(trapped: &[(Signal, String, i32)]) -> Outcome {
    if trapped.is_empty() {
        loop {
            pause();
        }
    }
    let set: SigSet = trapped.iter().map(|(signal, _, _)| *signal).collect();
    loop {
        let got = set.wait().map_err(|e| e.to_string())?;
        if let Some((_, file, code)) = trapped.iter().find(|(signal, _, _)| *signal == got) {
            mark(file, got.as_str())?;
            if *code >= 0 {
                exit(*code);
            }
        }
    }
}

fn forked() -> Result<Option<Pid>, String> {
    // SAFETY: the program has one thread wherever it forks: actions that listen come after those that fork.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => Ok(None),
        Ok(ForkResult::Parent { child }) => Ok(Some(child)),
        Err(errno) => Err(format!("fork: {errno}")),
    }
}

fn child(file: &str) -> Outcome {
    let _ = fs::remove_file(file); // It is there only after an earlier run.
    if forked()?.is_none() {
        publish(file, &getpid().to_string())?;
        wait(&[])?;
    }
    until(file);
    Ok(())
}

fn escape(file: &str) -> Outcome {
    if forked()?.is_none() {
        setsid().map_err(|e| e.to_string())?;
        if forked()?.is_some() {
            exit(0);
        }
        publish(file, &getpid().to_string())?;
        wait(&[])?;
    }
    until(file);
    facts::reap_one();
    Ok(())
}

fn daemonise(file: &str) -> Outcome {
    if forked()?.is_some() {
        until(file);
        exit(0);
    }
    setsid().map_err(|e| e.to_string())?;
    publish(file, &format!("{}\n", getpid()))
}

/// Makes children of a child; when all are there their parent ends, and then they do, all at once.
fn orphans(count: i32) -> Outcome {
    let (gate, key) = pipe().map_err(|e| e.to_string())?;
    if forked()?.is_none() {
        for _ in 0..count {
            if forked()?.is_none() {
                drop(key);
                let _ = read(&gate, &mut [0]); // Nothing is ever written: it returns when the gate opens.
                facts::leave();
            }
        }
        facts::leave();
    }
    facts::reap_one();
    drop(key);
    Ok(())
}

/// What `kexec -s -l` does.
fn load_kernel(kernel: &str, initramfs: &str, line: &str) -> Outcome {
    let open = |path: &str| fs::File::open(path).map_err(|e| format!("{path}: {e}"));
    let (kernel, initramfs) = (open(kernel)?, open(initramfs)?);
    let line = CString::new(line).map_err(|e| e.to_string())?;
    let length = line.as_bytes_with_nul().len();
    // SAFETY: two open files and a text with its NUL; the kernel reads them, and writes nothing here.
    let loaded = unsafe {
        libc::syscall(
            libc::SYS_kexec_file_load,
            kernel.as_raw_fd(),
            initramfs.as_raw_fd(),
            length,
            line.as_ptr(),
            0_usize,
        )
    };
    if loaded == 0 { Ok(()) } else { Err(format!("kexec_file_load: {}", std::io::Error::last_os_error())) }
}
