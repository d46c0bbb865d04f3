//! Who writes: the author of a post, and those who answer below it.
//!
//! Forums and comment sections announce each author in a line of its own: "Dermot K. says:", "Julie_W - Member -
//! Posts: 88", "Reply by old_tel, 3 Oct". What stands before the first comment is the main story; an author who
//! comes back goes on with their own. Lines that begin with ">" quote somebody else, as mail programs do; so does what
//! stands below the head of another mail ("From: … Sent: …").

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::content::furniture;
use crate::fixed;
use crate::segment::Segment;

/// For each segment the number of its author, 0 for the main story, and `None` for the line that names one.
pub(super) struct Turns {
    pub(super) author: Vec<Option<usize>>,
    /// By the number of an author, whether they are met only in what somebody quotes.
    pub(super) quoted: Vec<bool>,
}

/// The longest line that may name an author, in bytes.
const LINE: usize = 120;

/// Content sentences that must stand before "Posted by" for it to close a story and not to open one.
const STORY: usize = 3;

static SAYS: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?x)^(?:\d+[.)]\s+)?(?P<name>[\p{L}_][\w.'’\-]*(?:\s[\p{L}(][\w.'’)\-]*){0,3})\s+
          (?:says|said|wrote|writes|commented|replied|responded)\s*(?::|\.\.\.|…)(?:\s*[\w,.:/\s]*\d[\w,.:/\s]*)?$",
    )
});
static BY: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?xi)^(?:\#?\d+[.)]?\s+)?(?P<what>reply|posted|comment|original\ post|answer|post)(?:ed)?\s+(?:by|from):?\s+
          (?P<name>[\w.'’\-]+(?:\s[A-Z][\w.'’\-]*)?)(?:\s*[,|·(\-–—].*|\s+(?:at|on)\s.*)?$",
    )
});
static USER: LazyLock<Regex> =
    LazyLock::new(|| fixed::regex(r"(?i)^(?:user|username|author|member|from)\s*:\s*(?P<name>[\w.'’\-]+)"));
static MEMBER: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?xi)^(?P<name>[\w.'’\-]+(?:\s[\w.'’\-]+)?)\s*[\-|–—·,]\s*
          .*?\b(?:posts?:\s*\d|post\s*\#\s*\d|joined:?\s|registered:?\s|senior\ member|junior\ member|member\b|moderator\b)",
    )
});
static DATED: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?x)^(?:\d+[.)]\s+)?(?P<name>\p{Lu}[\w.'’\-]*(?:\s\p{Lu}[\w.'’\-]*){0,2}),?\s+(?:on\s+)?
          (?:(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?\s+\d{1,2}|\d{1,2}\s+(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*|\d{1,2}/\d{1,2}/\d{2,4})
          [\w,.:\s]*$",
    )
});
static SECTION: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(r"(?i)^(?:\d+\s+)?(?:comments?|responses?|replies|answers?)(?:\s*\(\d+\))?\s*:?$")
});
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(r"^(?:\d+[.)]\s+)?(?P<name>[\p{L}_][\w.'’\-]*(?:\s\p{Lu}[\w.'’\-]*){0,2})$")
});
static NAME_THEN_WORDS: LazyLock<Regex> =
    LazyLock::new(|| fixed::regex(r"^(?P<name>[\p{L}_][\w.\-]{2,30}):\s+\S"));

/// Heads of posts as forums show them, in the shapes of the furniture; they count only in lines that are furniture.
static FORUM: LazyLock<[Regex; 5]> = LazyLock::new(|| {
    [
        "(?i:(?:post )?by )?(?P<name>{user}) » {when}",
        "(?i:by )(?P<name>{user}) on {weekday},? {when}",
        r"(?:r/\w+ ?[•·] ?)?(?:[Pp]osted by u/)?(?P<name>[\w.-]{2,30})(?: OP| Author| Mod)? ?[•·|]? ?{ago}(?: ?[•·|] ?[Ee]dited.*)?",
        r"Submitted by (?P<name>{user}|{name})(?: \(not verified\))?(?: on .*)?",
        r"#\d{1,4} ?[-–|:]? ?(?P<name>{user}),? ?[-–|,·]? ?{dated}(?:,? (?:at )?{time})?",
    ]
    .map(|head| furniture::regex(&format!("^(?:{head})$")))
});
/// An account alone in its line, and what forums write below it.
static ACCOUNT: LazyLock<Regex> = LazyLock::new(|| fixed::regex(r"^(?P<name>[\p{L}_][\w.\-]{1,30})$"));
static RANK: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?i)^(?:\w+\s(?:user|member|admin)|member|moderator|administrator|join(?:ed|\sdate):.*|posts:\s?\d.*)$",
    )
});

/// A line of a mail's head; the next line may stand behind it.
static MAIL: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?ix)^(?P<field>from|to|cc|bcc|sent|date|subject|reply-to|importance|attachments):\s+
          (?P<value>.{1,200}?)(?P<next>\s(?:to|subject|sent|date):\s.*)?$",
    )
});
static DIVIDER: LazyLock<Regex> =
    LazyLock::new(|| fixed::regex(r"(?i)^-{2,}\s*(?:original|forwarded)\smessage\s*-{2,}$"));

/// The most lines of a mail's head.
const HEADERS: usize = 8;

/// Words that stand alone in comment sections and are no names.
const FURNITURE: [&str; 12] = [
    "reply", "replies", "share", "like", "likes", "comments", "comment", "report", "quote", "edit", "update",
    "delete",
];

/// What stands for the name of those who give none.
const UNNAMED: [&str; 3] = ["anonymous", "guest", "unknown"];

/// The authors that were met so far, but for the main one.
struct Authors {
    numbers: HashMap<String, usize>,
    /// By number; the main author has the first place.
    quoted: Vec<bool>,
}

impl Authors {
    fn none(&self) -> bool {
        self.quoted.len() == 1
    }

    /// The number of the author of this name, who speaks here or is quoted.
    fn number(&mut self, name: String, quoted: bool) -> usize {
        let next = self.quoted.len();
        // Two who give no name are two.
        let number = if is_unnamed(&name) { next } else { *self.numbers.entry(name).or_insert(next) };
        if number == next {
            self.quoted.push(quoted);
        }
        self.quoted[number] &= quoted;
        number
    }
}

/// Whether an account speaks for a company, by a part of its name.
fn is_company(name: &str) -> bool {
    const PARTS: [&str; 8] =
        ["official", "support", "customer", "service", "services", "care", "helpdesk", "team"];
    name.split(|c: char| !c.is_alphanumeric()).any(|part| PARTS.contains(&part))
}

fn is_unnamed(name: &str) -> bool {
    UNNAMED.contains(&name)
}

pub(super) fn read(text: &str, segments: &[Segment], content: &[bool]) -> Turns {
    let quoted = quoted(text, segments, content);
    let mut authors = Authors { numbers: HashMap::new(), quoted: vec![false] };
    // The main author may be unknown for the whole story.
    let mut main: Option<String> = None;
    let mut current = 0;
    let mut in_comments = false;
    let mut told = 0;
    let mut author = Vec::with_capacity(segments.len());
    for at in 0..segments.len() {
        let line = line(text, segments, at);
        let furniture = !content.get(at).copied().unwrap_or(true);
        if quoted.as_ref().is_some_and(|quoted| quoted[at]) {
            author.push(Some(authors.number(QUOTED.to_owned(), true)));
            continue;
        }
        if furniture && let Some((from, to)) = mail_head(text, segments, at) {
            if main.is_none() {
                // Whoever writes above a mail has received it, or passes on what they sent.
                let writer =
                    if told == 0 || signed(text, &segments[..at], &from) { Some(&from) } else { to.as_ref() };
                main = writer.cloned();
            }
            current = if main.as_ref() == Some(&from) { 0 } else { authors.number(from, true) };
            author.push(None);
            continue;
        }
        if furniture && told > 0 && is(&DIVIDER, line) && mail_head(text, segments, at + 1).is_none() {
            current = authors.number(QUOTED.to_owned(), true);
            author.push(None);
            continue;
        }
        if line.len() <= LINE && is(&SECTION, line) {
            in_comments = told > 0;
            author.push(None);
            continue;
        }
        let forum = |at| forum_head(text, segments, content, at);
        let head = heads(line, furniture, in_comments).or_else(|| Some((forum(at)?, false)));
        let Some((name, mut footer)) = head.filter(|_| line.len() <= LINE) else {
            told += usize::from(!furniture && current == 0);
            author.push(Some(current));
            continue;
        };
        if name.starts_with("originally") {
            author.push(None);
            continue;
        }
        // The only head of a post is the byline of the story, wherever it stands.
        footer |= told >= STORY
            && main.is_none()
            && authors.none()
            && forum(at).is_some()
            && !(at + 1..segments.len()).any(|at| forum(at).is_some());
        if footer && told >= STORY && main.is_none() && !in_comments {
            // "Posted by Hattie at 20:41" below a story: its own author.
            main = Some(name);
        } else if main.is_none() && told < STORY && !in_comments && authors.none() {
            main = Some(name);
            current = 0;
        } else if main.as_deref() == Some(name.as_str()) && !is_unnamed(&name) {
            current = 0;
        } else if !is_company(&name) {
            current = authors.number(name, false);
        } else if !in_comments {
            // In a thread a company answers whoever began it, among comments whoever spoke before.
            current = 0;
        }
        // "growthhackerpro: Great article!" is name and comment in one.
        author.push(if is(&NAME_THEN_WORDS, line) && in_comments { Some(current) } else { None });
    }
    Turns { author, quoted: authors.quoted }
}

/// Stands for whoever is quoted; no name of an author has it.
const QUOTED: &str = ">";

/// Which segments stand in lines that begin with ">", or `None` where nothing else is told.
fn quoted(text: &str, segments: &[Segment], content: &[bool]) -> Option<Vec<bool>> {
    let mut line = 0;
    let mut from = 0;
    let mut quoted = Vec::with_capacity(segments.len());
    for segment in segments {
        let start = segment.span.start();
        if let Some(end) = text.get(from..start).and_then(|before| before.rfind('\n')) {
            line = from + end + 1;
        }
        from = start;
        quoted
            .push(text.get(line..).is_some_and(|line| line.trim_start_matches([' ', '\t']).starts_with('>')));
    }
    let own = |at: &usize| !quoted[*at] && content.get(*at).copied().unwrap_or(true);
    let several = (0..segments.len()).filter(own).take(2).count() > 1;
    (several && quoted.contains(&true)).then_some(quoted)
}

/// Who sent the mail whose head begins in this line, and to whom: in lower case, the name or else the address.
fn mail_head(text: &str, segments: &[Segment], at: usize) -> Option<(String, Option<String>)> {
    let person = |value: &str| {
        let name = value.split(['<', '[', '(', ';']).next().filter(|name| !name.trim().is_empty());
        name.unwrap_or(value).trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
    };
    let is_field = |found: &Captures<'_>, names: &[&str]| {
        names.iter().any(|name| found["field"].eq_ignore_ascii_case(name))
    };
    let from = MAIL.captures(line(text, segments, at)).filter(|found| is_field(found, &["from"]))?;
    let next = from.name("next").map(|next| next.as_str().trim());
    let below = (at + 1..segments.len().min(at + HEADERS)).map(|at| line(text, segments, at));
    let others: Vec<Captures<'_>> =
        next.into_iter().chain(below).map_while(|line| MAIL.captures(line)).collect();
    // "From: Ida" and a date head a guest's entry, too.
    let divided = at > 0 && is(&DIVIDER, line(text, segments, at - 1));
    let sure = divided || others.iter().any(|found| is_field(found, &["to", "sent", "subject"]));
    let to = others.iter().find(|found| is_field(found, &["to"])).map(|found| person(&found["value"]));
    sure.then(|| (person(&from["value"]), to))
}

/// Whether the last lines are the signature of this person.
fn signed(text: &str, segments: &[Segment], name: &str) -> bool {
    let first = name.split(' ').next().unwrap_or(name);
    (segments.len().saturating_sub(HEADERS)..segments.len()).any(|at| {
        let line = line(text, segments, at).trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        line == name || line == first
    })
}

/// Whom the head of a post in a forum names, or the account that has this line to itself above what the forum tells of
/// its owner.
fn forum_head(text: &str, segments: &[Segment], content: &[bool], at: usize) -> Option<String> {
    let furniture = |at: usize| !content.get(at).copied().unwrap_or(true);
    let words = line(text, segments, at);
    let head = || FORUM.iter().filter(|_| furniture(at)).find_map(|head| head.captures(words));
    let owned = || furniture(at + 1) && is(&RANK, line(text, segments, at + 1)) && !is(&RANK, words);
    let found = if owned() { ACCOUNT.captures(words) } else { head() };
    let name = found?["name"].to_lowercase();
    (!FURNITURE.contains(&name.as_str())).then_some(name)
}

/// The words of a segment; none where there is no such segment.
fn line<'t>(text: &'t str, segments: &[Segment], at: usize) -> &'t str {
    segments.get(at).and_then(|segment| segment.span.get(text)).unwrap_or("").trim()
}

fn is(pattern: &LazyLock<Regex>, line: &str) -> bool {
    pattern.is_match(line)
}

/// The author whom a line names, in lower case, and whether such a line may also stand below a story.
fn heads(line: &str, furniture: bool, in_comments: bool) -> Option<(String, bool)> {
    let named = |pattern: &LazyLock<Regex>| {
        let found = pattern.captures(line)?;
        Some(found.name("name")?.as_str().trim_end_matches(['.', ',']).to_lowercase())
    };
    if let Some(name) = named(&BY) {
        return Some((name, line.to_lowercase().starts_with("posted")));
    }
    if line.to_lowercase().starts_with("originally posted") {
        return Some(("originally".to_owned(), false));
    }
    for pattern in [&SAYS, &USER, &MEMBER] {
        if let Some(name) = named(pattern) {
            return Some((name, false));
        }
    }
    if (in_comments || furniture && line.contains("post"))
        && let Some(name) = named(&DATED)
    {
        return Some((name, false));
    }
    if in_comments {
        for pattern in [&NAME, &NAME_THEN_WORDS] {
            if let Some(name) = named(pattern)
                && !FURNITURE.contains(&name.as_str())
                && (furniture || line.contains('_'))
            {
                return Some((name, false));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content;
    use crate::segment::segment;

    /// The author of each sentence that is part of the story, with its words.
    fn told(text: &str) -> Vec<(usize, &str)> {
        let segments = segment(text);
        let content: Vec<bool> = content::boilerplate(text, &segments).iter().map(Option::is_none).collect();
        let turns = read(text, &segments, &content);
        let lines = segments.iter().zip(&content).zip(&turns.author);
        lines
            .filter(|((_, content), _)| **content)
            .filter_map(|((segment, _), author)| Some(((*author)?, segment.span.get(text)?)))
            .collect()
    }

    #[test]
    fn forums_that_were_copied_as_text_have_an_author_for_each_post() {
        const FIRST: &str = "The gearbox broke in May.";
        const SECOND: &str = "Mine was mended in a day.";
        const THIRD: &str = "They have paid at last.";
        let threads = [
            (
                "by torque_9 » Mon Jun 04, 2012 9:41 pm",
                "by oldsaab » Tue Jun 05, 2012 8:02 am",
                "by torque_9 » Fri Jun 08, 2012 7:15 pm",
            ),
            (
                "Post by torque_9 » Mon Jun 04, 2012 9:41 pm",
                "Post by oldsaab » Tue Jun 05, 2012 8:02 am",
                "Post by torque_9 » Fri Jun 08, 2012 7:15 pm",
            ),
            (
                "by torque_9 on Mon Jun 04, 2012 9:41 pm",
                "by oldsaab on Tue Jun 05, 2012 8:02 am",
                "by torque_9 on Fri Jun 08, 2012 7:15 pm",
            ),
            ("r/Gears • Posted by u/torque_9 3 years ago", "oldsaab · 3 yr. ago", "torque_9 OP · 2 yr. ago"),
            ("torque_9 · 3 days ago", "oldsaab 2 days ago", "torque_9 1 day ago"),
            (
                "Submitted by torque_9 on Mon, 04/06/2012 - 21:41",
                "Submitted by oldsaab on Tue, 05/06/2012 - 08:02",
                "Submitted by torque_9 on Fri, 08/06/2012 - 19:15.",
            ),
            (
                "#1 - torque_9, 4 Jun 2012, 21:41",
                "#2 - oldsaab, 5 Jun 2012, 08:02",
                "#3 - torque_9, 8 Jun 2012, 19:15",
            ),
            (
                "torque_9\nSenior Member\nJoin Date: Mar 2008\nPosts: 41",
                "oldsaab\nRegistered User\nPosts: 3",
                "torque_9\nSenior Member\nPosts: 42",
            ),
        ];
        for (first, second, third) in threads {
            let text = format!("{first}\n\n{FIRST}\n\n{second}\n\n{SECOND}\n\n{third}\n\n{THIRD}\n");
            assert_eq!(told(&text), [(0, FIRST), (1, SECOND), (0, THIRD)], "{text}");
        }
    }

    #[test]
    fn a_company_that_answers_speaks_in_the_tale_that_it_answers() {
        let text = "by torque_9 » Mon Jun 04, 2012 9:41 pm\n\nThe gearbox broke in May.\n\n\
            by oldsaab » Tue Jun 05, 2012 8:02 am\n\nMine was mended in a day.\n\n\
            by Northgate_Support » Tue Jun 05, 2012 9:15 am\n\nWe have sent you a new one.";
        let authors: Vec<usize> = told(text).into_iter().map(|(author, _)| author).collect();
        assert_eq!(authors, [0, 1, 0]);
    }

    #[test]
    fn the_byline_of_a_story_parts_nothing() {
        const STORY: &str =
            "I rang them on Monday.\n\nNobody came.\n\nIn June I gave up.\n\nThey kept my money.";
        for byline in [
            "by torque_9 » Mon Jun 04, 2012 9:41 pm",
            "torque_9 · 3 yr. ago",
            "Submitted by torque_9 on Mon, 04/06/2012 - 21:41",
            "Rolf - June 6, 2014",
        ] {
            for text in [
                format!("The oven\n\n{byline}\n\n{STORY}"),
                format!("{STORY}\n\n{byline}"),
                // Below a summary.
                format!("{STORY}\n\n{byline}\n\nIt began in May.\n\nThe oven was cold."),
            ] {
                assert!(told(&text).iter().all(|(author, _)| *author == 0), "{text}");
            }
        }
    }

    #[test]
    fn below_the_head_of_another_mail_somebody_else_speaks() {
        let mail = |from: &str, to: &str, words: &str| {
            format!(
                "-----Original Message-----\nFrom: {from}\nSent: Monday, March 4, 2019 9:12 AM\nTo: {to}\nSubject: RE: Oven\n\n{words}"
            )
        };
        const DESK: &str = "Ovenland Service <desk@ovenland.example>";
        const IDA: &str = "Ida Krohn [mailto:ida@krohn.example]";
        let company = mail(DESK, IDA, "We refunded the deposit.");
        let customer = mail(IDA, DESK, "My oven is cold.");
        // Who answers a mail has received it.
        let text = format!("Nobody came.\n\n{company}\n\n{customer}");
        let wanted = [(0, "Nobody came."), (1, "We refunded the deposit."), (0, "My oven is cold.")];
        assert_eq!(told(&text), wanted);
        // Or has sent it, and says so.
        let text = format!("Nobody came.\n\nIda\n\n{customer}\n\n{company}");
        assert_eq!(
            told(&text),
            [(0, "Nobody came."), (0, "Ida"), (0, "My oven is cold."), (1, "We refunded the deposit.")]
        );
        // A mail that begins with its head is that of its sender.
        let text =
            format!("From: {IDA}\nTo: {DESK}\nSubject: Oven\n\nNobody came.\n\n{company}\n\n{customer}");
        assert_eq!(told(&text), wanted);
        // Without a head, somebody is quoted all the same.
        let text = "Nobody came.\n\nI gave up.\n\n-----Original Message-----\n\nWe refunded the deposit.";
        assert_eq!(told(text), [(0, "Nobody came."), (0, "I gave up."), (1, "We refunded the deposit.")]);
        // Guests have entries of their own.
        let text = "From: Ida\nDate: 4 March 2019\n\nNobody came.\n\nFrom: Ben\nDate: 5 March 2019\n\nThey came at once.";
        let segments = segment(text);
        let turns = read(text, &segments, &vec![true; segments.len()]);
        assert_eq!(turns.quoted, [false, false]);
    }

    #[test]
    fn nobody_without_a_name_is_anybody_else() {
        let text = "The shop on the corner lost my coat.\n\nThey found it in June.\n\nIt was dry.\n\n4 Comments\n\nAnonymous says:\n\n\
            They lost my hat.\n\nPetra V. says:\n\nPoor you.\n\nAnonymous says:\n\nThey lost my scarf.\n\nPetra V. says:\n\nThey lost my glove.";
        let authors: Vec<usize> = told(text).into_iter().map(|(author, _)| author).collect();
        assert_eq!(authors, [0, 0, 0, 1, 2, 3, 2]);
        // Whoever began the thread without a name is none of those who answer without one.
        let text = "Anonymous says:\n\nThey lost my hat.\n\nAnonymous says:\n\nThey lost my scarf.";
        assert_eq!(told(text), [(0, "They lost my hat."), (1, "They lost my scarf.")]);
    }
}
