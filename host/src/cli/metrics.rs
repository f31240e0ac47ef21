//! `--metrics ADDR`: what the library counts, as Prometheus' text on loopback while the program runs.

use lockstep::metrics::enable;
use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit, set_global_recorder,
};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Upper ends of a histogram's buckets, in seconds: from a batch of a few to a pathological block.
const BUCKETS: [f64; 16] =
    [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// How long somebody may take to ask, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many may ask at once.
const MOST: usize = 32;

/// Bytes of a request's head at most.
const HEAD: usize = 1 << 14;

/// Where to serve: a port, or an address of loopback with one.
pub(super) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let address = match text.parse::<u16>() {
        Ok(port) => SocketAddr::from(([127, 0, 0, 1], port)),
        Err(_) => text.parse::<SocketAddr>().map_err(|_| "neither a port nor IP:PORT".to_owned())?,
    };
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!("{} is not an address of loopback", address.ip()))
    }
}

/// Counts from now on, and serves what was counted until the program ends.
pub(super) fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    let registry = Registry::default();
    set_global_recorder(registry.clone()).map_err(|error| io::Error::other(error.to_string()))?;
    enable();
    tracing::info!(address = %listener.local_addr()?, "metrics are served");
    thread::spawn(move || {
        let asking = Arc::new(());
        for stream in listener.incoming().flatten() {
            // Each on a thread of its own, so that nobody waits for somebody who is slow; beyond `MOST` the connection is closed.
            let one = Arc::clone(&asking);
            let registry = registry.clone();
            if Arc::strong_count(&one) <= MOST + 1 {
                // Somebody who asks and goes away, or asks badly, is no reason to stop; nor is a thread that cannot start.
                let _ = thread::Builder::new().spawn(move || {
                    let _ = answer(&stream, &registry);
                    drop(one);
                });
            }
        }
    });
    Ok(())
}

/// The first line of a request whose head is whole.
fn request(mut stream: &TcpStream) -> io::Result<String> {
    let end = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > HEAD {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => head.extend_from_slice(&part[..count]),
        }
    }
    Ok(String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned())
}

fn answer(mut stream: &TcpStream, registry: &Registry) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let asked = request(stream)?;
    let mut words = asked.split(' ');
    let method = words.next().unwrap_or_default();
    let path = words.next().unwrap_or_default().split('?').next().unwrap_or_default();
    let (status, body) = match (method, path) {
        ("GET" | "HEAD", "/" | "/metrics") => ("200 OK", registry.text()),
        ("GET" | "HEAD", _) => ("404 Not Found", "GET /metrics\n".into()),
        _ => ("405 Method Not Allowed\r\nallow: GET, HEAD", "GET /metrics\n".into()),
    };
    let head = "content-type: text/plain; version=0.0.4; charset=utf-8\r\nconnection: close";
    let sent = if method == "HEAD" { "" } else { &body };
    write!(stream, "HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {}\r\n\r\n{sent}", body.len())
}

/// Everything that was counted, by name and labels.
#[derive(Clone, Default)]
struct Registry(Arc<Mutex<Families>>);

#[derive(Default)]
struct Families {
    help: BTreeMap<String, String>,
    counters: BTreeMap<String, BTreeMap<String, Arc<AtomicU64>>>,
    histograms: BTreeMap<String, BTreeMap<String, Arc<Buckets>>>,
}

/// How many values were at most each bucket's end, how many in all, and their sum.
#[derive(Default)]
struct Buckets {
    counts: [AtomicU64; BUCKETS.len()],
    count: AtomicU64,
    /// In nanoseconds, of which 2⁶⁴ are 584 years.
    sum: AtomicU64,
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        for (end, count) in BUCKETS.iter().zip(&self.counts) {
            if value <= *end {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add((value * 1e9) as u64, Ordering::Relaxed);
    }
}

/// `a="b",c="d"`.
fn labels(key: &Key) -> String {
    key.labels().map(|label| format!("{}={:?}", label.key(), label.value())).collect::<Vec<_>>().join(",")
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Families> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, name: &KeyName, text: &SharedString) {
        self.lock().help.insert(name.as_str().to_owned(), text.to_string());
    }

    /// Prometheus' text format.
    fn text(&self) -> String {
        let families = self.lock();
        let mut out = String::new();
        let head = |out: &mut String, name: &str, kind: &str| {
            if let Some(help) = families.help.get(name) {
                _ = writeln!(out, "# HELP {name} {help}");
            }
            _ = writeln!(out, "# TYPE {name} {kind}");
        };
        let braces = |labels: &str| if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        for (name, series) in &families.counters {
            head(&mut out, name, "counter");
            for (labels, value) in series {
                _ = writeln!(out, "{name}{} {}", braces(labels), value.load(Ordering::Relaxed));
            }
        }
        for (name, series) in &families.histograms {
            head(&mut out, name, "histogram");
            for (labels, buckets) in series {
                let comma = if labels.is_empty() { "" } else { "," };
                for (end, count) in BUCKETS.iter().zip(&buckets.counts) {
                    _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{end}\"}} {}", count.load(Ordering::Relaxed));
                }
                let count = buckets.count.load(Ordering::Relaxed);
                _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}");
                let sum = buckets.sum.load(Ordering::Relaxed) as f64 / 1e9;
                _ = writeln!(out, "{name}_sum{} {sum}", braces(labels));
                _ = writeln!(out, "{name}_count{} {count}", braces(labels));
            }
        }
        out
    }
}

impl Recorder for Registry {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, text: SharedString) {
        self.describe(&name, &text);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, text: SharedString) {
        self.describe(&name, &text);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, text: SharedString) {
        self.describe(&name, &text);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut families = self.lock();
        let series = families.counters.entry(key.name().to_owned()).or_default();
        Counter::from_arc(Arc::clone(series.entry(labels(key)).or_default()))
    }

    /// There are none.
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let mut families = self.lock();
        let series = families.histograms.entry(key.name().to_owned()).or_default();
        Histogram::from_arc(Arc::clone(series.entry(labels(key)).or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback() {
        assert_eq!(parse_address("9100").unwrap().to_string(), "127.0.0.1:9100");
        assert_eq!(parse_address("[::1]:9100").unwrap().port(), 9100);
        for text in ["0.0.0.0:9100", "192.0.2.1:9100", "localhost", "", "127.0.0.1", "70000"] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_text_is_that_of_prometheus() {
        let registry = Registry::default();
        metrics::with_local_recorder(&registry, || {
            metrics::describe_counter!("things_total", "Things.");
            metrics::counter!("things_total", "kind" => "a \"b\"").increment(2);
            metrics::counter!("things_total", "kind" => "a \"b\"").increment(3);
            metrics::histogram!("wait_seconds").record(0.002);
        });
        let text = registry.text();
        for line in [
            "# HELP things_total Things.",
            "# TYPE things_total counter",
            "things_total{kind=\"a \\\"b\\\"\"} 5",
            "# TYPE wait_seconds histogram",
            "wait_seconds_bucket{le=\"0.001\"} 0",
            "wait_seconds_bucket{le=\"0.0025\"} 1",
            "wait_seconds_bucket{le=\"+Inf\"} 1",
            "wait_seconds_sum 0.002",
            "wait_seconds_count 1",
        ] {
            assert!(text.lines().any(|is| is == line), "no {line} in {text}");
        }
    }
}
