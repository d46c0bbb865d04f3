//! Mails to text: the message's body, and in it who wrote what.

use std::borrow::Cow;

use mail_parser::{Encoding, MessageParser, MessagePart, PartType};

use super::turns::{Out, speaker};
use super::{Parts, ReadError, ReadOptions, Source, html, without_zeros};
use body::{Kind, Person, Piece};

mod body;

/// Parts of a message that are read; one in thousands of parts is an attack.
const MOST_PARTS: usize = 100;

/// The text of a mail. What does not begin with a head is the body alone, as copied from a mail program.
pub(super) fn read(source: Source<'_>, options: &ReadOptions) -> Result<Parts, ReadError> {
    let bytes = source.bytes();
    if !has_head(bytes) {
        let (text, _) = source.text(false, options)?;
        let text = without_zeros(text);
        return Ok(write(None, &body::pieces(&text, None), options.whole));
    }
    let Some(message) = MessageParser::default().parse(bytes) else {
        return Ok(Parts::default());
    };
    let from = message.from().and_then(|from| from.first()).map(|from| Person {
        name: one_line(from.name().unwrap_or_default()),
        address: one_line(from.address().unwrap_or_default()),
    });
    let subject = message.subject().map(one_line).filter(|subject| !subject.is_empty());
    let mut text = String::new();
    for part in message.text_bodies().take(MOST_PARTS) {
        let body = part_text(part, source)?;
        if !text.is_empty() && !body.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&without_zeros(body));
    }
    let pieces = body::pieces(&text, from.as_ref());
    Ok(write(subject.as_deref(), &pieces, options.whole))
}

/// Whether the bytes begin with lines of a mail's head.
fn has_head(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // A mailbox file puts a line of its own before each message.
    let line = bytes.split(|&b| b == b'\n').find(|line| !line.starts_with(b"From ")).unwrap_or_default();
    let Some(colon) = line.iter().position(|&b| b == b':') else { return false };
    const NAMES: [&str; 22] = [
        "from",
        "to",
        "cc",
        "bcc",
        "subject",
        "date",
        "sent",
        "reply-to",
        "sender",
        "received",
        "return-path",
        "delivered-to",
        "message-id",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
        "references",
        "in-reply-to",
        "dkim-signature",
        "authentication-results",
        "arc-seal",
        "list-id",
    ];
    let name = line[..colon].trim_ascii();
    name.starts_with(b"X-") || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

fn part_text<'p>(part: &'p MessagePart<'_>, source: Source<'p>) -> Result<Cow<'p, str>, ReadError> {
    // Of text that is no bytes any more, only what is encoded in letters has the character set that it declares.
    let plain = match source {
        Source::Text(mail) if part.encoding == Encoding::None => {
            mail.get(part.offset_body as usize..part.offset_end as usize)
        }
        _ => None,
    };
    Ok(match &part.body {
        PartType::Text(text) => plain.unwrap_or(text).into(),
        PartType::Html(page) => html::mail_text(plain.unwrap_or(page))?.into(),
        _ => "".into(),
    })
}

fn one_line(text: &str) -> String {
    without_zeros(text.split_whitespace().collect::<Vec<_>>().join(" ").into()).into_owned()
}

/// Writes the pieces of a mail: those of its writer, or all with `whole`.
fn write(subject: Option<&str>, pieces: &[Piece<'_>], whole: bool) -> Parts {
    let own = |piece: &&Piece<'_>| piece.own && piece.kind == Kind::Words;
    // A mail without words of its own passes somebody else's on.
    let forward = !pieces.iter().any(|piece| own(&piece));
    let kept: Vec<&Piece<'_>> =
        pieces.iter().filter(|piece| whole || piece.kind == Kind::Words && (piece.own || forward)).collect();
    let several = kept.iter().any(|piece| piece.author() != kept[0].author());
    let mut out = Out::default();
    out.title(subject);
    let mut speaking = None;
    for piece in kept {
        if several && speaking != Some(piece.author()) {
            out.line(&format!("{} wrote:", piece.author().map_or_else(|| "Anonymous".into(), speaker)));
            speaking = Some(piece.author());
        }
        match piece.kind {
            Kind::Words => out.turn(&piece.text(), piece.author().map(str::to_owned)),
            Kind::Signature => out.line(&format!("--\n{}", piece.text())),
            Kind::Notice => out.line(&piece.text()),
        }
    }
    Parts { text: out.text, title: subject.map(str::to_owned), turns: out.turns }
}
