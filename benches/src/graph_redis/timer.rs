//! How fast something goes, and what it costs the server.

use std::time::Instant;

use isr_testkit::RedisServer;

use super::peers::info;

/// How fast something went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// How many a second.
    pub(crate) per_second: f64,
    /// The server's processor time for each, in microseconds. It depends less than the rate on what
    /// else the machine does.
    pub(crate) server_microseconds: f64,
}

/// Measures from its start on.
#[derive(Debug)]
pub(crate) struct Timer<'a> {
    server: &'a RedisServer,
    began: Instant,
    processor: f64,
}

impl<'a> Timer<'a> {
    pub(crate) fn start(server: &'a RedisServer) -> anyhow::Result<Self> {
        let processor = processor_seconds(server)?;
        Ok(Self {
            server,
            began: Instant::now(),
            processor,
        })
    }

    pub(crate) fn rate_of(self, count: u64) -> anyhow::Result<Rate> {
        let seconds = self.began.elapsed().as_secs_f64();
        let processor = processor_seconds(self.server)? - self.processor;
        let count = count as f64;
        Ok(Rate {
            per_second: count / seconds,
            server_microseconds: processor * 1e6 / count,
        })
    }
}

fn processor_seconds(server: &RedisServer) -> anyhow::Result<f64> {
    Ok(info(server, "cpu", "used_cpu_user")? + info(server, "cpu", "used_cpu_sys")?)
}
