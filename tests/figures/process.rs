//! What a process of this machine uses, as proc(5) tells it.

use std::fs::read_to_string;

/// Mebibytes of a field of its status, such as `VmRSS` or `VmHWM`; `None` when it has ended.
pub fn mib(id: u32, field: &str) -> Option<f64> {
    let status = read_to_string(format!("/proc/{id}/status")).ok()?;
    let mut lines = status.lines();
    let value = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    let kib: f64 = value.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Seconds that it has computed, in user and kernel mode; `None` when it has ended.
pub fn cpu_seconds(id: u32) -> Option<f64> {
    let stat = read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<f64>().ok();
    // The 14th and the 15th field, which counts the two before the parenthesis; a tick is a hundredth on Linux.
    Some((ticks(11)? + ticks(12)?) / 100.0)
}
