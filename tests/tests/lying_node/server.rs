//! A small HTTP server on loopback that answers JSON-RPC: as a chain would, or not.

use serde_json::{Value, json};
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// What happens to an answer on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It arrives.
    Whole,
    /// Half of its JSON arrives, as a whole body.
    Cut,
    /// An HTTP status instead.
    Status(u16),
    /// The connection closes before any answer.
    Dropped,
    /// Nothing comes for two seconds.
    Silent,
}

/// What an HTTP request gets instead of the node's answer.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A status, more header lines, and a body.
    Http(u16, String, String),
    /// Nothing, on one of these ways.
    Lost(Way),
}

/// One call's answer object from its method and parameters; `None` where the node has no such method.
pub type Answer = dyn Fn(&str, &Value) -> Option<Value> + Send + Sync;

/// What to reply to an HTTP request with this body, if not what the node answers.
pub type Instead = dyn Fn(&Value) -> Option<Reply> + Send + Sync;

/// How a node answers, and the way that its n-th HTTP answer takes.
pub struct Node {
    pub instead: Box<Instead>,
    pub answer: Box<Answer>,
    pub way: Box<dyn Fn(usize) -> Way + Send + Sync>,
    pub takes_batches: bool,
}

/// A server until it is dropped.
pub struct Server {
    port: u16,
    stop: Arc<AtomicBool>,
    asked: Arc<Asked>,
}

/// What was asked so far.
#[derive(Default)]
struct Asked {
    methods: Mutex<Vec<String>>,
    requests: AtomicUsize,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Server {
    pub fn start(node: Node) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Asked::default());
        let (stopped, asked, node) = (Arc::clone(&stop), Arc::clone(&shared), Arc::new(node));
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (node, asked) = (Arc::clone(&node), Arc::clone(&asked));
                // A client that has gone away is its own business.
                thread::spawn(move || stream.and_then(|stream| serve(&node, &asked, number, stream)));
            }
        });
        Ok(Self { port, stop, asked: shared })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How often a method was called so far.
    pub fn count(&self, method: &str) -> usize {
        let methods = self.asked.methods.lock().unwrap_or_else(PoisonError::into_inner);
        methods.iter().filter(|called| *called == method).count()
    }

    /// Calls so far.
    pub fn calls(&self) -> usize {
        self.asked.methods.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// HTTP requests so far.
    pub fn requests(&self) -> usize {
        self.asked.requests.load(Ordering::Relaxed)
    }
}

fn serve(node: &Node, asked: &Asked, number: usize, stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim().to_lowercase();
        if let Some(text) = line.strip_prefix("content-length:") {
            length = text.trim().parse().map_err(io::Error::other)?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body)?;
    asked.requests.fetch_add(1, Ordering::Relaxed);
    let one = |call: &Value| {
        let method = call["method"].as_str().unwrap_or_default();
        asked.methods.lock().unwrap_or_else(PoisonError::into_inner).push(method.to_owned());
        let mut answer = (node.answer)(method, &call["params"])
            .unwrap_or_else(|| json!({"error": {"code": -32601, "message": "Method not found"}}));
        answer["jsonrpc"] = json!("2.0");
        answer["id"] = call["id"].clone();
        answer
    };
    let answer = match &body {
        Value::Array(_) if !node.takes_batches => {
            json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "no batches"}})
        }
        // In reverse: ids say what belongs to what.
        Value::Array(calls) => calls.iter().rev().map(one).collect(),
        call => one(call),
    };
    match (node.instead)(&body) {
        Some(Reply::Http(status, headers, body)) => send_http(stream, status, &headers, &body),
        Some(Reply::Lost(way)) => send(stream, way, ""),
        None => send(stream, (node.way)(number), &answer.to_string()),
    }
}

fn send(stream: TcpStream, way: Way, answer: &str) -> io::Result<()> {
    let (status, body) = match way {
        Way::Whole => (200, answer),
        Way::Cut => (200, &answer[..answer.len() / 2]),
        Way::Status(status) => (status, "no"),
        Way::Dropped => return Ok(()),
        Way::Silent => {
            thread::sleep(Duration::from_secs(2));
            return Ok(());
        }
    };
    send_http(stream, status, "", body)
}

fn send_http(mut stream: TcpStream, status: u16, headers: &str, body: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} X\r\n{headers}content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}
