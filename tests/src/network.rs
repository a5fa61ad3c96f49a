//! Networks that a test makes itself and cuts as it likes: a namespace for each node,
//! joined to the machine by a pair of virtual cables. Needs root and `ip`; who lacks
//! them is told.

use std::fs::File;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Networks of one process: each has an address range of its own.
static MADE: AtomicU16 = AtomicU16::new(0);

/// How a network is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing gets through either way.
    Both,
    /// What the node sends is lost.
    FromNode,
    /// What is sent to the node is lost.
    ToNode,
}

/// The network of one node.
#[derive(Debug)]
pub struct Network {
    name: String,
    cable: String,
    machine: String,
    node: String,
}

impl Network {
    /// Makes one; none, with a word about it, where that cannot be had.
    pub fn make() -> Option<Self> {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        // Other tests and other checkouts make networks at the same time.
        let pid = std::process::id() % 16_384 * 4 + u32::from(number % 4);
        let range = format!("10.{}.{}", 192 + pid / 16_384 % 32, pid / 64 % 256);
        let last = pid % 64 * 4;
        let network = Self {
            name: format!("stint-{pid}"),
            cable: format!("stint{pid}"),
            machine: format!("{range}.{}", last + 1),
            node: format!("{range}.{}", last + 2),
        };
        match network.lay() {
            Ok(()) => Some(network),
            Err(error) => {
                use std::io::Write as _;
                let told = writeln!(io::stderr(), "SKIPPED: no network can be made: {error}");
                told.expect("stderr");
                None
            }
        }
    }

    fn lay(&self) -> io::Result<()> {
        let (name, cable) = (&self.name, &self.cable);
        ip(&["netns", "add", name])?;
        ip(&[
            "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name,
        ])?;
        let machine = format!("{}/30", self.machine);
        ip(&["address", "add", &machine, "dev", cable])?;
        ip(&["link", "set", cable, "up"])?;
        let node = format!("{}/30", self.node);
        ip(&["-n", name, "address", "add", &node, "dev", "eth0"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        ip(&["-n", name, "link", "set", "eth0", "up"])
    }

    /// Puts what `command` starts into it.
    #[must_use]
    pub fn within(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.arg(format!("--net=/run/netns/{}", self.name));
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            inside.current_dir(dir);
        }
        inside
    }

    /// The URL by which what listens on `port` of the machine is reached from inside: as
    /// something of the same machine, for a scheduler without a token takes nothing else.
    ///
    /// # Panics
    /// When nothing can listen on either side.
    pub fn url_to(&self, port: u16) -> String {
        let outside = TcpListener::bind((self.machine.as_str(), 0)).expect("its own address");
        let over = outside.local_addr().expect("its address");
        pass_on(outside, ([127, 0, 0, 1], port).into());
        let place = File::open(format!("/run/netns/{}", self.name)).expect("the namespace");
        let inside = std::thread::spawn(move || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(place.as_fd(), network).expect("a way into it");
            let inside = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let at = inside.local_addr().expect("its address");
            // What this thread starts is inside too.
            pass_on(inside, over);
            at
        });
        format!("http://{}", inside.join().expect("it listens"))
    }

    /// Cuts it.
    pub fn cut(&self, how: Cut) {
        let cut = match how {
            Cut::Both => ip(&["link", "set", &self.cable, "down"]),
            Cut::FromNode => ip(&["-n", &self.name, "route", "add", "blackhole", &self.machine]),
            Cut::ToNode => ip(&["route", "add", "blackhole", &self.node]),
        };
        cut.expect("it is cut");
    }

    /// Mends it.
    pub fn mend(&self, how: Cut) {
        let mended = match how {
            Cut::Both => ip(&["link", "set", &self.cable, "up"]),
            Cut::FromNode => ip(&["-n", &self.name, "route", "del", "blackhole", &self.machine]),
            Cut::ToNode => ip(&["route", "del", "blackhole", &self.node]),
        };
        mended.expect("it is mended");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The cable goes with the namespace; a route that was left is nobody's harm.
        let _ = ip(&["route", "del", "blackhole", &self.node]);
        let _ = ip(&["link", "del", &self.cable]);
        let _ = ip(&["netns", "del", &self.name]);
    }
}

/// Joins every connection that comes with one to `to`.
fn pass_on(listener: TcpListener, to: SocketAddr) {
    std::thread::spawn(move || {
        while let Ok((from, _)) = listener.accept() {
            // What cannot be reached must not keep the next from trying.
            std::thread::spawn(move || {
                if let Ok(there) = TcpStream::connect(to) {
                    join(from, there);
                }
            });
        }
    });
}

/// Passes bytes on both ways until either side ends.
fn join(inside: TcpStream, outside: TcpStream) {
    let clones = (inside.try_clone(), outside.try_clone());
    let (Ok(inside_too), Ok(outside_too)) = clones else {
        return;
    };
    for (mut from, mut to) in [(inside, outside), (outside_too, inside_too)] {
        std::thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    }
}

fn ip(args: &[&str]) -> io::Result<()> {
    let output = Command::new("ip")
        .args(args)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {}: {said}", args.join(" "))))
}
