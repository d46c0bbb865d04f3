//! Lines of bounded length.

use std::io::{self, BufRead};

/// What was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Line {
    /// A line, or the rest of the input, with its line end if it has one.
    Whole,
    /// A line of this many bytes, of which only the first `limit` were kept.
    TooLong(u64),
    /// Nothing: the input has ended.
    End,
}

/// Reads one line into `line`, which is emptied first, and never keeps more than `limit` bytes of it.
pub(crate) fn read(reader: &mut dyn BufRead, line: &mut Vec<u8>, limit: usize) -> io::Result<Line> {
    line.clear();
    let mut length = 0u64;
    loop {
        let ready = match reader.fill_buf() {
            Ok(ready) => ready,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = ready.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
        let used = end.unwrap_or(ready.len());
        line.extend_from_slice(&ready[..used.min(limit.saturating_sub(line.len()))]);
        length += used as u64;
        reader.consume(used);
        if end.is_some() || used == 0 {
            return Ok(match length {
                0 => Line::End,
                _ if length > limit as u64 => Line::TooLong(length),
                _ => Line::Whole,
            });
        }
    }
}
