//! Files, byte strings and strings to text: plain text, Markdown, web pages, mails.
//!
//! # Why this way
//!
//! The analyzer reads plain text, and tells a story from what stands around it by the plain conventions of the web:
//! a blank line ends a paragraph, "- " opens an item, "Ida K. says:" opens the turn of another writer. So a reader
//! writes these conventions, and pages, mails and text copied by hand go one and the same way from there. What markup
//! tells for sure (script, menu, quoted reply, who wrote a comment) is settled here; what only words tell is left
//! to the analyzer.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::document::Document;
use crate::span::Span;

mod encoding;
mod error;
#[cfg(feature = "html")]
mod html;
#[cfg(any(feature = "html", feature = "markdown"))]
mod lines;
#[cfg(feature = "email")]
mod mail;
#[cfg(feature = "markdown")]
mod markdown;
#[cfg(feature = "html")]
mod turns;

pub use error::{ReadError, ReadErrorKind};

/// What a file or a byte string holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Format {
    /// Text without markup; it is taken as it is.
    #[default]
    Plain,
    /// Markdown (CommonMark with tables, footnotes and struck-out text). Feature `markdown`.
    Markdown,
    /// A web page. Feature `html`.
    Html,
    /// A mail as mail programs save it, headers first. Feature `email`.
    Email,
}

impl Format {
    /// The format of a file of this name, by its extension; [`Format::Plain`] where that says nothing.
    ///
    /// ```
    /// use amends::Format;
    ///
    /// assert_eq!(Format::of_path("saved/page.HTM"), Format::Html);
    /// assert_eq!(Format::of_path("complaint.eml"), Format::Email);
    /// assert_eq!(Format::of_path("review.txt"), Format::Plain);
    /// ```
    pub fn of_path(path: impl AsRef<Path>) -> Format {
        let extension = path.as_ref().extension().and_then(|extension| extension.to_str());
        match extension.unwrap_or("").to_ascii_lowercase().as_str() {
            "md" | "markdown" => Format::Markdown,
            "html" | "htm" | "xhtml" => Format::Html,
            "eml" => Format::Email,
            _ => Format::Plain,
        }
    }

    /// The feature of this crate that reads it, empty for plain text.
    ///
    /// ```
    /// assert_eq!(amends::Format::Email.feature(), "email");
    /// ```
    pub fn feature(self) -> &'static str {
        match self {
            Format::Plain => "",
            Format::Markdown => "markdown",
            Format::Html => "html",
            Format::Email => "email",
        }
    }

    #[cfg(any(not(feature = "html"), not(feature = "markdown"), not(feature = "email")))]
    fn noun(self) -> &'static str {
        match self {
            Format::Plain => "plain text",
            Format::Markdown => "Markdown",
            Format::Html => "HTML",
            Format::Email => "e-mail",
        }
    }
}

/// What to do with bytes that are not in the encoding that they should be in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Malformed {
    /// Report them, with their offset.
    #[default]
    Error,
    /// Read what is not UTF-8 as Windows-1252, in which every byte means something. Other encodings than UTF-8 that a
    /// text declares stay, with U+FFFD for what is wrong.
    Windows1252,
    /// Put U+FFFD in their place.
    Replace,
}

/// How to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ReadOptions {
    /// What the bytes hold. Default: what the file's extension says, and plain text for strings.
    pub format: Option<Format>,
    /// What to do with bytes in no known encoding. Default: an error.
    pub malformed: Malformed,
    /// The most bytes that are read; more are an error. Default: 64 MiB.
    pub max_bytes: usize,
    /// Whether to keep all text of a page, and quoted replies, signature and notices of a mail. Default: false.
    pub whole: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions { format: None, malformed: Malformed::default(), max_bytes: 64 << 20, whole: false }
    }
}

impl ReadOptions {
    /// Says what the bytes hold.
    pub fn with_format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// Says what to do with bytes in no known encoding.
    pub fn with_malformed(mut self, malformed: Malformed) -> Self {
        self.malformed = malformed;
        self
    }

    /// Sets the most bytes that are read.
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Whether to keep what the readers of pages and mails leave out.
    pub fn with_whole(mut self, whole: bool) -> Self {
        self.whole = whole;
        self
    }
}

/// What one writer wrote in one go: the article, a comment, a post, a mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turn {
    span: Span,
    author: Option<String>,
}

impl Turn {
    /// Its bytes in [`ReadText::text`], without the line that names the author.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The author as the page or the mail has the name, if it has one.
    pub fn author(&self) -> Option<&str> {
        self.author.as_deref()
    }
}

/// Text as a reader has made it. Offsets in an [`Analysis`](crate::Analysis) are bytes of **this** text, not of the file:
/// hold on to it for as long as spans are to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadText {
    text: String,
    format: Format,
    encoding: Option<&'static str>,
    title: Option<String>,
    turns: Vec<Turn>,
}

impl ReadText {
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Gives the text away.
    pub fn into_text(self) -> String {
        self.text
    }

    /// What was read.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The encoding that the bytes were in, by its standard name (`UTF-8`, `windows-1252`, `UTF-16LE`); `None` for a
    /// mail, each part of which declares its own, and for a string.
    pub fn encoding(&self) -> Option<&'static str> {
        self.encoding
    }

    /// Title of the page or subject of the mail.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Who wrote what, in order, where markup or mail headers tell; empty for plain text and Markdown.
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }
}

impl<'t> From<&'t ReadText> for Document<'t> {
    fn from(read: &'t ReadText) -> Self {
        Document::new(&read.text)
    }
}

/// What a reader of one format makes.
#[derive(Default)]
struct Parts {
    text: String,
    title: Option<String>,
    turns: Vec<Turn>,
}

/// Reads a file.
///
/// ```no_run
/// use amends::{Analyzer, ReadOptions, read_file};
///
/// let page = read_file("saved/complaint.html", &ReadOptions::default())?;
/// let analysis = Analyzer::embedded()?.analyze(&page)?;
/// for sentence in analysis.sentences() {
///     println!("{}", &page.text()[sentence.span()]);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// A [`ReadError`] that names the file: as [`read_bytes`], and [`ReadErrorKind::Io`] or [`ReadErrorKind::Folder`] where
/// there is no file that can be read.
pub fn read_file(path: impl AsRef<Path>, options: &ReadOptions) -> Result<ReadText, ReadError> {
    let path = path.as_ref();
    let format = options.format.unwrap_or_else(|| Format::of_path(path));
    let read = || {
        let file = File::open(path).map_err(ReadError::io)?;
        if file.metadata().map_err(ReadError::io)?.is_dir() {
            return Err(ReadError::new(ReadErrorKind::Folder, "a folder, not a file"));
        }
        let mut bytes = Vec::new();
        // One byte more than is allowed tells that there are too many, however large the file is or grows.
        file.take((options.max_bytes as u64).saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(ReadError::io)?;
        read_bytes(&bytes, &options.with_format(format))
    };
    read().map_err(|error| error.in_file(path))
}

/// Reads a byte string.
///
/// # Encoding
///
/// The first of these that applies:
///
/// 1. A byte order mark (UTF-8, UTF-16): as it says.
/// 2. In a page, a `charset` in a `<meta>` tag of the first 1024 bytes: as it says, with the meaning that browsers give
///    its name ("iso-8859-1" means Windows-1252). Mails declare the encoding of each part, which is followed.
/// 3. Every second byte zero: UTF-16 without a mark.
/// 4. Valid UTF-8: UTF-8.
/// 5. Otherwise an error with the offset of the first wrong byte, or what [`ReadOptions::malformed`] says.
///
/// The mark is no part of the text. A zero character becomes U+FFFD, as HTML and CommonMark have it. Line ends stay.
///
/// # What the formats leave out
///
/// - **Plain text**: nothing.
/// - **Markdown**: marks but those of quotations (`> `), addresses of links, images, code blocks, tags of embedded HTML,
///   front matter.
/// - **Pages**: scripts, styles, forms and what is hidden, and all that is not the article and its comments. Where no article can
///   be told, all text but that of navigation is taken. Comments and the posts of a forum follow, each behind a
///   line "Ida K. says:". A quotation of what the page has said before is left out.
/// - **Mails**: headers but the subject, attachments, signatures, notices of confidence, and what the writer quotes of
///   other people. What they quote of their own earlier mails stays; a mail that only forwards another is read as that.
///
/// [`ReadOptions::whole`] keeps all text of a page, and all turns and signatures of a mail.
///
/// An empty input is an empty text.
///
/// ```
/// use amends::{Malformed, ReadOptions, read_bytes};
///
/// let options = ReadOptions::default().with_malformed(Malformed::Windows1252);
/// let read = read_bytes(b"\x93No refund\x94, he said.", &options)?;
/// assert_eq!(read.text(), "“No refund”, he said.");
/// assert_eq!(read.encoding(), Some("windows-1252"));
/// # Ok::<(), amends::ReadError>(())
/// ```
///
/// # Errors
///
/// [`ReadErrorKind::TooLarge`], [`ReadErrorKind::NotUtf8`] or [`ReadErrorKind::Malformed`] with the offset,
/// [`ReadErrorKind::Markup`] for a page that would cost more than its length is worth, [`ReadErrorKind::Unsupported`]
/// in a build without the format's feature.
pub fn read_bytes(bytes: &[u8], options: &ReadOptions) -> Result<ReadText, ReadError> {
    read(Source::Bytes(bytes), options)
}

/// Reads a string: as [`read_bytes`], but what it holds is text already. What a page says of its encoding was true of the
/// bytes that the string was made from, and is ignored; of a mail, the parts in Base64 or quoted-printable are still
/// decoded. A byte order mark that was left at the start is no part of the text.
///
/// ```
/// # #[cfg(feature = "html")] {
/// use amends::{Format, ReadOptions, read_str};
///
/// let page = "<meta charset=iso-8859-1><p>The caf\u{e9} was shut.</p>";
/// let read = read_str(page, &ReadOptions::default().with_format(Format::Html))?;
/// assert_eq!(read.text(), "The café was shut.");
/// # }
/// # Ok::<(), amends::ReadError>(())
/// ```
///
/// # Errors
///
/// [`ReadErrorKind::TooLarge`], [`ReadErrorKind::Markup`] or [`ReadErrorKind::Unsupported`], as [`read_bytes`].
pub fn read_str(text: &str, options: &ReadOptions) -> Result<ReadText, ReadError> {
    read(Source::Text(text.strip_prefix('\u{feff}').unwrap_or(text)), options)
}

/// What is read.
#[derive(Clone, Copy)]
enum Source<'s> {
    Bytes(&'s [u8]),
    Text(&'s str),
}

impl<'s> Source<'s> {
    fn bytes(self) -> &'s [u8] {
        match self {
            Source::Bytes(bytes) => bytes,
            Source::Text(text) => text.as_bytes(),
        }
    }

    /// The text, and the encoding that it had to be decoded from.
    fn text(
        self,
        page: bool,
        options: &ReadOptions,
    ) -> Result<(Cow<'s, str>, Option<&'static str>), ReadError> {
        match self {
            Source::Bytes(bytes) => {
                let decoded = encoding::decode(bytes, page, options.malformed)?;
                Ok((decoded.text, Some(decoded.encoding)))
            }
            Source::Text(text) => Ok((text.into(), None)),
        }
    }
}

fn read(source: Source<'_>, options: &ReadOptions) -> Result<ReadText, ReadError> {
    let bytes = source.bytes().len();
    if bytes > options.max_bytes {
        return Err(ReadError::too_large(bytes as u64, options.max_bytes));
    }
    let format = options.format.unwrap_or_default();
    let (parts, encoding) = match format {
        Format::Plain => {
            let (text, encoding) = source.text(false, options)?;
            (Parts { text: without_zeros(text).into_owned(), ..Parts::default() }, encoding)
        }
        Format::Markdown => read_markdown(source, options)?,
        Format::Html => read_html(source, options)?,
        Format::Email => read_email(source, options)?,
    };
    let Parts { text, title, turns } = parts;
    Ok(ReadText { text, format, encoding, title, turns })
}

fn without_zeros(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text }
}

type Made = Result<(Parts, Option<&'static str>), ReadError>;

#[cfg(feature = "markdown")]
fn read_markdown(source: Source<'_>, options: &ReadOptions) -> Made {
    let (text, encoding) = source.text(false, options)?;
    let text = markdown::text(&without_zeros(text));
    Ok((Parts { text, ..Parts::default() }, encoding))
}

#[cfg(not(feature = "markdown"))]
fn read_markdown(_: Source<'_>, _: &ReadOptions) -> Made {
    Err(ReadError::unsupported(Format::Markdown))
}

#[cfg(feature = "html")]
fn read_html(source: Source<'_>, options: &ReadOptions) -> Made {
    let (text, encoding) = source.text(true, options)?;
    Ok((html::read(&without_zeros(text), options.whole)?, encoding))
}

#[cfg(not(feature = "html"))]
fn read_html(_: Source<'_>, _: &ReadOptions) -> Made {
    Err(ReadError::unsupported(Format::Html))
}

#[cfg(feature = "email")]
fn read_email(source: Source<'_>, options: &ReadOptions) -> Made {
    Ok((mail::read(source, options)?, None))
}

#[cfg(not(feature = "email"))]
fn read_email(_: Source<'_>, _: &ReadOptions) -> Made {
    Err(ReadError::unsupported(Format::Email))
}
