//! What the kernel knows of a process: its processor time, its private memory, the cores it may run on.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// User and system time of a process so far, in nanoseconds where its threads live on.
///
/// The scheduler's own count is exact but ends with each thread; `stat` keeps the time of ended threads but counts in
/// ticks of 10 ms. Both are lower bounds, so the larger one is the better.
pub(crate) fn cpu_time(pid: Pid) -> Result<Duration> {
    let pid = pid.as_raw_nonzero();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} is gone"))?;
    let mut by_threads = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the listing and the reading.
        if let Ok(schedstat) = fs::read_to_string(task?.path().join("schedstat")) {
            by_threads += scheduled(&schedstat)
                .with_context(|| format!("schedstat of {pid}: {schedstat}"))?;
        }
    }
    let by_ticks = ticks(&stat).with_context(|| format!("stat of {pid}: {stat}"))?;
    Ok(by_threads.max(by_ticks))
}

/// Memory that is the process's alone, in bytes: `Private_*` of `smaps_rollup`, which counts in KiB.
pub(crate) fn private_bytes(pid: Pid) -> Result<u64> {
    let pid = pid.as_raw_nonzero();
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .with_context(|| format!("process {pid} is gone"))?;
    private(&rollup).with_context(|| format!("smaps_rollup of {pid}: {rollup}"))
}

/// Runs `begin` on `core`, so that whatever process it starts, and every thread of that process, stays there; then
/// leaves this thread on its former cores.
pub(crate) fn on_core<T>(core: Option<usize>, begin: impl FnOnce() -> T) -> Result<T> {
    let Some(core) = core else { return Ok(begin()) };
    let former = sched_getaffinity(None)?;
    pin(core)?;
    let begun = begin();
    sched_setaffinity(None, &former)?;
    Ok(begun)
}

/// Keeps this thread on `core`.
pub(crate) fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("core {core} is not to be had"))
}

/// How many cores this process may use.
pub(crate) fn cores() -> Result<u32> {
    Ok(sched_getaffinity(None)?.count())
}

/// Lets this process, and those it starts, open as many files as the system allows; fails where `needed` are too many.
pub(crate) fn raise_open_files(needed: usize) -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )?;
    let allowed = maximum.unwrap_or(u64::MAX);
    ensure!(
        needed as u64 + OPEN_FILES_SPARE <= allowed,
        "{needed} connections, but a process may open {allowed} files here"
    );
    Ok(())
}

fn scheduled(schedstat: &str) -> Option<Duration> {
    schedstat
        .split_whitespace()
        .next()?
        .parse()
        .ok()
        .map(Duration::from_nanos)
}

fn ticks(stat: &str) -> Option<Duration> {
    // The name, the second field, may hold spaces; it ends with the last bracket. utime and stime are fields 14 and 15.
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(
        Duration::from_secs(user + system)
            / rustix::param::clock_ticks_per_second().try_into().ok()?,
    )
}

fn private(rollup: &str) -> Option<u64> {
    let mut lines = rollup
        .lines()
        .filter(|line| line.starts_with("Private_"))
        .peekable();
    lines.peek()?;
    let kib: Option<u64> = lines
        .map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum();
    kib.map(|kib| kib * 1024)
}

/// Standard streams, epoll, the log, /proc.
const OPEN_FILES_SPARE: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_memory_is_the_sum_of_the_private_lines() {
        let rollup = "Rss: 9000 kB\nShared_Clean: 10 kB\nPrivate_Clean: 16 kB\nPrivate_Dirty: 100 kB\nPrivate_Hugetlb: 0 kB\n";

        assert_eq!(private(rollup), Some(116 * 1024));
        assert_eq!(private("Rss: 9000 kB\n"), None);
    }

    #[test]
    fn a_process_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        let per_second = u32::try_from(rustix::param::clock_ticks_per_second()).unwrap();

        assert_eq!(ticks(stat), Some(Duration::from_secs(200) / per_second));
    }

    #[test]
    fn time_spent_by_this_process_shows() {
        let pid = rustix::process::getpid();
        let before = cpu_time(pid).unwrap();

        let mut spins = 0u64;
        while cpu_time(pid).unwrap() < before + Duration::from_millis(20) {
            spins += 1;
        }

        assert!(spins > 0);
    }
}
