//! A web server for tests, of one thread per connection: it gives what it was told to,
//! breaks off where it was told to, and remembers what it was asked for.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What stands at a path.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Its content.
    pub body: Vec<u8>,
    /// Its `ETag`, if it has one.
    pub tag: Option<&'static str>,
    /// Where it has gone, if it has.
    pub moved_to: Option<String>,
    /// After so many bytes of an answer the connection breaks; once for each number.
    pub breaks: Vec<usize>,
    /// Answers of this status come first; once for each.
    pub refusals: Vec<u16>,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// The range that was asked for, if one was.
    pub range: Option<String>,
}

#[derive(Debug, Default)]
struct Pages {
    pages: BTreeMap<String, Page>,
    asked: Vec<Asked>,
}

/// A server that answers as long as the process lives.
#[derive(Clone, Debug)]
pub struct Web {
    pages: Arc<Mutex<Pages>>,
    address: SocketAddr,
}

impl Web {
    /// Starts it on a free port of this machine.
    ///
    /// # Panics
    /// When there is none.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let web = Self {
            pages: Arc::default(),
            address: listener.local_addr().expect("its address"),
        };
        let server = web.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let server = server.clone();
                // A client that goes away is no failure of the server's.
                std::thread::spawn(move || drop(server.answer(connection)));
            }
        });
        web
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Puts a page at a path.
    pub fn put(&self, path: &str, page: Page) {
        self.lock().pages.insert(path.to_owned(), page);
    }

    /// The requests for a path so far.
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        let all = self.lock().asked.clone();
        all.into_iter().filter(|one| one.path == path).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, mut connection: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(connection.try_clone()?);
        loop {
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                if line.trim().is_empty() {
                    break;
                }
                lines.push(line.trim().to_owned());
            }
            let (head, body, is_broken) = self.page(&lines);
            connection.write_all(head.as_bytes())?;
            connection.write_all(&body)?;
            if is_broken {
                return connection.shutdown(std::net::Shutdown::Both);
            }
        }
    }

    /// The answer to a request: its head, its body, and whether it breaks off after that.
    fn page(&self, lines: &[String]) -> (String, Vec<u8>, bool) {
        let path = lines[0].split(' ').nth(1).unwrap_or_default().to_owned();
        let header = |name: &str| {
            let mut found = lines.iter().filter_map(|line| line.split_once(": "));
            let found = found.find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_owned())
        };
        let range = header("range");
        let mut pages = self.lock();
        pages.asked.push(Asked {
            path: path.clone(),
            range: range.clone(),
        });
        let Some(page) = pages.pages.get_mut(&path) else {
            return (
                "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".into(),
                Vec::new(),
                false,
            );
        };
        if let Some(to) = &page.moved_to {
            return (
                format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"),
                Vec::new(),
                false,
            );
        }
        if let Some(status) = page.refusals.pop() {
            return (
                format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n"),
                Vec::new(),
                false,
            );
        }
        let is_same = header("if-range").is_none_or(|tag| Some(tag.as_str()) == page.tag);
        let from = range.filter(|_| is_same);
        let from = from.and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse::<usize>()
                .ok()
        });
        let rest = &page.body[from.unwrap_or(0)..];
        let mut head = match from {
            None => "HTTP/1.1 200 OK\r\n".to_owned(),
            Some(from) => {
                let (last, all) = (page.body.len() - 1, page.body.len());
                format!(
                    "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {from}-{last}/{all}\r\n"
                )
            }
        };
        if let Some(tag) = page.tag {
            head.push_str(&format!("etag: {tag}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", rest.len()));
        match page.breaks.pop() {
            Some(after) => (head, rest[..after.min(rest.len())].to_vec(), true),
            None => (head, rest.to_vec(), false),
        }
    }
}
