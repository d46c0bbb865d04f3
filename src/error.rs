//! What can go wrong: while an analyzer is built ([`LoadError`]) and while it runs ([`AnalyzeError`]).

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A cause from another library, kept as it came.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Why an analyzer, a model or a set of rules could not be loaded.
#[derive(Debug)]
pub struct LoadError(Box<LoadRepr>);

#[derive(Debug)]
struct LoadRepr {
    kind: LoadErrorKind,
    message: String,
    path: Option<PathBuf>,
    line: Option<usize>,
    rule: Option<String>,
    source: Option<Source>,
}

/// The kinds of [`LoadError`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LoadErrorKind {
    /// A file could not be read or written.
    Io,
    /// A file is there but is not in the format that its name promises.
    Format,
    /// The bytes of a file are not those that its checksum names.
    Checksum,
    /// A tensor is missing or has the wrong shape, type or values.
    Tensor,
    /// Vocabulary and model disagree, or the tokenizer cannot be used.
    Tokenizer,
    /// The model's labels are none that amends knows what to do with.
    Labels,
    /// A rule is wrong, or its own test lines contradict it.
    Rule,
    /// A number of the score is missing, out of range, or has the wrong sign.
    Weights,
    /// The feature or device that was asked for is not part of this build or machine.
    Unsupported,
}

impl LoadError {
    pub(crate) fn new(kind: LoadErrorKind, message: impl Into<String>) -> Self {
        LoadError(Box::new(LoadRepr {
            kind,
            message: message.into(),
            path: None,
            line: None,
            rule: None,
            source: None,
        }))
    }

    pub(crate) fn with_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.0.path = Some(path.into());
        self
    }

    pub(crate) fn with_line(mut self, line: usize) -> Self {
        self.0.line = Some(line);
        self
    }

    pub(crate) fn with_rule(mut self, code: impl Into<String>) -> Self {
        self.0.rule = Some(code.into());
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        LoadError::new(LoadErrorKind::Io, "cannot read").with_path(path).with_source(source)
    }

    pub(crate) fn format(message: impl Into<String>, source: impl Into<Source>) -> Self {
        LoadError::new(LoadErrorKind::Format, message).with_source(source)
    }

    /// What kind of error it is.
    pub fn kind(&self) -> LoadErrorKind {
        self.0.kind
    }

    /// The file that is wrong, where one is.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The line of that file, from 1, where known.
    pub fn line(&self) -> Option<usize> {
        self.0.line
    }

    /// The code of the rule that is wrong, where one is.
    pub fn rule(&self) -> Option<&str> {
        self.0.rule.as_deref()
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LoadRepr { message, path, line, rule, .. } = &*self.0;
        if let Some(path) = path {
            write!(f, "{}:", path.display())?;
            match line {
                Some(line) => write!(f, "{line}: ")?,
                None => write!(f, " ")?,
            }
        }
        if let Some(rule) = rule {
            write!(f, "rule {rule}: ")?;
        }
        f.write_str(message)
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// Why a story could not be analysed.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct AnalyzeError(#[from] AnalyzeRepr);

#[derive(Debug, Error)]
pub(crate) enum AnalyzeRepr {
    #[error("text has {found} bytes, the limit is {limit}")]
    TooLong { found: usize, limit: usize },
    #[error("text has {found} windows of tokens or more, the limit is {limit}")]
    TooManyWindows { found: usize, limit: usize },
    #[error("{message}")]
    BackEnd { message: String, source: Option<Source> },
}

/// The kinds of [`AnalyzeError`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AnalyzeErrorKind {
    /// The text is longer than a limit that was set, in bytes or in windows of tokens.
    TooLong,
    /// The encoder or the tokenizer failed.
    BackEnd,
}

impl AnalyzeError {
    pub(crate) fn too_long(found: usize, limit: usize) -> Self {
        AnalyzeError(AnalyzeRepr::TooLong { found, limit })
    }

    pub(crate) fn too_many_windows(found: usize, limit: usize) -> Self {
        AnalyzeError(AnalyzeRepr::TooManyWindows { found, limit })
    }

    /// An error of an [`Encoder`](crate::Encoder): what failed, and why if that is known.
    pub fn back_end(
        message: impl Into<String>,
        source: Option<Box<dyn std::error::Error + Send + Sync + 'static>>,
    ) -> Self {
        AnalyzeError(AnalyzeRepr::BackEnd { message: message.into(), source })
    }

    /// What kind of error it is.
    pub fn kind(&self) -> AnalyzeErrorKind {
        match self.0 {
            AnalyzeRepr::TooLong { .. } | AnalyzeRepr::TooManyWindows { .. } => AnalyzeErrorKind::TooLong,
            AnalyzeRepr::BackEnd { .. } => AnalyzeErrorKind::BackEnd,
        }
    }
}
