//! Bare system calls, as native code that has taken over a process makes them:
//! the one file of this test that leaves the safe language.

#![allow(
    unsafe_code,
    reason = "the calls that the jail must stop are made by nothing that is safe"
)]

use std::ffi::{CStr, CString};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use syscalls::{Errno, Sysno, raw};

use crate::action::{Arg, Held, Place, Step, Who};
use crate::site::Told;

/// A buffer that the steps of an action share. It begins as a file handle that
/// says how long it may be, since no other use minds.
const SHARED_BYTES: usize = 4096;
const HANDLE_BYTES: u32 = 120;
/// Calls that return a second time, in a process that is not to go on.
const TWICE: [Sysno; 4] = [Sysno::fork, Sysno::vfork, Sysno::clone, Sysno::clone3];

/// Makes the calls of an action one after the other; gives what the last one
/// returned, or the first error.
pub(crate) fn make(steps: &[Step], told: &Told) -> Result<usize, Errno> {
    let mut shared = vec![0_u8; SHARED_BYTES];
    shared[..4].copy_from_slice(&HANDLE_BYTES.to_ne_bytes());
    let mut returned = Vec::new();
    for step in steps {
        // What the arguments point to lives until the call is over.
        let mut memory: Vec<Vec<u8>> = Vec::new();
        let mut registers = [0_usize; 6];
        for (register, arg) in registers.iter_mut().zip(step.args) {
            *register = match arg {
                Arg::N(number) => isize::try_from(*number).unwrap().cast_unsigned(),
                Arg::Result(of) => returned[*of],
                Arg::Held(held) => descriptor(*held, told) as usize,
                Arg::Pid(who) => pid(*who, told) as usize,
                Arg::Key => told.key.cast_unsigned() as usize,
                Arg::Shared => shared.as_mut_ptr() as usize,
                other => {
                    let bytes = bytes(other, told);
                    // The bytes stay where they are when the list of them moves.
                    let at = bytes.as_ptr() as usize;
                    memory.push(bytes);
                    at
                }
            };
        }
        let [a, b, c, d, e, f] = registers;
        let number = step.number as usize;
        // SAFETY: pointers lead to memory that lives and is large enough for the
        // call; what else it does to this process is what is being tried, and the
        // process ends right after it.
        let value = unsafe { raw::syscall6(number, a, b, c, d, e, f) };
        if value == 0 && TWICE.iter().any(|call| call.id() as usize == number) {
            // SAFETY: ends the process that came of it.
            unsafe { raw::syscall1(Sysno::exit_group as usize, 0) };
        }
        returned.push(Errno::from_ret(value)?);
    }
    Ok(returned.last().copied().unwrap_or(0))
}

/// Asks for the own process's number as a 32-bit program does.
#[cfg(target_arch = "x86_64")]
pub(crate) fn compat() -> Result<usize, Errno> {
    const GETPID: usize = 20;
    let value: usize;
    // SAFETY: the gate keeps all registers but the one of the result.
    unsafe { std::arch::asm!("int 0x80", inlateout("rax") GETPID => value) };
    Errno::from_ret(value)
}

fn descriptor(held: Held, told: &Told) -> i32 {
    match held {
        Held::Control => 0,
        Held::Inputs => told.inputs,
        Held::Scratch => told.scratch,
        Held::Leaked => told.leaked,
    }
}

fn pid(who: Who, told: &Told) -> u32 {
    match who {
        Who::Parent => told.parent,
        Who::Sibling => told.sibling,
        Who::Itself => told.itself,
    }
}

fn bytes(arg: &Arg, told: &Told) -> Vec<u8> {
    let path = |path: &Path| {
        let text = CString::new(path.as_os_str().as_bytes()).unwrap();
        text.into_bytes_with_nul()
    };
    match arg {
        Arg::Text(text) => text.to_bytes_with_nul().to_vec(),
        Arg::Words(words) => words.iter().flat_map(|word| word.to_ne_bytes()).collect(),
        Arg::Room(length) => vec![0; *length],
        Arg::Place(place) => path(&match place {
            Place::Secret => told.dir.join("secret"),
            Place::Dir => told.dir.clone(),
            Place::MemoryOf(who) => format!("/proc/{}/mem", pid(*who, told)).into(),
            Place::EnvironmentOf(who) => format!("/proc/{}/environ", pid(*who, told)).into(),
            Place::Cgroup => told.cgroup.clone(),
        }),
        Arg::Tcp => internet(SocketAddrV4::new(Ipv4Addr::LOCALHOST, told.tcp)),
        Arg::Udp => internet(SocketAddrV4::new(Ipv4Addr::LOCALHOST, told.udp)),
        Arg::AnyPort => internet(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)),
        Arg::Unix => unix(&path(&told.dir.join("socket"))),
        Arg::Abstract => {
            // As long as the structure: the name has its length, zeros and all.
            unix(&[&[0], told.dir.as_os_str().as_bytes()].concat())
        }
        Arg::Iovec => {
            let words = [told.dir.as_os_str().as_bytes().as_ptr() as usize, 1];
            words.iter().flat_map(|word| word.to_ne_bytes()).collect()
        }
        Arg::N(_) | Arg::Result(_) | Arg::Held(_) | Arg::Pid(_) | Arg::Key | Arg::Shared => {
            unreachable!("no memory")
        }
    }
}

fn internet(address: SocketAddrV4) -> Vec<u8> {
    let family = u16::try_from(libc::AF_INET).unwrap();
    let mut bytes = family.to_ne_bytes().to_vec();
    bytes.extend(address.port().to_be_bytes());
    bytes.extend(address.ip().octets());
    bytes.resize(16, 0);
    bytes
}

fn unix(name: &[u8]) -> Vec<u8> {
    let family = u16::try_from(libc::AF_UNIX).unwrap();
    let mut bytes = family.to_ne_bytes().to_vec();
    bytes.extend(name);
    bytes.resize(110, 0);
    bytes
}

/// A segment of shared memory that only root may attach to.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) key: i32,
    id: i32,
}

impl Segment {
    pub(crate) fn new() -> std::io::Result<Self> {
        let key = i32::try_from(std::process::id()).unwrap();
        // SAFETY: makes a segment, attaches nothing.
        let id = unsafe { libc::shmget(key, 4096, libc::IPC_CREAT | 0o600) };
        if id == -1 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Self { key, id })
    }

    pub(crate) fn remove(&self) {
        // SAFETY: nobody here has it attached.
        unsafe { libc::shmctl(self.id, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

/// Removes a message queue that an action may have made.
pub(crate) fn remove_queue(name: &CStr) {
    // SAFETY: the name lives and has its end marked.
    let _ = unsafe { syscalls::syscall!(Sysno::mq_unlink, name.as_ptr()) };
}
