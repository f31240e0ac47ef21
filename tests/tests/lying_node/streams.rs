//! `fetch` and `replay --rpc` as programs: what they say of proofs, what they leave on disk, where they write, and whom they ask.

use super::{
    chain::Chain,
    faults::erring,
    node, poor,
    server::{Node, Server},
    without,
};
use libtest_mimic::Failed;
use lockstep::block_file::BlockFile;
use lockstep_tests::{
    binary::{Folder, Outcome, Ran, command, ensure, equal, run, run_with},
    harness::Suite,
};
use serde_json::json;
use std::{fs, path::Path, process::Command, thread};

pub fn add(suite: &mut Suite) {
    suite.test("cli::proven_or_not_is_said", proven);
    suite.test("cli::a_good_file_is_not_replaced_by_a_wrong_one", not_replaced);
    suite.test("cli::a_nodes_words_do_not_steer_the_terminal", tame);
    suite.test("cli::proxies_of_the_environment_are_ignored", proxies);
    suite.test("cli::https_needs_its_feature", https);
    if cfg!(target_os = "linux") {
        suite.test("cli::out_is_stdout", to_stdout);
        suite.test("cli::out_is_a_pipe_or_a_device", to_pipe);
    }
}

/// Block 100 of this node, kept nowhere else.
fn fetch(node: Node, more: &[&str]) -> Result<Ran, Failed> {
    let server = Server::start(node)?;
    let url = server.url();
    let args = ["fetch", "--rpc", &url, "--block", "100", "--fork", "PRAGUE", "--no-cache", "--retries", "1"];
    Ok(run(&[&args, more].concat())?)
}

fn honest() -> Result<Node, Failed> {
    node(|_, _, _| {})
}

fn proven() -> Outcome {
    let folder = Folder::new("proven")?;
    let cache = folder.at("cache");
    let replay = |node: Node, more: &[&str]| -> Result<Ran, Failed> {
        let server = Server::start(node)?;
        let url = server.url();
        let args =
            ["replay", "--rpc", &url, "--blocks", "100", "--fork", "PRAGUE", "--backend", "cpu", "--cache", &cache];
        Ok(run(&[&args, more].concat())?.exits(0)?)
    };
    // Not proven, and so from the cache; then read again and proven, and so from the cache.
    for (proofs, proven) in [("never", false), ("auto", false), ("always", true), ("never", true)] {
        let more = ["--proofs", proofs, "--json"];
        let json = replay(honest()?, &more)?.json()?;
        equal(proofs, &json["blocks"][0]["proven"], &json!(proven))?;
        equal(proofs, &json["total"]["proven"], &json!(u8::from(proven)))?;
        let text = replay(honest()?, &more[..2])?.stdout;
        let (line, sum) =
            if proven { ("  proven  ok", "proven: 1 of 1") } else { ("  not proven  ok", "proven: 0 of 1") };
        ensure(text.contains(line) && text.contains(sum), || text.clone())?;
        let out = folder.at("out.json");
        let server = Server::start(honest()?)?;
        let url = server.url();
        let args = [
            "fetch", "--rpc", &url, "--block", "100", "--fork", "PRAGUE", "--cache", &cache, "--out", &out, "--proofs",
            proofs,
        ];
        let text = run(&args)?.exits(0)?.stdout;
        let said = if proven { "  proven, from the cache" } else { "  not proven, from the cache" };
        ensure(text.contains(said), || text.clone())?;
        let json = run(&[&args[..], &["--json"]].concat())?.exits(0)?.json()?;
        equal(
            "fetch",
            [&json["cached"], &json["proven"], &json["written"]],
            [&json!(true), &json!(proven), &json!(true)],
        )?;
    }
    // A file says nothing of it.
    let json = run(&["replay", &folder.at("out.json"), "--backend", "cpu", "--json"])?.exits(0)?.json()?;
    ensure(json["blocks"][0]["proven"].is_null() && json["total"]["proven"].is_null(), || json.to_string())
}

/// A node whose first sender has more than it says elsewhere: the block runs, and gives other gas.
fn other_slot() -> Result<Node, Failed> {
    node(|method, _, answer| {
        if method == "eth_getCode" && answer["result"] != "0x" {
            // PUSH0 PUSH0 RETURN
            answer["result"] = json!("0x5f5ff3");
        }
    })
}

fn not_replaced() -> Outcome {
    let folder = Folder::new("not-replaced")?;
    for name in ["out.json", "out.json.zst"] {
        let out = folder.at(name);
        fetch(honest()?, &["--out", &out])?.exits(0)?;
        let good = fs::read(&out)?;
        for (lie, code) in [(poor as fn() -> _, 2), (other_slot, 1)] {
            let ran = fetch(lie()?, &["--out", &out, "--proofs", "never"])?.exits(code)?;
            ensure(ran.errors()[0].contains("is left as it was") && ran.stdout.contains("not written"), || {
                format!("{ran:?}")
            })?;
            let json = fetch(lie()?, &["--out", &out, "--proofs", "never", "--json"])?.exits(code)?.json()?;
            equal("written", (&json["ok"], &json["written"]), (&json!(false), &json!(false)))?;
            ensure(fs::read(&out)? == good, || format!("{name} is another"))?;
        }
    }
    // Where nothing is, it is what the difference can be looked for in.
    let out = folder.at("wrong.json");
    let ran = fetch(other_slot()?, &["--out", &out, "--proofs", "never"])?.exits(1)?;
    ensure(ran.stdout.trim_end().ends_with("DIFFERS"), || format!("{ran:?}"))?;
    run(&["replay", &out, "--backend", "cpu"])?.exits(1)?;
    Ok(())
}

fn tame() -> Outcome {
    let folder = Folder::new("tame")?;
    let out = folder.at("out.json");
    let steers = |text: &str| text.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}'));
    for message in
        ["no \u{1b}]0;title\u{7}\u{1b}[2J\rerror: none", "no \u{9b}2J\u{202e}", "missing trie node \u{1b}[31m"]
    {
        let node = erring("eth_getProof", usize::MAX, -32602, message)?;
        let ran = fetch(node, &["--out", &out, "--proofs", "always", "--log", "trace"])?.exits(2)?;
        ensure(!steers(&ran.stderr) && ran.errors().len() == 1, || format!("{ran:?}"))?;
    }
    // A pipe is no terminal: a warning has no colours.
    let ran = fetch(without("eth_getProof")?, &["--out", &out])?.exits(0)?;
    ensure(ran.stderr.contains("WARN") && !steers(&ran.stderr), || format!("{ran:?}"))
}

fn proxies() -> Outcome {
    let server = Server::start(honest()?)?;
    let folder = Folder::new("proxies")?;
    let (url, out) = (server.url(), folder.at("out.json"));
    // Nobody is at port 1.
    let proxy = "http://127.0.0.1:1";
    let variables =
        ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"].map(|name| (name, proxy));
    let args =
        ["fetch", "--rpc", &url, "--block", "100", "--fork", "PRAGUE", "--no-cache", "--retries", "0", "--out", &out];
    run_with(&[&variables[..], &[("no_proxy", ""), ("NO_PROXY", "")]].concat(), &args)?.exits(0)?;
    Ok(())
}

fn https() -> Outcome {
    // The program that tests run is built without it.
    let ran = run(&["fetch", "--rpc", "https://127.0.0.1:1", "--block", "1", "--no-cache"])?.exits(2)?;
    ensure(ran.errors()[0].contains("needs a build with the feature rpc-tls"), || format!("{ran:?}"))
}

fn to_stdout() -> Outcome {
    let expected = Chain::new()?.file;
    let folder = Folder::new("stdout")?;
    let same = |bytes: &[u8]| -> Outcome { equal("block", &BlockFile::parse(bytes)?.block, &expected.block) };
    for name in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        for more in [&[][..], &["--json"]] {
            let ran = fetch(honest()?, &[&["--out", name], more].concat())?.exits(0)?;
            same(ran.stdout.as_bytes())?;
        }
        // The shell's `> FILE`, which has other contents and is longer.
        let path = folder.write("out", "x".repeat(1 << 20))?;
        let server = Server::start(honest()?)?;
        let url = server.url();
        let mut child =
            command(&["fetch", "--rpc", &url, "--block", "100", "--fork", "PRAGUE", "--no-cache", "--out", name])?;
        let status = child.stdout(fs::File::create(&path)?).spawn()?.wait()?;
        equal(name, status.code(), Some(0))?;
        same(&fs::read(&path)?)?;
    }
    ensure(Path::new("/dev/stdout").is_symlink(), || "/dev/stdout was replaced".into())
}

fn to_pipe() -> Outcome {
    use std::os::unix::fs::FileTypeExt;
    let folder = Folder::new("pipe")?;
    for name in ["fifo", "fifo.zst"] {
        let fifo = folder.at(name);
        ensure(Command::new("mkfifo").arg(&fifo).status()?.success(), || "mkfifo".into())?;
        let reader = thread::spawn({
            let fifo = fifo.clone();
            move || fs::read(fifo)
        });
        let ran = fetch(honest()?, &["--out", &fifo])?.exits(0)?;
        let bytes = reader.join().map_err(|_| "the reader died")??;
        equal("block", &BlockFile::parse(&bytes)?.block, &Chain::new()?.file.block)?;
        ensure(fs::symlink_metadata(&fifo)?.file_type().is_fifo() && ran.stdout.starts_with(&fifo), || {
            format!("{ran:?}")
        })?;
    }
    fetch(honest()?, &["--out", "/dev/null"])?.exits(0)?;
    ensure(fs::symlink_metadata("/dev/null")?.file_type().is_char_device(), || "/dev/null was replaced".into())?;
    let ran = fetch(honest()?, &["--out", "/dev/full"])?.exits(2)?;
    ensure(ran.errors()[0].contains("/dev/full") && ran.stdout.is_empty(), || format!("{ran:?}"))?;
    let ran = fetch(honest()?, &["--out", "/dev/no-such-device"])?.exits(2)?;
    ensure(!Path::new("/dev/no-such-device").exists() && ran.stdout.is_empty(), || format!("{ran:?}"))
}
