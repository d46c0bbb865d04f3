//! Why a text could not be read.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

#[cfg(any(not(feature = "html"), not(feature = "markdown"), not(feature = "email")))]
use super::Format;

/// Why a file or a byte string could not be read as text.
///
/// ```
/// use amends::{ReadErrorKind, ReadOptions, read_bytes};
///
/// let error = read_bytes(b"caf\xe9", &ReadOptions::default()).unwrap_err();
/// assert_eq!(error.kind(), ReadErrorKind::NotUtf8);
/// assert_eq!(error.offset(), Some(3));
/// assert_eq!(error.to_string(), "byte 3: not UTF-8");
/// ```
#[derive(Debug)]
pub struct ReadError(Box<Repr>);

#[derive(Debug)]
struct Repr {
    kind: ReadErrorKind,
    message: String,
    path: Option<PathBuf>,
    offset: Option<usize>,
    source: Option<io::Error>,
}

/// The kinds of [`ReadError`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// The file could not be read: it is missing, or may not be opened.
    Io,
    /// The path is that of a folder.
    Folder,
    /// More bytes than [`ReadOptions::max_bytes`](crate::ReadOptions::max_bytes).
    TooLarge,
    /// The bytes are not UTF-8, and nothing says what else they are.
    NotUtf8,
    /// The bytes are not in the encoding that they declare, by a mark or in the page's head.
    Malformed,
    /// A page whose markup no honest page has: tags nested too deeply, or a tag of too many attributes.
    Markup,
    /// This build has not the feature that reads the format; the message names it.
    Unsupported,
}

impl ReadErrorKind {
    /// The kind as records of failures print it, like `not_utf8`.
    pub fn as_str(self) -> &'static str {
        match self {
            ReadErrorKind::Io => "io",
            ReadErrorKind::Folder => "folder",
            ReadErrorKind::TooLarge => "too_large",
            ReadErrorKind::NotUtf8 => "not_utf8",
            ReadErrorKind::Malformed => "malformed",
            ReadErrorKind::Markup => "markup",
            ReadErrorKind::Unsupported => "unsupported",
        }
    }
}

impl ReadError {
    pub(super) fn new(kind: ReadErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        ReadError(Box::new(Repr { kind, message, path: None, offset: None, source: None }))
    }

    pub(super) fn io(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::IsADirectory => ReadErrorKind::Folder,
            _ => ReadErrorKind::Io,
        };
        let mut read = ReadError::new(kind, "cannot read");
        read.0.source = Some(error);
        read
    }

    pub(super) fn too_large(found: u64, limit: usize) -> Self {
        let message = format!("{found} bytes or more, the limit is {limit}");
        ReadError::new(ReadErrorKind::TooLarge, message)
    }

    #[cfg(any(not(feature = "html"), not(feature = "markdown"), not(feature = "email")))]
    pub(super) fn unsupported(format: Format) -> Self {
        let message = format!(
            "{} is read by the feature `{}`, which this build has not",
            format.noun(),
            format.feature()
        );
        ReadError::new(ReadErrorKind::Unsupported, message)
    }

    pub(super) fn at(mut self, offset: usize) -> Self {
        self.0.offset = Some(offset);
        self
    }

    pub(super) fn in_file(mut self, path: &Path) -> Self {
        self.0.path = Some(path.to_owned());
        self
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ReadErrorKind {
        self.0.kind
    }

    /// The file that could not be read, where one was named.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The byte of the input at which reading failed, where there is one.
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.0.path {
            write!(f, "{}: ", path.display())?;
        }
        if let Some(offset) = self.0.offset {
            write!(f, "byte {offset}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
