//! Who writes: the author of a post, and those who answer below it.
//!
//! Forums and comment sections announce each author in a line of its own: "Dermot K. says:", "Julie_W - Member -
//! Posts: 88", "Reply by old_tel, 3 Oct". What stands before the first comment is the main story; an author who
//! comes back goes on with their own. Lines that begin with ">" quote somebody else, as mail programs do.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::fixed;
use crate::segment::Segment;

/// For each segment the number of its author, 0 for the main story, and `None` for the line that names one.
pub(super) struct Turns {
    pub(super) author: Vec<Option<usize>>,
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

/// Words that stand alone in comment sections and are no names.
const FURNITURE: [&str; 12] = [
    "reply", "replies", "share", "like", "likes", "comments", "comment", "report", "quote", "edit", "update",
    "delete",
];

pub(super) fn read(text: &str, segments: &[Segment], content: &[bool]) -> Turns {
    let quoted = quoted(text, segments, content);
    let mut names: HashMap<String, usize> = HashMap::new();
    // The main author may be unknown for the whole story.
    let mut main: Option<String> = None;
    let mut current = 0;
    let mut in_comments = false;
    let mut told = 0;
    let mut author = Vec::with_capacity(segments.len());
    for (at, segment) in segments.iter().enumerate() {
        let line = segment.span.get(text).unwrap_or("").trim();
        let furniture = !content.get(at).copied().unwrap_or(true);
        if quoted.as_ref().is_some_and(|quoted| quoted[at]) {
            let next = names.len() + 1;
            author.push(Some(*names.entry(QUOTED.to_owned()).or_insert(next)));
            continue;
        }
        if line.len() <= LINE && is(&SECTION, line) {
            in_comments = told > 0;
            author.push(None);
            continue;
        }
        let Some((name, footer)) = heads(line, furniture, in_comments).filter(|_| line.len() <= LINE) else {
            told += usize::from(!furniture && current == 0);
            author.push(Some(current));
            continue;
        };
        if name.starts_with("originally") {
            author.push(None);
            continue;
        }
        if footer && told >= STORY && main.is_none() && !in_comments {
            // "Posted by Hattie at 20:41" below a story: its own author.
            main = Some(name);
        } else if main.is_none() && told < STORY && !in_comments && names.is_empty() {
            main = Some(name);
            current = 0;
        } else if main.as_deref() == Some(name.as_str()) {
            current = 0;
        } else {
            let next = names.len() + 1;
            current = *names.entry(name).or_insert(next);
        }
        // "growthhackerpro: Great article!" is name and comment in one.
        author.push(if is(&NAME_THEN_WORDS, line) && in_comments { Some(current) } else { None });
    }
    Turns { author }
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
