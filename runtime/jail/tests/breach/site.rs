//! What the jailed process would like to reach: secrets, listeners, other
//! processes, all real and all open to root without a jail.

use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use stint_jail::Identity;
use tempfile::TempDir;

use crate::call;

/// Who a process that root has jailed is.
pub(crate) const SLOT: Identity = Identity::of_slot(1);
const OTHER_SLOT: Identity = Identity::of_slot(2);
/// Somebody without any right.
const USER: Identity = Identity::of_slot(3);
const ROOT: Identity = Identity { uid: 0, gid: 0 };

/// For whom a node runs on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// Root, who gives each slot a user of its own.
    OfRoot,
    /// Somebody else, whose processes are all alike.
    OfUser,
}

impl Node {
    /// Who starts the jailed process, and owns what it is not to reach.
    pub(crate) fn owner(self) -> Identity {
        match self {
            Self::OfRoot => ROOT,
            Self::OfUser => USER,
        }
    }

    fn itself(self) -> Identity {
        match self {
            Self::OfRoot => SLOT,
            Self::OfUser => USER,
        }
    }

    fn sibling(self) -> Identity {
        match self {
            Self::OfRoot => OTHER_SLOT,
            Self::OfUser => USER,
        }
    }
}
/// Files by which a process is moved to another cgroup; which there are depends
/// on how the machine has its hierarchies.
const CGROUPS: [&str; 3] = [
    "/sys/fs/cgroup/cgroup.procs",
    "/sys/fs/cgroup/unified/cgroup.procs",
    "/sys/fs/cgroup/memory/cgroup.procs",
];

/// What the jailed process is told of it.
#[derive(Debug)]
pub(crate) struct Told {
    /// The directory of all that is here.
    pub(crate) dir: PathBuf,
    pub(crate) cgroup: PathBuf,
    pub(crate) tcp: u16,
    pub(crate) udp: u16,
    /// Of a segment of shared memory.
    pub(crate) key: i32,
    pub(crate) sibling: u32,
    /// Asked before it is jailed, when it may still ask.
    pub(crate) parent: u32,
    pub(crate) itself: u32,
    /// A descriptor of the secret.
    pub(crate) leaked: RawFd,
    /// Descriptors of the job's directories, once it has them.
    pub(crate) inputs: RawFd,
    pub(crate) scratch: RawFd,
}

impl Told {
    /// As arguments of a program.
    pub(crate) fn to_args(&self) -> Vec<String> {
        let Self {
            dir,
            cgroup,
            tcp,
            udp,
            key,
            sibling,
            leaked,
            ..
        } = self;
        let paths = [dir, cgroup].map(|path| path.display().to_string());
        let numbers = [
            i64::from(*tcp),
            i64::from(*udp),
            i64::from(*key),
            i64::from(*sibling),
            i64::from(*leaked),
        ];
        paths
            .into_iter()
            .chain(numbers.map(|number| number.to_string()))
            .collect()
    }

    /// From the arguments of a program.
    pub(crate) fn from_args(mut args: impl Iterator<Item = String>) -> Self {
        let mut next = || args.next().unwrap();
        Self {
            dir: next().into(),
            cgroup: next().into(),
            tcp: next().parse().unwrap(),
            udp: next().parse().unwrap(),
            key: next().parse().unwrap(),
            sibling: next().parse().unwrap(),
            leaked: next().parse().unwrap(),
            parent: parent_id(),
            itself: std::process::id(),
            inputs: -1,
            scratch: -1,
        }
    }
}

/// All of it, and what keeps it there.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) node: Node,
    told: Told,
    dir: TempDir,
    sibling: Child,
    segment: call::Segment,
    /// Closed by whoever executes a program.
    guarded: File,
    /// Not closed by anybody.
    leaked: OwnedFd,
    _listeners: (TcpListener, UdpSocket, UnixListener, UnixListener),
}

impl Site {
    pub(crate) fn new(node: Node) -> io::Result<Self> {
        // For its owner alone, as a node's directory is.
        let dir = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o700))
            .tempdir()?;
        let root = dir.path();
        own(root, node.owner())?;
        fs::create_dir(root.join("inputs"))?;
        fs::set_permissions(root.join("inputs"), Permissions::from_mode(0o755))?;
        fs::create_dir(root.join("scratch"))?;
        own(&root.join("inputs"), node.owner())?;
        own(&root.join("scratch"), node.itself())?;
        fill(root, node)?;
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let path = UnixListener::bind(root.join("socket"))?;
        // As long as the structure allows, so that no length need be told.
        let mut name = root.as_os_str().as_bytes().to_vec();
        name.resize(107, 0);
        let name = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
        let sibling = Command::new("sleep")
            .arg("3600")
            .uid(node.sibling().uid)
            .gid(node.sibling().gid)
            .stdin(Stdio::null())
            .spawn()?;
        let segment = call::Segment::new()?;
        let guarded = File::open(root.join("secret"))?;
        let leaked = rustix::io::dup(guarded.as_fd())?;
        let cgroup = CGROUPS.into_iter().find(|path| Path::new(path).exists());
        let told = Told {
            dir: root.to_owned(),
            cgroup: cgroup.unwrap_or_default().into(),
            tcp: tcp.local_addr()?.port(),
            udp: udp.local_addr()?.port(),
            key: segment.key,
            sibling: sibling.id(),
            leaked: leaked.as_raw_fd(),
            parent: parent_id(),
            itself: std::process::id(),
            inputs: -1,
            scratch: -1,
        };
        Ok(Self {
            node,
            told,
            dir,
            sibling,
            segment,
            guarded,
            leaked,
            _listeners: (tcp, udp, path, name),
        })
    }

    /// What the next process is told; everything is there again that the last one
    /// may have removed. If `careful`, whoever opened the secret has marked it to be
    /// closed when a program is executed.
    pub(crate) fn told(&mut self, careful: bool) -> io::Result<&Told> {
        fill(self.dir.path(), self.node)?;
        self.told.leaked = if careful {
            self.guarded.as_raw_fd()
        } else {
            self.leaked.as_raw_fd()
        };
        Ok(&self.told)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.sibling.kill());
        drop(self.sibling.wait());
        self.segment.remove();
    }
}

/// Puts every file in its place that is not there, and removes what was left.
fn fill(root: &Path, node: Node) -> io::Result<()> {
    for (name, mode) in [("secret", 0o600), ("inputs/data", 0o644)] {
        let path = root.join(name);
        if !path.exists() {
            fs::write(&path, "canary")?;
            fs::set_permissions(&path, Permissions::from_mode(mode))?;
            own(&path, node.owner())?;
        }
    }
    drop(fs::remove_file(root.join("inputs/more")));
    drop(fs::remove_file("/dev/shm/stint-breach"));
    for name in ["link", "new", "stolen", "disk", "pipe", "listener"] {
        drop(fs::remove_file(root.join("scratch").join(name)));
    }
    let tool = root.join("scratch/tool");
    if !tool.exists() {
        fs::copy("/bin/true", &tool)?;
    }
    own(&tool, node.itself())?;
    fs::set_permissions(&tool, Permissions::from_mode(0o755))?;
    let queue = CString::new("stint-breach").unwrap();
    call::remove_queue(&queue);
    Ok(())
}

fn own(path: &Path, owner: Identity) -> io::Result<()> {
    chown(path, Some(owner.uid), Some(owner.gid))
}
