//! How much memory this process takes. Read from `/proc`, which only Linux has.

pub(crate) const MEBIBYTE: usize = 1 << 20;

/// The most that this process has held so far, in bytes (proc(5), `VmHWM`).
pub(crate) fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kibibytes.parse::<usize>().unwrap() * 1024
}
