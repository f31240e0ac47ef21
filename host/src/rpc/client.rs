//! JSON-RPC over HTTP: batches on a few connections at once, asked again with growing pauses while the fault may pass.

use super::{
    answer::{Fault, Remedy, is_json_rpc, results},
    error::{Cause, RpcError, shown},
};
use crate::metrics;
use serde_json::{Value, json};
use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

/// Largest body taken with an HTTP status that tells of an error.
const MAX_REFUSAL: u64 = 1 << 20;

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Longest pause if the node asks for one.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Requests on the way at once.
const CONNECTIONS: usize = 4;

/// How patient a client is, and how much it asks for at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// For one HTTP exchange.
    pub timeout: Duration,
    /// Attempts after the first, where the fault may pass: no connection, a time-out, a cut answer, HTTP 429 or 5xx, an error of the node's
    /// own that is not about the request.
    pub retries: u32,
    /// Before the second attempt; doubled before each further one, up to ten seconds. What the node asks for by `Retry-After` is
    /// waited for, up to a minute.
    pub pause: Duration,
    /// Calls in one HTTP request.
    pub batch: usize,
    /// Largest answer taken, in bytes.
    pub max_answer: u64,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            retries: 5,
            pause: Duration::from_millis(200),
            batch: 100,
            // A trace of the largest mainnet block takes a quarter of it.
            max_answer: 256 << 20,
        }
    }
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) params: Value,
    /// What it asks for, in the words of errors.
    pub(crate) key: String,
    pub(crate) patience: Patience,
}

/// How often to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Again after whatever may pass.
    Full,
    /// There is another way: not again after an error of the node's that does not say that it passes.
    OtherWay,
    /// It can be done without.
    Once,
}

impl Request {
    pub(crate) fn new(method: &'static str, params: Value, key: impl Into<String>) -> Self {
        Self { method, params, key: key.into(), patience: Patience::Full }
    }

    /// There is another way, should the node not answer this.
    pub(crate) fn or_otherwise(self) -> Self {
        Self { patience: Patience::OtherWay, ..self }
    }

    /// It helps, and can be done without.
    pub(crate) fn or_not(self) -> Self {
        Self { patience: Patience::Once, ..self }
    }
}

/// What is done with the results of each HTTP request as they come.
pub(crate) type Note<'a> = &'a (dyn Fn(&[Request], &[Value]) + Sync);

/// A node's JSON-RPC endpoint.
#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    options: ClientOptions,
    /// The node takes no batches.
    one_by_one: AtomicBool,
    next_id: AtomicU64,
    calls: AtomicU64,
}

impl Client {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// The URL is none of `http://`, or of `https://` where that is part of the build.
    pub(crate) fn new(url: &str, options: ClientOptions) -> Result<Self, String> {
        let secure = url.starts_with("https://");
        if !secure && !url.starts_with("http://") {
            return Err("the node's URL must start with http:// or https://".into());
        }
        if secure && !cfg!(feature = "rpc-tls") {
            return Err("https:// needs a build with the feature rpc-tls".into());
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(options.timeout))
            .http_status_as_error(false)
            // A library does not ask the environment, and a node is near.
            .proxy(None)
            // Who answers is who was named.
            .max_redirects(0)
            .max_idle_connections_per_host(CONNECTIONS)
            .build();
        Ok(Self {
            agent: config.into(),
            url: url.into(),
            options,
            one_by_one: AtomicBool::new(false),
            next_id: AtomicU64::new(1),
            calls: AtomicU64::new(0),
        })
    }

    /// Calls answered so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The result of one call.
    pub(crate) fn call(&self, block: Option<u64>, request: Request) -> Result<Value, RpcError> {
        let mut results = self.exchange(block, &[request], &|_, _| {})?;
        Ok(results.pop().unwrap_or_default())
    }

    /// The result of each, in order, or the first error in that order. `note` also hears of those that came where others did not.
    pub(crate) fn batch(&self, block: u64, requests: &[Request], note: Note<'_>) -> Result<Vec<Value>, RpcError> {
        let chunks: Vec<_> = requests.chunks(self.options.batch.max(1)).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while let Some((at, chunk)) = next_of(&chunks, &next) {
                let answer = self.exchange(Some(block), chunk, note);
                let failed = answer.is_err();
                done.push((at, answer));
                if failed {
                    // Nobody starts what will be thrown away.
                    next.store(chunks.len(), Ordering::Relaxed);
                }
            }
            done
        };
        let mut done = thread::scope(|scope| {
            let others: Vec<_> = (1..CONNECTIONS.min(chunks.len())).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            done.extend(others.into_iter().filter_map(|thread| thread.join().ok()).flatten());
            done
        });
        done.sort_unstable_by_key(|(at, _)| *at);
        let mut results = Vec::with_capacity(requests.len());
        for (_, answer) in done {
            results.append(&mut answer?);
        }
        Ok(results)
    }

    /// One HTTP request, again and again while that may help, or in parts.
    fn exchange(&self, block: Option<u64>, requests: &[Request], note: Note<'_>) -> Result<Vec<Value>, RpcError> {
        if requests.len() > 1 && self.one_by_one.load(Ordering::Relaxed) {
            return self.parts(block, requests, 1, note);
        }
        let mut pause = self.options.pause;
        let mut attempt = 0;
        loop {
            let (at, fault) = match self.attempt(requests) {
                Ok(results) => {
                    self.calls.fetch_add(requests.len() as u64, Ordering::Relaxed);
                    metrics::answered(requests.len());
                    note(requests, &results);
                    return Ok(results);
                }
                Err(failed) => failed,
            };
            let request = &requests[at];
            let wait = fault.wait.unwrap_or_default();
            let error = |cause| RpcError { block, key: request.key.clone(), method: request.method, cause };
            // What the node refuses for good it does not give later either.
            if wait > LONGEST_WAIT && (fault.remedy != Remedy::None || !fault.cause.is_refusal()) {
                tracing::info!(cause = %fault.cause, ?wait, "left alone");
                return Err(error(Cause::Later { status: fault.status, seconds: wait.as_secs() }));
            }
            match fault.remedy {
                Remedy::Fewer if requests.len() > 1 => {
                    return self.parts(block, requests, requests.len().div_ceil(2), note);
                }
                Remedy::Single { always } => {
                    tracing::info!(cause = %fault.cause, always, "no batch: one call at a time");
                    self.one_by_one.fetch_or(always, Ordering::Relaxed);
                    return self.parts(block, requests, 1, note);
                }
                _ => {}
            }
            if !may_help(&fault, request.patience) || attempt == self.options.retries {
                return Err(error(ended(fault.cause, attempt + 1)));
            }
            let now = pause.max(wait);
            tracing::debug!(method = request.method, key = request.key, cause = %fault.cause, pause = ?now, "asking again");
            metrics::asked_again();
            thread::sleep(now);
            pause = (pause * 2).min(LONGEST_PAUSE);
            attempt += 1;
        }
    }

    /// The same in HTTP requests of at most `size` calls, one after the other.
    fn parts(
        &self,
        block: Option<u64>,
        requests: &[Request],
        size: usize,
        note: Note<'_>,
    ) -> Result<Vec<Value>, RpcError> {
        let mut results = Vec::with_capacity(requests.len());
        for part in requests.chunks(size) {
            results.append(&mut self.exchange(block, part, note)?);
        }
        Ok(results)
    }

    /// The results, or the index of the request at fault (0 where it is all of them).
    fn attempt(&self, requests: &[Request]) -> Result<Vec<Value>, (usize, Fault)> {
        let first = self.next_id.fetch_add(requests.len() as u64, Ordering::Relaxed);
        let body = |(id, request): (u64, &Request)| json!({"jsonrpc": "2.0", "id": id, "method": request.method, "params": request.params});
        let mut calls: Vec<_> = (first..).zip(requests).map(body).collect();
        let body = if requests.len() == 1 { calls.pop().unwrap_or_default() } else { Value::Array(calls) };
        let Answered { status, wait, answer } = self.post(&body.to_string()).map_err(|fault| (0, fault))?;
        results(answer, first, requests.len()).map_err(|(at, fault)| {
            let fault = Fault { status, wait, ..fault };
            // The status says that it passes, if the words do not say what would help.
            let passes =
                status == 429 && matches!(fault.remedy, Remedy::Perhaps | Remedy::None | Remedy::Single { .. });
            (at, if passes { fault.passing() } else { fault })
        })
    }

    fn post(&self, body: &str) -> Result<Answered, Fault> {
        let request = self.agent.post(&self.url).header("content-type", "application/json");
        let mut response = request.send(body).map_err(broken)?;
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let wait = header("retry-after").and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        match status {
            200..300 => {}
            300..400 => {
                let location = shown(header("location").unwrap_or("another place"));
                return Err(Fault::new(Cause::Redirect { status, location }, Remedy::None));
            }
            _ => {
                // Many nodes send their JSON-RPC errors so, and what they say is more than the status does.
                let bytes = response.body_mut().with_config().limit(MAX_REFUSAL).read_to_vec().unwrap_or_default();
                let answer = serde_json::from_slice(&bytes).ok().filter(is_json_rpc);
                let remedy = match status {
                    413 => Remedy::Fewer,
                    429 | 500..600 => Remedy::Again,
                    _ => Remedy::None,
                };
                let refused = Fault { cause: Cause::Http(status), remedy, status, wait };
                return answer.map(|answer| Answered { status, wait, answer }).ok_or(refused);
            }
        }
        let bytes = response.body_mut().with_config().limit(self.options.max_answer).read_to_vec().map_err(broken)?;
        let not_json = |cause| Fault::new(Cause::Malformed(format!("not JSON: {cause}")), Remedy::Again);
        Ok(Answered { status, wait, answer: serde_json::from_slice(&bytes).map_err(not_json)? })
    }
}

/// JSON-RPC, and the HTTP that it came with.
struct Answered {
    status: u16,
    /// `Retry-After` in seconds; as a date it is not read.
    wait: Option<Duration>,
    answer: Value,
}

/// What an HTTP exchange that broke off was about.
fn broken(error: ureq::Error) -> Fault {
    let text = shown(&error.to_string());
    match error {
        ureq::Error::BodyExceedsLimit(limit) => Fault::new(Cause::Oversize(limit), Remedy::Fewer),
        ureq::Error::Timeout(_) => Fault::new(Cause::Timeout(text), Remedy::Again),
        ureq::Error::Io(cause) if cause.kind() == io::ErrorKind::TimedOut => {
            Fault::new(Cause::Timeout(text), Remedy::Again)
        }
        ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::Tls(_) => {
            Fault::new(Cause::Connection(text), Remedy::None)
        }
        // What rustls says of certificates and of servers without TLS, which does not get better.
        ureq::Error::Io(cause) if cause.kind() == io::ErrorKind::InvalidData => {
            Fault::new(Cause::Connection(text), Remedy::None)
        }
        _ => Fault::new(Cause::Connection(text), Remedy::Again),
    }
}

fn may_help(fault: &Fault, patience: Patience) -> bool {
    match fault.remedy {
        Remedy::Again => patience != Patience::Once,
        Remedy::Perhaps => patience == Patience::Full,
        _ => false,
    }
}

/// The cause after the last attempt.
fn ended(cause: Cause, attempts: u32) -> Cause {
    let counted = |reason| if attempts > 1 { format!("{reason} ({attempts} attempts)") } else { reason };
    match cause {
        Cause::Connection(reason) => Cause::Connection(counted(reason)),
        Cause::Timeout(reason) => Cause::Timeout(counted(reason)),
        cause => cause,
    }
}

fn next_of<'a, T>(items: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    items.get(at).map(|item| (at, item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let client = |url: &str| Client::new(url, ClientOptions::default()).map(drop);
        assert_eq!(client("http://127.0.0.1:1"), Ok(()));
        for url in ["ftp://x", "127.0.0.1:8545", "HTTP//x", ""] {
            assert!(client(url).unwrap_err().contains("http://"), "{url}");
        }
        let secure = client("https://127.0.0.1:1");
        if cfg!(feature = "rpc-tls") {
            assert_eq!(secure, Ok(()));
        } else {
            assert_eq!(secure, Err("https:// needs a build with the feature rpc-tls".into()));
        }
    }

    #[cfg(feature = "rpc-tls")]
    mod tls {
        use super::*;
        use std::{
            io::Write,
            net::TcpListener,
            process::{Child, Command, Stdio},
            time::Instant,
        };

        /// Ends with the test, however that ends.
        struct Server(Child);

        impl Drop for Server {
            fn drop(&mut self) {
                let _ = self.0.kill();
                let _ = self.0.wait();
            }
        }

        /// Why a node at this port was not believed.
        fn refused(port: u16, retries: u32) -> String {
            let options = ClientOptions { retries, pause: Duration::from_millis(10), ..ClientOptions::default() };
            let client = Client::new(&format!("https://localhost:{port}"), options).unwrap();
            let error = client.call(None, Request::new("eth_chainId", json!([]), "chain id")).unwrap_err();
            assert!(matches!(error.cause, Cause::Connection(_)) && error.is_lasting(), "{error}");
            error.to_string()
        }

        #[test]
        fn a_server_without_tls() {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let _ =
                        stream.and_then(|mut stream| stream.write_all(b"HTTP/1.1 400 X\r\ncontent-length: 0\r\n\r\n"));
                }
            });
            assert!(!refused(port, 3).contains("attempts"));
        }

        /// Needs OpenSSL's program. Without it nothing is tested: that is said, and fails where `LOCKSTEP_REQUIRE` has `openssl`.
        #[test]
        fn a_certificate_that_nobody_signed() {
            let folder = std::env::temp_dir().join(format!("lockstep-tls-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            let [key, certificate] = ["key.pem", "certificate.pem"].map(|name| folder.join(name));
            let mut make = Command::new("openssl");
            make.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
            make.args(["-addext", "subjectAltName=DNS:localhost", "-keyout"]).arg(&key).arg("-out").arg(&certificate);
            if !make.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
                std::fs::remove_dir_all(folder).unwrap();
                let required = std::env::var("LOCKSTEP_REQUIRE")
                    .is_ok_and(|list| list.split(',').any(|name| name.trim() == "openssl"));
                assert!(!required, "no program `openssl` that makes a certificate");
                // Not by a macro, whose text is shown for failures only.
                let said =
                    b"skipped: a_certificate_that_nobody_signed: no program `openssl` that makes a certificate\n";
                let _ = io::stderr().write_all(said);
                return;
            }
            let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            let mut serve = Command::new("openssl");
            serve.args(["s_server", "-quiet", "-www", "-accept", &port.to_string(), "-key"]).arg(&key);
            serve.arg("-cert").arg(&certificate).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let server = Server(serve.spawn().unwrap());
            let start = Instant::now();
            while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() && start.elapsed().as_secs() < 10 {
                thread::sleep(Duration::from_millis(20));
            }
            let error = refused(port, 3);
            drop(server);
            std::fs::remove_dir_all(folder).unwrap();
            assert!(error.contains("certificate") && !error.contains("attempts"), "{error}");
        }
    }
}
