//! Bytes to text: which encoding they are in, and where they are not.

use std::borrow::Cow;

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::{Malformed, ReadError, ReadErrorKind};

/// Bytes of a page in which its encoding must be declared; the HTML standard has the same number.
const HEAD: usize = 1024;

/// Text, and the name of the encoding that it was in.
pub(super) struct Decoded<'b> {
    pub(super) text: Cow<'b, str>,
    pub(super) encoding: &'static str,
}

/// Decodes by the rule that [`read_bytes`](crate::read_bytes) documents.
pub(super) fn decode(bytes: &[u8], page: bool, malformed: Malformed) -> Result<Decoded<'_>, ReadError> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return declared(encoding, bytes, mark, malformed);
    }
    if page && let Some(encoding) = charset(&bytes[..bytes.len().min(HEAD)]) {
        return declared(encoding, bytes, 0, malformed);
    }
    if let Some(encoding) = unmarked_utf16(bytes) {
        return declared(encoding, bytes, 0, malformed);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Decoded { text: text.into(), encoding: UTF_8.name() }),
        Err(error) => match malformed {
            Malformed::Error => {
                Err(ReadError::new(ReadErrorKind::NotUtf8, "not UTF-8").at(error.valid_up_to()))
            }
            Malformed::Windows1252 => {
                let (text, _) = WINDOWS_1252.decode_without_bom_handling(bytes);
                Ok(Decoded { text, encoding: WINDOWS_1252.name() })
            }
            Malformed::Replace => {
                Ok(Decoded { text: String::from_utf8_lossy(bytes), encoding: UTF_8.name() })
            }
        },
    }
}

/// Decodes what stands behind the mark of `mark` bytes in an encoding that the bytes themselves name.
fn declared<'b>(
    encoding: &'static Encoding,
    bytes: &'b [u8],
    mark: usize,
    malformed: Malformed,
) -> Result<Decoded<'b>, ReadError> {
    let body = &bytes[mark..];
    let name = encoding.name();
    if let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(body) {
        return Ok(Decoded { text, encoding: name });
    }
    // A page may claim to be UTF-8 and hold the bytes of an older editor.
    if malformed == Malformed::Windows1252 && encoding == UTF_8 {
        let (text, _) = WINDOWS_1252.decode_without_bom_handling(body);
        return Ok(Decoded { text, encoding: WINDOWS_1252.name() });
    }
    if malformed == Malformed::Error {
        let message = format!("not {name}, which the text says that it is");
        return Err(ReadError::new(ReadErrorKind::Malformed, message).at(mark + first_bad(encoding, body)));
    }
    let (text, _) = encoding.decode_without_bom_handling(body);
    Ok(Decoded { text, encoding: name })
}

/// Where the first bytes begin that are none of this encoding.
fn first_bad(encoding: &'static Encoding, bytes: &[u8]) -> usize {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut at = 0;
    let mut buffer = [0u8; 4096];
    loop {
        let (result, read, _) = decoder.decode_to_utf8_without_replacement(&bytes[at..], &mut buffer, true);
        at += read;
        match result {
            DecoderResult::Malformed(bad, after) => {
                return at.saturating_sub(usize::from(bad) + usize::from(after));
            }
            DecoderResult::OutputFull => {}
            DecoderResult::InputEmpty => return at,
        }
    }
}

/// The encoding that the head of a page declares: `<meta charset="…">`, or `charset=…` in the content of a meta tag.
fn charset(head: &[u8]) -> Option<&'static Encoding> {
    let lower = head.to_ascii_lowercase();
    let mut from = 0;
    while let Some(at) = find(&lower[from..], b"<meta") {
        let start = from + at;
        let end = find(&lower[start..], b">").map_or(lower.len(), |at| start + at);
        if let Some(encoding) = label(&lower[start..end]).and_then(Encoding::for_label) {
            // A declaration in ASCII bytes can be read, so the page is no UTF-16; the standard says UTF-8.
            return Some(if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding });
        }
        from = end;
    }
    None
}

/// What stands behind `charset=` in a tag.
fn label(tag: &[u8]) -> Option<&[u8]> {
    let at = find(tag, b"charset")? + b"charset".len();
    let value = tag[at..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let value = value.strip_prefix(b"\"").or_else(|| value.strip_prefix(b"'")).unwrap_or(value);
    let end = value.iter().position(|b| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b';' | b'/'));
    Some(&value[..end.unwrap_or(value.len())])
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// UTF-16 without a mark: of the first bytes nearly every second one is zero. English has such texts no other way.
fn unmarked_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(HEAD) & !1];
    if head.len() < 4 {
        return None;
    }
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|&&b| b == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let most = |zeros: usize| zeros * 10 >= head.len() / 2 * 7;
    if most(odd) && even == 0 {
        Some(UTF_16LE)
    } else if most(even) && odd == 0 {
        Some(UTF_16BE)
    } else {
        None
    }
}
