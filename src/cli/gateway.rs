//! `sexton gateway`, or `sexton --vsock`: the host of a virtual machine may ask the sexton in it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::control::gateway::{Door, Terms, serve};
use crate::control::policy::Access;
use crate::sys::vsock;

use super::commands::socket;
use super::{Exit, Global, Screen, Trouble};

/// Where the host comes in, and what it may do.
#[derive(Debug, Args)]
pub struct GatewayArgs {
    /// Listen on this port of vsock
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "1024", required_unless_present = "virtio_port")]
    pub vsock: Option<u32>,
    /// Serve this port of virtio: its name, or its device
    #[arg(long, value_name = "NAME", conflicts_with = "vsock")]
    pub virtio_port: Option<String>,
    /// The machine that may connect over vsock: 2 is the host
    #[arg(long, value_name = "CID", default_value_t = vsock::HOST, conflicts_with = "virtio_port")]
    pub peer: u32,
    /// Let it start, stop and change things as well
    #[arg(long)]
    pub allow_changes: bool,
}

/// Where ports of virtio tell their names.
const PORTS: &str = "/sys/class/virtio-ports";

pub(super) fn gateway(global: &Global, args: &GatewayArgs, screen: &mut Screen<'_>) -> Result<Exit, Trouble> {
    let access = if args.allow_changes { Access::Change } else { Access::Read };
    let (door, place) = match (args.vsock, &args.virtio_port) {
        (Some(port), _) => {
            let listener = vsock::listen(port).map_err(|error| Trouble::Words(no_vsock(port, &error)))?;
            (Door::Vsock { listener, peer: args.peer }, format!("port {port} of vsock"))
        }
        (None, Some(name)) => {
            let path = find_port(name, Path::new(PORTS)).map_err(Trouble::Words)?;
            let port = open_port(&path).map_err(Trouble::Words)?;
            (Door::Port(port), path.display().to_string())
        }
        (None, None) => return Err(Trouble::Usage("neither --vsock nor --virtio-port is given".to_owned())),
    };
    let may = if args.allow_changes { "ask and change things" } else { "ask" };
    screen.say(&format!("the host may {may} on {place}\n"));
    tell_ready();
    let terms = Terms { socket: socket(global), access };
    Err(Trouble::Words(format!("cannot serve {place} any longer: {}", serve(door, &terms))))
}

fn no_vsock(port: u32, error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EAFNOSUPPORT) => format!(
            "cannot listen on port {port} of vsock: this kernel has none, or its module is not loaded; \
             'vmw_vsock_virtio_transport' in modules-load.d loads it"
        ),
        Some(libc::EADDRINUSE) => format!("cannot listen on port {port} of vsock: somebody else does"),
        _ => format!("cannot listen on port {port} of vsock: {error}"),
    }
}

/// The device of a port: udev would make a link of its name, and is not needed for it.
fn find_port(name: &str, ports: &Path) -> Result<PathBuf, String> {
    if name.contains('/') {
        return Ok(name.into());
    }
    let mut known = Vec::new();
    for port in fs::read_dir(ports).into_iter().flatten().flatten() {
        let said = fs::read_to_string(port.path().join("name")).unwrap_or_default();
        if said.trim_end() == name {
            return Ok(Path::new("/dev").join(port.file_name()));
        }
        known.extend(Some(format!("'{}'", said.trim_end())).filter(|said| said.len() > 2));
    }
    known.sort_unstable();
    Err(match known.is_empty() {
        true => format!("there is no port '{name}' of virtio, nor any other with a name"),
        false => format!("there is no port '{name}' of virtio; there is {}", known.join(", ")),
    })
}

fn open_port(path: &Path) -> Result<File, String> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    options.open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::EBUSY) => format!("cannot open '{}': somebody else has it open", path.display()),
        _ => format!("cannot open '{}': {error}", path.display()),
    })
}

/// For `[ready] notify`. Whoever does not wait for it has no such socket.
fn tell_ready() {
    let socket = std::env::var_os("NOTIFY_SOCKET").map(PathBuf::from);
    if let (Some(path), Ok(sender)) = (socket, UnixDatagram::unbound()) {
        let _ = sender.send_to(b"READY=1", path); // Who does not listen is not waiting either.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_by_its_name_and_one_that_is_not_there_is_answered_with_those_that_are() {
        let ports = std::env::temp_dir().join(format!("sexton-ports-{}", std::process::id()));
        for (device, name) in [("vport1p1", "org.example.control\n"), ("vport1p2", "\n")] {
            fs::create_dir_all(ports.join(device)).unwrap();
            fs::write(ports.join(device).join("name"), name).unwrap();
        }
        assert_eq!(find_port("org.example.control", &ports), Ok("/dev/vport1p1".into()));
        assert_eq!(find_port("/dev/hvc1", &ports), Ok("/dev/hvc1".into()));
        let other = find_port("control", &ports).unwrap_err();
        assert_eq!(other, "there is no port 'control' of virtio; there is 'org.example.control'");
        fs::remove_dir_all(&ports).unwrap();
        let none = find_port("control", &ports).unwrap_err();
        assert_eq!(none, "there is no port 'control' of virtio, nor any other with a name");
    }
}
