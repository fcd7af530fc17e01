//! What only the init of a machine asks of the kernel: swap, modules, the clock and its battery, the pool of random
//! numbers, loop devices, the keys of a power button.
//!
//! See [swapon(2)](https://man7.org/linux/man-pages/man2/swapon.2.html),
//! [finit_module(2)](https://man7.org/linux/man-pages/man2/finit_module.2.html),
//! [rtc(4)](https://man7.org/linux/man-pages/man4/rtc.4.html) and
//! [random(4)](https://man7.org/linux/man-pages/man4/random.4.html).

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::time::Duration;

use super::call;

// Numbers of requests that the libc crate does not have for every platform; they are the same on all that sexton is built
// for, as <linux/rtc.h>, <linux/random.h>, <linux/loop.h> and <linux/input.h> have them.
const RTC_RD_TIME: u64 = 0x8024_7009;
const RTC_SET_TIME: u64 = 0x4024_700a;
const RNDADDENTROPY: u64 = 0x4008_5203;
const LOOP_CLR_FD: u64 = 0x4c01;
const DM_DEV_REMOVE: u64 = 0xc138_fd04;
/// `EVIOCGBIT(EV_KEY, KEY_BYTES)`.
const EVIOCGBIT_KEYS: u64 = 0x8000_4521 | ((KEY_BYTES as u64) << 16);
/// Room for every key that there is.
const KEY_BYTES: usize = 96;
/// The most that is credited at once, which is what the kernel's pool needs.
const MOST_SEED: usize = 512;

fn request(file: &impl AsFd, number: u64, argument: *mut libc::c_void) -> io::Result<libc::c_int> {
    let raw = file.as_fd().as_raw_fd();
    // SAFETY: each caller hands over what its request reads or fills, for the time of the call.
    call::retry(|| unsafe { libc::ioctl(raw, number as _, argument) })
}

/// Takes a swap area into use. `priority` is from 0, the last, up.
#[doc(alias = "swapon")]
pub fn swap_on(path: &Path, priority: Option<u16>, discard: bool) -> io::Result<()> {
    const PREFER: libc::c_int = 0x8000;
    const DISCARD: libc::c_int = 0x10000;
    let path = call::c_path(path)?;
    let priority = priority.map_or(0, |priority| PREFER | libc::c_int::from(priority & 0x7fff));
    let flags = priority | if discard { DISCARD } else { 0 };
    // SAFETY: a C string and a number.
    call::retry(|| unsafe { libc::swapon(path.as_ptr(), flags) }).map(drop)
}

/// Takes it out of use; what is in it comes back into memory, however long that takes.
#[doc(alias = "swapoff")]
pub fn swap_off(path: &Path) -> io::Result<()> {
    let path = call::c_path(path)?;
    // SAFETY: a C string.
    call::retry(|| unsafe { libc::swapoff(path.as_ptr()) }).map(drop)
}

/// Is a module's file as it is, or packed, so that the kernel has to unpack it?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleFile {
    /// As it is.
    Plain,
    /// In a form that the kernel was built to know (`MODULE_INIT_COMPRESSED_FILE`).
    Packed,
}

/// Loads a module. One that is there already is `EEXIST`.
#[doc(alias = "finit_module")]
pub fn load_module(file: &File, parameters: &CStr, form: ModuleFile) -> io::Result<()> {
    const PACKED: libc::c_int = 4;
    let flags = if form == ModuleFile::Packed { PACKED } else { 0 };
    let raw = file.as_raw_fd();
    // SAFETY: a descriptor that is open as long as it is borrowed, and a C string.
    call::retry(|| unsafe { libc::syscall(libc::SYS_finit_module, raw, parameters.as_ptr(), flags) })
        .map(drop)
}

/// Loads a module that somebody has unpacked.
#[doc(alias = "init_module")]
pub fn load_module_image(image: &[u8], parameters: &CStr) -> io::Result<()> {
    let (start, length) = (image.as_ptr(), image.len());
    // SAFETY: so many bytes are there, which the kernel copies, and a C string.
    call::retry(|| unsafe { libc::syscall(libc::SYS_init_module, start, length, parameters.as_ptr()) })
        .map(drop)
}

/// Gives the machine its name.
#[doc(alias = "sethostname")]
pub fn set_host_name(name: &str) -> io::Result<()> {
    // SAFETY: so many bytes are there.
    call::retry(|| unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }).map(drop)
}

/// Sets the wall clock, given in time since 1970.
#[doc(alias = "clock_settime")]
pub fn set_clock(since_1970: Duration) -> io::Result<()> {
    let seconds = i64::try_from(since_1970.as_secs()).map_err(|_| call::error(libc::EINVAL))?;
    let time = libc::timespec { tv_sec: seconds as _, tv_nsec: since_1970.subsec_nanos() as _ };
    // SAFETY: `time` outlives the call.
    call::retry(|| unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &raw const time) }).map(drop)
}

fn open_clock(path: &Path) -> io::Result<File> {
    File::options().read(true).open(path)
}

/// What the clock with a battery says, in time since 1970, as it runs in UTC.
#[doc(alias = "RTC_RD_TIME")]
pub fn battery_clock(path: &Path) -> io::Result<Duration> {
    let file = open_clock(path)?;
    // SAFETY: all of it is numbers, for which zero is valid.
    let mut time: libc::tm = unsafe { std::mem::zeroed() };
    request(&file, RTC_RD_TIME, (&raw mut time).cast())?;
    // SAFETY: `time` outlives the call, which normalises what it was given.
    let seconds = unsafe { libc::timegm(&raw mut time) };
    u64::try_from(seconds).map(Duration::from_secs).map_err(|_| call::error(libc::ERANGE))
}

/// Sets the clock with a battery.
#[doc(alias = "RTC_SET_TIME")]
pub fn set_battery_clock(path: &Path, since_1970: Duration) -> io::Result<()> {
    let file = open_clock(path)?;
    let seconds = i64::try_from(since_1970.as_secs()).map_err(|_| call::error(libc::EINVAL))? as _;
    // SAFETY: all of it is numbers and a pointer, for which zero is valid.
    let mut time: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both outlive the call.
    unsafe { libc::gmtime_r(&raw const seconds, &raw mut time) };
    request(&file, RTC_SET_TIME, (&raw mut time).cast()).map(drop)
}

/// Gives the kernel's pool of random numbers a seed, and tells it that nobody can guess any bit of it.
#[doc(alias = "RNDADDENTROPY")]
pub fn credit_seed(pool: &File, seed: &[u8]) -> io::Result<()> {
    #[repr(C)]
    struct Given {
        bits: libc::c_int,
        size: libc::c_int,
        bytes: [u8; MOST_SEED],
    }
    let seed = seed.get(..MOST_SEED).unwrap_or(seed);
    let size = libc::c_int::try_from(seed.len()).unwrap_or(0);
    let mut given = Given { bits: size * 8, size, bytes: [0; MOST_SEED] };
    given.bytes.iter_mut().zip(seed).for_each(|(place, byte)| *place = *byte);
    request(pool, RNDADDENTROPY, (&raw mut given).cast()).map(drop)
}

/// Fills it with random bytes; where the kernel has none that nobody can guess, `EAGAIN`.
#[doc(alias = "getrandom")]
pub fn random(bytes: &mut [u8]) -> io::Result<()> {
    let (place, length) = (bytes.as_mut_ptr().cast(), bytes.len());
    // SAFETY: so many bytes are there.
    let got = call::retry(|| unsafe { libc::getrandom(place, length, libc::GRND_NONBLOCK) })?;
    if usize::try_from(got) == Ok(length) { Ok(()) } else { Err(call::error(libc::EAGAIN)) }
}

/// Takes the file away from a loop device.
#[doc(alias = "LOOP_CLR_FD")]
pub fn detach_loop(device: &File) -> io::Result<()> {
    request(device, LOOP_CLR_FD, std::ptr::null_mut()).map(drop)
}

/// Takes away a device of the device mapper; one in use stays.
#[doc(alias = "DM_DEV_REMOVE")]
pub fn remove_mapping(name: &str) -> io::Result<()> {
    /// `struct dm_ioctl`, as <linux/dm-ioctl.h> has it since version 4.
    #[repr(C)]
    struct Mapping {
        version: [u32; 3],
        size: u32,
        start: u32,
        numbers: [u32; 5],
        device: u64,
        name: [u8; 128],
        uuid: [u8; 129],
        data: [u8; 7],
    }
    let control = File::options().read(true).write(true).open("/dev/mapper/control")?;
    let size = u32::try_from(size_of::<Mapping>()).unwrap_or(0);
    let mut given = Mapping {
        version: [4, 0, 0],
        size,
        start: size,
        numbers: [0; 5],
        device: 0,
        name: [0; 128],
        uuid: [0; 129],
        data: [0; 7],
    };
    if name.is_empty() || name.len() >= given.name.len() {
        return Err(call::error(libc::EINVAL));
    }
    given.name.iter_mut().zip(name.bytes()).for_each(|(place, byte)| *place = byte);
    request(&control, DM_DEV_REMOVE, (&raw mut given).cast()).map(drop)
}

/// Which keys an input device has, a bit each.
#[doc(alias = "EVIOCGBIT")]
pub fn keys_of(device: &File) -> io::Result<[u8; KEY_BYTES]> {
    let mut keys = [0; KEY_BYTES];
    request(device, EVIOCGBIT_KEYS, keys.as_mut_ptr().cast())?;
    Ok(keys)
}

/// Has all memory of this process stay in memory: what it executes is needed when its disk no longer answers.
#[doc(alias = "mlockall")]
pub fn stay_in_memory() -> io::Result<()> {
    // SAFETY: it takes a number.
    call::retry(|| unsafe { libc::mlockall(libc::MCL_CURRENT) }).map(drop)
}

/// Goes over to the root at `path`, which has been moved over `/`.
#[doc(alias = "chroot")]
pub fn change_root(path: &Path) -> io::Result<()> {
    std::env::set_current_dir(path)?;
    // SAFETY: a C string.
    call::retry(|| unsafe { libc::chroot(c".".as_ptr()) })?;
    std::env::set_current_dir("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_device_is_an_error_and_nothing_worse() {
        let null = File::options().read(true).write(true).open("/dev/null").unwrap();
        assert!(keys_of(&null).is_err());
        assert!(detach_loop(&null).is_err());
        assert!(credit_seed(&null, &[1; 2000]).is_err());
        assert!(battery_clock(Path::new("/dev/null")).is_err());
        assert!(battery_clock(Path::new("/no/such")).is_err());
        assert!(swap_off(Path::new("/no/such")).is_err());
    }
}
