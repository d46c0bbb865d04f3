//! Standard output that is not there.

use anyhow::{Result, bail};

/// Fails if the process was started with standard output closed: every line would be lost without an error.
pub(crate) fn check_stdout(way_out: &str) -> Result<()> {
    if is_closed() {
        bail!(
            "standard output is closed, or null opened for reading and writing: the results would be lost; {way_out}"
        );
    }
    Ok(())
}

/// Rust opens null in place of a closed standard output, for reading and writing.
#[cfg(target_os = "linux")]
fn is_closed() -> bool {
    let target = std::fs::read_link("/proc/self/fd/1");
    let info = std::fs::read_to_string("/proc/self/fdinfo/1").unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let read_and_write = flags.is_some_and(|flags| flags.trim().ends_with('2'));
    target.is_ok_and(|path| path == std::path::Path::new("/dev/null")) && read_and_write
}

#[cfg(not(target_os = "linux"))]
fn is_closed() -> bool {
    false
}
