//! Connections: none is waited for without end, and what is under way is answered.

use std::net::SocketAddr;

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;

/// Longest wait of a test for anything.
const PATIENCE: Duration = Duration::from_secs(30);

struct Listening {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    /// A request for `/slow` has come.
    come: Arc<Notify>,
    /// Lets it go.
    go: Arc<Notify>,
}

impl Listening {
    async fn start(waits: Waits) -> Self {
        let (come, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (came, may_go) = (Arc::clone(&come), Arc::clone(&go));
        let slow = async move || {
            came.notify_one();
            may_go.notified().await;
            "slow"
        };
        let router = Router::new()
            .route("/", get(async || "quick"))
            .route("/slow", get(slow));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let metrics = Arc::new(Metrics::new());
        let task = tokio::spawn(listen(listener, router, metrics, stopping, waits));
        Self {
            address,
            stop,
            task,
            come,
            go,
        }
    }

    /// Sends `bytes` and reads until the other side closes.
    async fn say(&self, bytes: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // A reset is an end, too.
        let _ = within(socket.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn ended(self) {
        within(self.task).await.unwrap();
    }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}

fn impatient() -> Waits {
    Waits {
        head: Duration::from_millis(50),
        stop: Duration::from_millis(50),
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_its_connection() {
    let listening = Listening::start(impatient()).await;
    for bytes in [
        &b""[..],
        b"G",
        b"PRI * HT",
        b"GET / HTTP/1.1\r\nhost: x\r\n",
    ] {
        let answer = listening.say(bytes).await;
        assert!(answer.is_empty() || answer.contains(" 408 "), "{answer}");
    }
    // One that went idle after a request, as well.
    let answer = listening.say(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.ends_with("quick"), "{answer}");
    listening.stop.send_replace(true);
    listening.ended().await;
}

#[tokio::test]
async fn what_is_under_way_is_answered_before_the_end() {
    let listening = Listening::start(Waits::default()).await;
    let mut socket = TcpStream::connect(listening.address).await.unwrap();
    let request = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n";
    socket.write_all(request).await.unwrap();
    within(listening.come.notified()).await;
    listening.stop.send_replace(true);
    listening.go.notify_one();
    let mut answer = String::new();
    within(socket.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("slow"), "{answer}");
    listening.ended().await;
}

#[tokio::test]
async fn what_never_ends_is_cut() {
    let listening = Listening::start(impatient()).await;
    let mut socket = TcpStream::connect(listening.address).await.unwrap();
    let request = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n";
    socket.write_all(request).await.unwrap();
    within(listening.come.notified()).await;
    listening.stop.send_replace(true);
    listening.ended().await;
    let mut answer = Vec::new();
    let _ = within(socket.read_to_end(&mut answer)).await;
    assert!(answer.is_empty());
}

#[tokio::test]
async fn a_listener_that_nobody_can_stop_any_more_stops() {
    let listening = Listening::start(Waits::default()).await;
    drop(listening.stop);
    within(listening.task).await.unwrap();
}
