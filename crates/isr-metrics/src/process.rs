//! What the operating system says of this process.

use std::fs;
use std::sync::{Mutex, PoisonError};

use prometheus::{Counter, Gauge, IntGauge};
use rustix::process::{Resource, getrlimit};

use crate::declarations as declared;
use crate::series::Declared;

/// The process's metrics, which are looked at when they are asked for. Linux tells them in `/proc`.
#[derive(Debug)]
pub(crate) struct Process {
    /// Only one scrape at a time adds what the processor has done since the last one.
    cpu: Mutex<Counter>,
    resident: IntGauge,
    virtual_memory: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    start: Gauge,
}

impl Process {
    /// Registers them, where there is a `/proc` to look at.
    pub(crate) fn register(table: &Declared) -> Option<Self> {
        Stat::read()?;
        let process = Self {
            cpu: Mutex::new(table.float_counter(&declared::PROCESS_CPU)),
            resident: table.int_gauge(&declared::PROCESS_RESIDENT),
            virtual_memory: table.int_gauge(&declared::PROCESS_VIRTUAL),
            open_fds: table.int_gauge(&declared::PROCESS_OPEN_FDS),
            max_fds: table.int_gauge(&declared::PROCESS_MAX_FDS),
            start: table.gauge(&declared::PROCESS_START),
        };
        process.look();
        Some(process)
    }

    /// Brings them up to date. What cannot be read now stays as it was.
    pub(crate) fn look(&self) {
        if let Some(stat) = Stat::read() {
            {
                let cpu = self.cpu.lock().unwrap_or_else(PoisonError::into_inner);
                let since = seconds(stat.cpu_ticks) - cpu.get();
                cpu.inc_by(since.max(0.0));
            }
            let page = i64::try_from(rustix::param::page_size()).unwrap_or(0);
            self.resident.set(stat.resident_pages.saturating_mul(page));
            self.virtual_memory.set(stat.virtual_bytes);
            if let Some(boot) = boot_time() {
                self.start.set(boot + seconds(stat.start_ticks));
            }
        }
        if let Ok(folder) = fs::read_dir("/proc/self/fd") {
            // One of them is what reads the folder.
            let open = i64::try_from(folder.count()).unwrap_or(i64::MAX);
            self.open_fds.set((open - 1).max(0));
        }
        let most = getrlimit(Resource::Nofile).current;
        let most = most.and_then(|most| i64::try_from(most).ok());
        self.max_fds.set(most.unwrap_or(i64::MAX));
    }
}

/// What is wanted of `/proc/self/stat` (proc(5)).
#[derive(Debug)]
struct Stat {
    cpu_ticks: f64,
    start_ticks: f64,
    virtual_bytes: i64,
    resident_pages: i64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The program's name stands in parentheses and may hold anything, parentheses too.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The first of them is the third of the line.
        let field = |number: usize| fields.get(number - 3).copied();
        let ticks = |number: usize| field(number)?.parse::<f64>().ok();
        Some(Self {
            cpu_ticks: ticks(14)? + ticks(15)?,
            start_ticks: ticks(22)?,
            virtual_bytes: field(23)?.parse().ok()?,
            resident_pages: field(24)?.parse().ok()?,
        })
    }
}

/// When the machine was started, in seconds since 1970 began.
fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

/// The kernel counts time in ticks, a hundredth of a second nearly everywhere.
fn seconds(ticks: f64) -> f64 {
    let per_second = u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100);
    ticks / f64::from(per_second.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_shifts_no_field() {
        let line = "42 (a ) b (c)) S 1 42 42 0 -1 4194304 100 0 0 0 700 300 0 0 20 0 8 0 5000 \
                    123456789 321 18446744073709551615 1 1 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(
            (stat.virtual_bytes, stat.resident_pages),
            (123_456_789, 321)
        );
        assert!((stat.cpu_ticks - 1_000.0).abs() < 1e-9);
        assert!((stat.start_ticks - 5_000.0).abs() < 1e-9);
        assert!(Stat::parse("42 (cut off) S 1").is_none());
        assert!(Stat::parse("").is_none());
    }

    #[test]
    fn this_process_is_as_it_is() {
        let process = Process::register(&Declared::default()).unwrap();
        let open = || fs::File::open("/proc/self/stat").unwrap();
        let files: Vec<fs::File> = (0..50).map(|_| open()).collect();
        while process.cpu.lock().unwrap().get() <= 0.0 {
            process.look();
        }
        assert!(process.open_fds.get() > 50);
        drop(files);
        assert!(process.max_fds.get() >= process.open_fds.get());
        let (resident, reserved) = (process.resident.get(), process.virtual_memory.get());
        assert!(
            (100_000..=reserved).contains(&resident),
            "{resident} of {reserved}"
        );
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        let age = now - process.start.get();
        assert!((-5.0..86_400.0).contains(&age), "started {age} seconds ago");
    }
}
