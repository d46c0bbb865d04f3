//! Regular expressions that are part of the program.

use regex::Regex;

/// Compiles a pattern of our own. For statics whose tests use each of them: a mistake is found there, and not by a user.
///
/// # Panics
///
/// If `pattern` is no regular expression.
pub(crate) fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a fixed pattern")
}
