//! What others do on the same server.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use isr_testkit::RedisServer;
use serde::Deserialize;

use super::Options;
use super::timer::{Rate, Timer};

/// Four additions to sets, and nothing else: about the least that binding a page of three tags takes.
const BARE_SCRIPT: &str = "redis.call('SADD', KEYS[1], ARGV[1]) redis.call('SADD', KEYS[2], ARGV[1]) \
                           redis.call('SADD', KEYS[3], ARGV[1]) redis.call('SADD', KEYS[4], ARGV[1]) return 1";
const CALLS: u64 = 200_000;

/// What django-edge-isr reaches; see `peers/django_edge_isr.py`.
#[derive(Debug, Deserialize)]
pub(super) struct Peer {
    pub(super) bind_as_shipped: f64,
    pub(super) bind_with_one_client: f64,
    pub(super) bytes_a_page: f64,
    pub(super) urls_for_ms: f64,
}

/// The sets of a page with three tags: its tags, the pages of a tag of its own, and those of two tags
/// that it shares.
pub(super) const SETS_OF_A_PAGE: [&str; 4] =
    ["page:__rand_int__", "post:__rand_int__", "author", "list"];
/// Four sets for all pages, which spares Redis to make any.
pub(super) const FOUR_SETS: [&str; 4] = ["bare:1", "bare:2", "bare:3", "bare:4"];

/// Calls of the bare script, from `redis-benchmark -P 16`.
pub(super) fn bare_script(server: &RedisServer, sets: [&str; 4]) -> anyhow::Result<Rate> {
    cli(server, &["FLUSHALL"])?;
    let sha = cli(server, &["SCRIPT", "LOAD", BARE_SCRIPT])?;
    let port = server.port().to_string();
    let calls = CALLS.to_string();
    let mut command = Command::new("redis-benchmark");
    command.args(["-p", &port, "-P", "16", "-n", &calls, "-r", &calls, "--csv"]);
    command
        .args(["EVALSHA", sha.trim(), "4"])
        .args(sets)
        .arg("__rand_int__");
    let timer = Timer::start(server)?;
    let output = run_to_end(&mut command)?;
    let rate = timer.rate_of(CALLS)?;
    let last = output
        .lines()
        .rfind(|line| line.contains("EVALSHA"))
        .context("redis-benchmark tells its figure")?;
    let figure = last
        .split("\",\"")
        .nth(1)
        .context("the figure is the second column")?;
    Ok(Rate {
        per_second: figure.parse()?,
        ..rate
    })
}

/// Runs django-edge-isr.
pub(super) fn run(server: &RedisServer, options: &Options) -> anyhow::Result<Peer> {
    let directory = tempfile::tempdir()?;
    let python = match &options.python {
        Some(python) => python.clone(),
        None => install(directory.path())?,
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/django_edge_isr.py");
    let mut command = Command::new(python);
    command
        .arg(script)
        .arg(server.url())
        .arg(options.pages.to_string())
        .arg(options.large.to_string());
    Ok(serde_json::from_str(&run_to_end(&mut command)?)?)
}

/// A command on the server, and its answer as text.
pub(super) fn cli(server: &RedisServer, command: &[&str]) -> anyhow::Result<String> {
    run_to_end(
        Command::new("redis-cli")
            .args(["-p", &server.port().to_string()])
            .args(command),
    )
}

/// A figure that the server tells of itself.
pub(super) fn info(server: &RedisServer, section: &str, name: &str) -> anyhow::Result<f64> {
    let info = cli(server, &["INFO", section])?;
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    let (_, figure) = lines
        .find(|(key, _)| *key == name)
        .with_context(|| format!("the server tells {name}"))?;
    Ok(figure.trim().parse()?)
}

fn install(directory: &Path) -> anyhow::Result<PathBuf> {
    run_to_end(Command::new("python3").args(["-m", "venv"]).arg(directory))?;
    let python = directory.join("bin/python");
    run_to_end(Command::new(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "django-edge-isr==0.0.8",
        "redis",
    ]))?;
    Ok(python)
}

fn run_to_end(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_owned();
    let output = command
        .output()
        .with_context(|| format!("{} cannot be started", name.display()))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} failed: {error}",
        name.display()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
