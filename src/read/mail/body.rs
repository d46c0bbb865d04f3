//! The body of a mail in pieces: what its writer says, what is quoted of whom, signatures, notices.
//!
//! # Why this way
//!
//! Mail programs quote in three ways, and one mail may hold all of them: lines that begin with ">", below a line "On
//! 4 March, Ida Krohn wrote:"; a copy of the head of the earlier mail ("From: … Sent: …") with its text unmarked
//! below; and a line "-----Original Message-----". Each is a change of speaker, at some depth of quotation. Nothing
//! ends a quotation of the second kind but the end of the mail.

use std::sync::LazyLock;

use crate::fixed;
use regex::Regex;

/// Who wrote a mail.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) address: String,
}

impl Person {
    /// Whether two heads name the same person.
    fn is(&self, other: &Person) -> bool {
        let same = |a: &str, b: &str| !a.is_empty() && a.eq_ignore_ascii_case(b);
        if !self.address.is_empty() && !other.address.is_empty() {
            return same(&self.address, &other.address);
        }
        same(&self.name, &other.name)
    }

    fn shown(&self) -> Option<&str> {
        [&self.name, &self.address].into_iter().find(|shown| !shown.is_empty()).map(String::as_str)
    }
}

/// What a piece of a mail is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Words,
    Signature,
    Notice,
}

/// Lines of one speaker that stand together.
#[derive(Clone, Debug)]
pub(super) struct Piece<'t> {
    pub(super) kind: Kind,
    /// Whether the writer of the mail wrote it, now or in an earlier mail.
    pub(super) own: bool,
    author: Option<Person>,
    lines: Vec<&'t str>,
}

impl Piece<'_> {
    pub(super) fn author(&self) -> Option<&str> {
        self.author.as_ref().and_then(Person::shown)
    }

    pub(super) fn text(&self) -> String {
        self.lines.join("\n").trim().to_owned()
    }
}

/// Quotations nested deeper are taken for one.
const DEEPEST: usize = 16;
/// The longest line that may announce a quotation, and the longest such announcement of two lines, in bytes.
const LINE: usize = 200;
const TWO_LINES: usize = 300;
/// A copied head has at most so many lines.
const HEADERS: usize = 12;
/// A farewell and what follows are a signature if at most so many lines of at most so many bytes follow.
const FAREWELL_LINES: usize = 9;
const FAREWELL_BYTES: usize = 64;

/// "On Mon, Mar 4, 2019 at 9:12 AM, Ida Krohn <ida@krohn.example> wrote:".
static WROTE: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(r"(?i)^(?:on |le |am )?(?P<who>.{2,280}?)\s*(?:\b(?:wrote|writes|said)):$")
});
/// The end of a date in such a line.
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?x)\d{1,2}[:.h]\d\d(?:[:.]\d\d)?\s*(?:[AaPp]\.?[Mm]\.?)?\s*(?:\(?[A-Z]{2,5}\)?|[+-]\d{4})?\s*,?\s+",
    )
});
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(r"[<\[(]?(?:mailto:)?([0-9A-Za-z_.+%-]{1,64}@[0-9A-Za-z_.-]{1,200})[>\])]{0,2}")
});
static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?i)^\*?(?P<name>from|sent|date|to|cc|bcc|subject|reply-to|importance|attachments):\*?\s*(?P<value>.*)$",
    )
});
static DIVIDER: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?ix)^(?:-{2,}\s*(?:original|forwarded)\ (?:message|appointment)(?:\ (?:from|by)\ .{1,80})?\s*-{2,}
          |begin\ forwarded\ message:|_{20,}|-{5,}\s*forwarded\ by\ .{1,120})$",
    )
});
static SENT_FROM: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?i)^(?:sent (?:from|via|with|using) (?:my |the )?(?:iphone|ipad|android|samsung|galaxy|blackberry|windows|mobile|phone|outlook|yahoo|gmail|mail|proton|tapatalk|huawei|xperia|htc|nokia)\b.{0,60}|get outlook for .{2,20}|von meinem .{2,30} gesendet)$",
    )
});
static FAREWELL: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?i)^(?:(?:with )?(?:kind(?:est)?|best|warm(?:est)?|many) (?:regards|wishes|thanks)|regards|best|sincerely(?: yours)?|yours(?: (?:sincerely|faithfully|truly|in hope|disappointedly))?|with thanks|cheers|thanks|thank you|rgds|kr|br)\s*[,.!]?$",
    )
});
static NOTICE: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?ix)^\W{0,4}(?:(?:confidentiality|privacy|legal|privileged|disclaimer)\b.{0,40}(?:notice|statement|disclaimer|:)
          |disclaimer\b
          |this\ (?:e-?mail|message|communication|transmission)\b.{0,120}\b(?:confidential|privileged|intended|solely)
          |the\ (?:information|contents?)\b.{0,60}\bin\ this\ (?:e-?mail|message).{0,120}\b(?:confidential|privileged|intended)
          |if\ you\ (?:are\ not\ the\ intended|have\ received\ this\ (?:e-?mail|message))
          |please\ consider\ the\ environment)",
    )
});

/// Cuts the body of a mail into pieces, in its order. `writer` is who sent it, if that is known.
pub(super) fn pieces<'t>(text: &'t str, writer: Option<&Person>) -> Vec<Piece<'t>> {
    let lines: Vec<(usize, &str)> = text.lines().map(unquoted).collect();
    // Who speaks at each depth of quotation.
    let mut speakers: Vec<Option<Person>> = vec![None; DEEPEST + 2];
    speakers[0] = writer.cloned();
    // At the top of the mail its writer speaks, named or not, until a copied head says otherwise.
    let mut begun = false;
    let mut pieces: Vec<Piece<'t>> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let (depth, line) = lines[at];
        if let Some((person, many)) = announced(&lines[at..]) {
            speakers[depth + 1] = Some(person);
            at += many;
            // Some programs do not mark what follows: it is a quotation all the same, to the end.
            let next = lines[at..].iter().find(|(_, line)| !line.is_empty());
            if next.is_some_and(|(next, _)| *next <= depth) && !answers_below(&lines[at..], depth) {
                speakers[depth] = speakers[depth + 1].clone();
                begun |= depth == 0;
            }
            continue;
        }
        if let Some((depth, person, many)) = copied_head(&lines[at..]) {
            speakers[depth] = person;
            begun |= depth == 0;
            at += many;
            continue;
        }
        let author = speakers[depth].clone();
        let own = depth == 0 && !begun
            || author.as_ref().zip(writer).is_some_and(|(author, writer)| author.is(writer));
        match pieces.last_mut() {
            Some(last) if last.own == own && last.author == author => last.lines.push(line),
            // An empty line belongs to whoever spoke before.
            Some(last) if line.is_empty() => last.lines.push(line),
            _ => pieces.push(Piece { kind: Kind::Words, own, author, lines: vec![line] }),
        }
        at += 1;
    }
    let mut parted: Vec<Piece<'t>> = pieces.into_iter().flat_map(part).collect();
    parted.retain(|piece| piece.lines.iter().any(|line| !line.is_empty()));
    parted
}

/// How deep a line is quoted, and the line without its marks.
fn unquoted(line: &str) -> (usize, &str) {
    let mut rest = line.trim();
    let mut depth = 0;
    while let Some(next) = rest.strip_prefix('>') {
        depth += 1;
        rest = next.trim_start();
    }
    (depth.min(DEEPEST), rest)
}

/// Whether after a quotation that begins here and is marked, the writer goes on: then an unmarked line is theirs.
fn answers_below(lines: &[(usize, &str)], depth: usize) -> bool {
    lines.iter().take(200).any(|(other, _)| *other > depth)
}

/// Whom a line "… wrote:" names, and how many lines it takes.
fn announced(lines: &[(usize, &str)]) -> Option<(Person, usize)> {
    let (depth, line) = *lines.first()?;
    let sign =
        |line: &str| line.len() <= TWO_LINES && line.contains(|c: char| c.is_ascii_digit() || c == '@');
    let next = lines.get(1).filter(|(other, line)| *other == depth && !line.is_empty());
    if line.len() > LINE || line.is_empty() {
        return None;
    }
    // "Ida wrote:" alone is only a quotation's head where a quotation follows.
    let followed = |from: usize| {
        lines.iter().skip(from).find(|(_, line)| !line.is_empty()).is_some_and(|(other, _)| *other > depth)
    };
    if let Some(found) = WROTE.captures(line)
        && (followed(1) || line.to_ascii_lowercase().starts_with("on ") && sign(line))
    {
        return Some((person(&found["who"]), 1));
    }
    if line.get(..3).is_some_and(|head| head.eq_ignore_ascii_case("on "))
        && let Some((_, next)) = next
        && next.len() <= LINE
    {
        let both = format!("{line} {next}");
        if sign(&both)
            && let Some(found) = WROTE.captures(&both)
        {
            return Some((person(&found["who"]), 2));
        }
    }
    None
}

/// The person in the middle of "On … wrote:": what stands behind the date.
fn person(who: &str) -> Person {
    let address = ADDRESS.captures(who).map(|found| found[1].to_owned()).unwrap_or_default();
    let bare = ADDRESS.replace_all(who, " ");
    let behind = match TIME.find_iter(&bare).last() {
        Some(time) => &bare[time.end()..],
        None => bare.rsplit([',', ';']).next().unwrap_or_default(),
    };
    let name = behind.trim().trim_matches(|c: char| matches!(c, '"' | '\'' | ',' | '<' | '>' | '*')).trim();
    let words = name.split_whitespace().count();
    let name = if words <= 5 && name.len() <= 60 { name.to_owned() } else { String::new() };
    Person { name, address }
}

/// The head of an earlier mail that was copied into this one: how deep it is quoted, its sender, and how many lines it
/// takes.
fn copied_head(lines: &[(usize, &str)]) -> Option<(usize, Option<Person>, usize)> {
    let (top, first) = *lines.first()?;
    let divider = first.len() <= LINE && DIVIDER.is_match(first);
    let mut depth = top;
    let mut at = usize::from(divider);
    let mut sender = None;
    let mut names: Vec<String> = Vec::new();
    while names.len() < HEADERS {
        // Apple's program quotes the head that follows its divider, and as a page makes each line a paragraph.
        let blank =
            if divider { lines[at..].iter().take_while(|(_, line)| line.is_empty()).count() } else { 0 };
        let Some((other, line)) = lines.get(at + blank).filter(|(_, line)| line.len() <= 1000) else { break };
        if divider && names.is_empty() && *other == top + 1 {
            depth = *other;
        }
        let Some(found) = HEADER.captures(line).filter(|_| *other == depth) else { break };
        let name = found["name"].to_lowercase();
        if name == "from" {
            let value = &found["value"];
            let address = ADDRESS.captures(value).map(|found| found[1].to_owned()).unwrap_or_default();
            let name = ADDRESS.replace_all(value, " ");
            let name = name.trim().trim_matches(['"', '\'', '*']).trim().to_owned();
            sender = Some(Person { name, address });
        }
        names.push(name);
        at += blank + 1;
    }
    let has = |name: &str| names.iter().any(|other| other == name);
    let head = has("from") && (has("sent") || has("date") || has("to") || has("subject"));
    if head {
        return Some((depth, sender, at));
    }
    // A line of dashes alone changes nothing; "Original Message" without a head does.
    (divider && !first.starts_with("__")).then_some((top, None, 1))
}

/// Parts the words of a speaker from their signature and the notice below.
fn part(piece: Piece<'_>) -> Vec<Piece<'_>> {
    let lines = &piece.lines;
    let words = |from: usize| lines[from..].iter().filter(|line| !line.is_empty());
    let begins_block = |at: usize| at == 0 || lines[at - 1].is_empty();
    let mut said = false;
    let mut cuts: Vec<(usize, Kind)> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let signed = cuts.last().is_some_and(|(_, kind)| *kind == Kind::Signature);
        let dashes = matches!(*line, "--" | "—") && (said || signed);
        let farewell = || {
            let mut rest = words(at + 1)
                .take_while(|line| !NOTICE.is_match(line) && !SENT_FROM.is_match(line))
                .take(FAREWELL_LINES + 1);
            let short = rest.by_ref().take(FAREWELL_LINES).all(|line| line.len() <= FAREWELL_BYTES);
            short && rest.next().is_none()
        };
        if dashes
            || line.len() <= 100 && SENT_FROM.is_match(line)
            || !signed && said && line.len() <= 40 && FAREWELL.is_match(line) && farewell()
        {
            cuts.push((at, Kind::Signature));
        } else if begins_block(at) && (said || signed) && NOTICE.is_match(line) {
            cuts.push((at, Kind::Notice));
            break;
        }
        said |= !line.is_empty() && cuts.is_empty();
    }
    let Piece { own, author, lines, .. } = piece;
    let mut pieces = Vec::new();
    let mut from = 0;
    let mut kind = Kind::Words;
    for (at, next) in cuts.into_iter().chain([(lines.len(), Kind::Words)]) {
        if kind == next && at < lines.len() {
            continue;
        }
        let dashes =
            kind == Kind::Signature && lines.get(from).is_some_and(|line| matches!(*line, "--" | "—"));
        let part = &lines[from + usize::from(dashes)..at];
        if !part.is_empty() {
            pieces.push(Piece { kind, own, author: author.clone(), lines: part.to_vec() });
        }
        from = at;
        kind = next;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ida() -> Person {
        Person { name: "Ida Krohn".into(), address: "ida@krohn.example".into() }
    }

    #[test]
    fn who_a_line_announces() {
        let cases = [
            ("Mon, Mar 4, 2019 at 9:12 AM, Ida Krohn <ida@krohn.example>", "Ida Krohn", "ida@krohn.example"),
            (
                "Mon, Mar 4, 2019 at 9:12 AM Kettle Desk <desk@kettle.example>",
                "Kettle Desk",
                "desk@kettle.example",
            ),
            ("4 Mar 2019, at 10:12, Kettle Desk", "Kettle Desk", ""),
            ("2019-03-04 09:12, Ida Krohn", "Ida Krohn", ""),
            ("3/4/2019 9:12:33 AM +0100, \"Krohn, Ida\"", "Krohn, Ida", ""),
            ("Ida Krohn", "Ida Krohn", ""),
            ("Tuesday, Ida Krohn", "Ida Krohn", ""),
        ];
        for (who, name, address) in cases {
            assert_eq!(person(who), Person { name: name.into(), address: address.into() }, "{who}");
        }
    }

    fn shown(text: &str) -> Vec<(Kind, bool, String, String)> {
        pieces(text, Some(&ida()))
            .iter()
            .map(|piece| (piece.kind, piece.own, piece.author().unwrap_or("-").to_owned(), piece.text()))
            .collect()
    }

    #[test]
    fn quotations_belong_to_whom_the_line_above_names() {
        let text = "Still nothing.\n\nOn Mon, 4 Mar 2019 at 09:12, Kettle Desk\n<desk@kettle.example> wrote:\n\n> We are sorry.\n>\n> On Sun, 3 Mar 2019 at 20:01, Ida Krohn <ida@krohn.example> wrote:\n>> My kettle leaks.\n\nPlease call me.";
        assert_eq!(
            shown(text),
            [
                (Kind::Words, true, "Ida Krohn".into(), "Still nothing.".into()),
                (Kind::Words, false, "Kettle Desk".into(), "We are sorry.".into()),
                (Kind::Words, true, "Ida Krohn".into(), "My kettle leaks.\n\nPlease call me.".into()),
            ]
        );
    }

    #[test]
    fn a_copied_head_hands_over_to_the_end() {
        let text = "I give up.\n\n________________________________\nFrom: Kettle Desk <desk@kettle.example>\nSent: Monday, March 4, 2019 9:12 AM\nTo: Ida Krohn\nSubject: RE: Kettle\n\nWe will send a new one.\n\n-----Original Message-----\nFrom: Ida Krohn [mailto:ida@krohn.example]\nDate: Sunday\n\nMy kettle leaks.";
        assert_eq!(
            shown(text),
            [
                (Kind::Words, true, "Ida Krohn".into(), "I give up.".into()),
                (Kind::Words, false, "Kettle Desk".into(), "We will send a new one.".into()),
                (Kind::Words, true, "Ida Krohn".into(), "My kettle leaks.".into()),
            ]
        );
    }

    #[test]
    fn signatures_and_notices_are_told_from_words() {
        let text = "It broke again.\n\nKind regards,\nIda Krohn\n0161 555 0100\n\nThis e-mail and any files are confidential and meant for\nthe addressee only.\nDo not print it.";
        let kinds: Vec<_> = shown(text).into_iter().map(|(kind, _, _, text)| (kind, text)).collect();
        assert_eq!(
            kinds,
            [
                (Kind::Words, "It broke again.".to_owned()),
                (Kind::Signature, "Kind regards,\nIda Krohn\n0161 555 0100".to_owned()),
                (
                    Kind::Notice,
                    "This e-mail and any files are confidential and meant for\nthe addressee only.\nDo not print it."
                        .to_owned()
                ),
            ]
        );
        let text = "It broke.\n-- \nIda\nSent from my iPhone";
        let kinds: Vec<_> = shown(text).into_iter().map(|(kind, _, _, text)| (kind, text)).collect();
        assert_eq!(
            kinds,
            [(Kind::Words, "It broke.".to_owned()), (Kind::Signature, "Ida\nSent from my iPhone".to_owned())]
        );
    }

    #[test]
    fn words_below_a_farewell_are_words() {
        let text = "It broke.\n\nThanks\n\nPS: the man who came on Monday left the gate open, and now the dog is gone as well.";
        let pieces = shown(text);
        assert_eq!(pieces.len(), 1, "{pieces:?}");
        let text = "It broke.\n\nThanks\nIda\n\nThis message is confidential, and meant only for those whom it is addressed to by name.";
        let kinds: Vec<_> = shown(text).into_iter().map(|(kind, ..)| kind).collect();
        assert_eq!(kinds, [Kind::Words, Kind::Signature, Kind::Notice]);
    }

    #[test]
    fn ordinary_sentences_are_no_heads() {
        for text in [
            "On Monday I wrote: where is it?\nNobody answered.",
            "From: nowhere came any help.",
            "The clerk wrote:\nCome back on Monday.",
            "Thanks for nothing.\nI will never be back, and I will tell everybody whom I know about this shop.",
        ] {
            let pieces = shown(text);
            assert_eq!(pieces.len(), 1, "{pieces:?}");
            assert_eq!(pieces[0].3, text);
        }
    }
}
