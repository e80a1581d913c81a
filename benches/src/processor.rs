//! What this process has cost: time of the processor, and memory.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// User and system time, as Linux counts it in hundredths of a second (proc(5), `/proc/pid/stat`).
pub(crate) fn processor_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (ticks()? + ticks()?)))
}

/// The most memory that the process has had since it began, or since that was forgotten, in KiB (proc(5),
/// `/proc/pid/status`).
pub(crate) fn peak_kib() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib
        .context("Linux tells no peak of memory")?
        .trim()
        .parse()?)
}

/// Lets the peak begin anew, at what the process has now (proc(5), `/proc/pid/clear_refs`).
pub(crate) fn forget_peak() -> anyhow::Result<()> {
    Ok(fs::write("/proc/self/clear_refs", "5")?)
}
