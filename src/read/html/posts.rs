//! Comments, answers, reviews and forum posts in a page: which elements they are, and who wrote them.
//!
//! # Why this way
//!
//! No standard says how a page marks a comment, but software is made by few: the class has `comment`, `reply`,
//! `review`, `post` or `message` in it, or microdata says so, and inside it the author stands in an element whose
//! class says `author`, `user`, `fn` or the like. An element counts only if both are there. `post` and `message` are
//! also classes of the article itself, so those count only where several people wrote several of them.

use std::collections::{HashMap, HashSet};

use dom_query::{Document, NodeId, NodeRef};

use super::{LONG_NAME, one_line, render};

/// What one reader or member wrote.
pub(super) struct Post {
    pub(super) author: Option<String>,
    /// Quotations in it stand behind "> ".
    pub(super) text: String,
}

/// What a page is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// An article; posts are comments on it.
    Article,
    /// Answers or reviews of so many bytes, unless a longer article stands beside them.
    Entries(usize),
    /// What is written in a forum; there is no article.
    Thread,
}

/// What was taken out of a page.
pub(super) struct Posts {
    pub(super) posts: Vec<Post>,
    pub(super) subject: Subject,
    /// Comment sections in which no single comment could be told.
    pub(super) rest: Vec<String>,
}

/// What the mark-up says that an element is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A comment on something.
    Comment,
    /// An answer or a review: several of them are what the page is about.
    Entry,
    /// A post of a forum, if others stand beside it.
    Post,
}

/// An element that may be a post.
struct Candidate<'a> {
    node: NodeRef<'a>,
    kind: Kind,
    /// The author's element and name.
    author: Option<(NodeRef<'a>, String)>,
    /// Every element that names somebody: forums name the author beside the post and once more above its words.
    named: Vec<(NodeRef<'a>, String)>,
}

/// Elements inside a post that are none of its words, by a part of their class.
const APPARATUS: [&str; 22] = [
    "reply",
    "replies",
    "meta",
    "metadata",
    "metainfo",
    "date",
    "datetime",
    "time",
    "timestamp",
    "permalink",
    "actions",
    "action",
    "buttons",
    "toolbar",
    "edit",
    "says",
    "avatar",
    "signature",
    "sig",
    "votes",
    "vote",
    "rank",
];
/// Elements of a post that hold its words, by a part of their class.
const BODIES: [&str; 9] = [
    "content",
    "body",
    "text",
    "message",
    "postbody",
    "postcontent",
    "bodytext",
    "description",
    "commenttext",
];
/// Elements that name an author, by a part of their class.
const AUTHORS: [&str; 16] = [
    "author",
    "fn",
    "username",
    "user",
    "poster",
    "nickname",
    "nick",
    "commenter",
    "reviewer",
    "postauthor",
    "commentauthor",
    "authorname",
    "postername",
    "displayname",
    "member",
    "login",
];
/// Links of a post that are buttons.
const BUTTONS: [&str; 14] = [
    "reply",
    "report",
    "like",
    "permalink",
    "quote",
    "share",
    "flag",
    "edit",
    "delete",
    "upvote",
    "downvote",
    "#",
    "link",
    "report abuse",
];

/// Takes the posts out of the page.
pub(super) fn take(page: &Document) -> Posts {
    let nodes: Vec<NodeRef<'_>> = page.root().descendants_it().collect();
    let candidates = candidates(&nodes);
    let mut subject = subject(&candidates);
    let thread = subject != Subject::Article;
    let kept: Vec<&Candidate<'_>> = candidates
        .iter()
        .filter(|candidate| candidate.author.is_some() && (thread || candidate.kind == Kind::Comment))
        .collect();
    let own: HashSet<NodeId> = kept.iter().map(|candidate| candidate.node.id).collect();
    let mut posts = Vec::new();
    for candidate in &kept {
        let Some(post) = post(candidate, &own) else { continue };
        if let Subject::Entries(bytes) = &mut subject {
            *bytes += if candidate.kind == Kind::Entry { post.text.len() } else { 0 };
        }
        posts.push(post);
    }
    for candidate in &kept {
        candidate.node.remove_from_parent();
    }
    let mut rest = Vec::new();
    for section in sections(&nodes) {
        if posts.is_empty() && !thread {
            let text = render::post(&section, &|node, name| name == "form" || is_button(node, name));
            if !text.is_empty() {
                rest.push(text);
            }
        }
        section.remove_from_parent();
    }
    if posts.is_empty() {
        subject = Subject::Article;
    }
    Posts { subject, posts, rest }
}

/// The elements that may be posts, in the order of the page, each with the author that is named in it and in no
/// candidate inside it.
fn candidates<'a>(nodes: &[NodeRef<'a>]) -> Vec<Candidate<'a>> {
    let mut candidates: Vec<Candidate<'a>> = Vec::new();
    let mut places: HashMap<NodeId, usize> = HashMap::new();
    for node in nodes {
        if let Some(kind) = kind(node) {
            places.insert(node.id, candidates.len());
            candidates.push(Candidate { node: *node, kind, author: None, named: Vec::new() });
        }
    }
    if candidates.is_empty() {
        return candidates;
    }
    for node in nodes.iter().filter(|node| names_author(node)) {
        let Some(name) = own_name(node) else { continue };
        let mut quoted = false;
        let inner = node.ancestors_it(None).find_map(|up| {
            quoted |= up.has_name("blockquote");
            places.get(&up.id).copied()
        });
        if quoted || node.has_name("blockquote") {
            continue;
        }
        let Some(at) = inner.or_else(|| places.get(&node.id).copied()) else { continue };
        let Candidate { author, named, .. } = &mut candidates[at];
        named.push((*node, name.clone()));
        // "by <b class=fn>Ida</b>" inside "comment-author": the innermost is the name.
        let inside = |(outer, _): &(NodeRef<'_>, String)| node.ancestors_it(None).any(|up| up.id == outer.id);
        if author.as_ref().is_none_or(inside) {
            *author = Some((*node, name));
        }
    }
    candidates
}

/// Whether the posts may be what the page is about: answers, reviews, or a forum in which several people write.
fn subject(candidates: &[Candidate<'_>]) -> Subject {
    let of = |kind: Kind| candidates.iter().filter(move |c| c.kind == kind && c.author.is_some());
    if of(Kind::Entry).count() >= 2 {
        return Subject::Entries(0);
    }
    let authors: HashSet<&str> =
        of(Kind::Post).filter_map(|c| c.author.as_ref()).map(|(_, name)| name.as_str()).collect();
    // Cards of other articles have authors, too, and lead to another page.
    let cards = of(Kind::Post).filter(|c| is_card(&c.node)).count();
    if authors.len() >= 2 && cards * 2 < of(Kind::Post).count() { Subject::Thread } else { Subject::Article }
}

/// Whether an element shows a link to an article rather than the article: its heading leads to another page.
fn is_card(node: &NodeRef<'_>) -> bool {
    node.descendants_it().filter(|inner| inner.has_name("a")).any(|link| {
        let elsewhere = link.attr("href").is_some_and(|href| !href.contains('#') && !href.is_empty());
        elsewhere
            && link
                .ancestors_it(Some(3))
                .any(|up| ["h1", "h2", "h3", "h4"].iter().any(|name| up.has_name(name)))
    })
}

fn post(candidate: &Candidate<'_>, own: &HashSet<NodeId>) -> Option<Post> {
    let (_, name) = candidate.author.as_ref()?;
    // The elements that name the author, and those around them.
    let mut names: HashSet<NodeId> = HashSet::new();
    let mut around: HashSet<NodeId> = HashSet::new();
    for (node, _) in candidate.named.iter().filter(|(_, other)| other == name) {
        names.insert(node.id);
        around.extend(node.ancestors_it(None).map(|up| up.id).take_while(|id| *id != candidate.node.id));
    }
    let foreign = |node: &NodeRef<'_>| own.contains(&node.id) && node.id != candidate.node.id;
    let skip = |node: &NodeRef<'_>, name: &str| {
        foreign(node)
            || names.contains(&node.id)
            || matches!(name, "time" | "form" | "cite")
            || has_part(node, &APPARATUS)
            || is_button(node, name)
            || name == "blockquote" && quotes_somebody(node)
    };
    let inside = |node: &NodeRef<'_>, found: &dyn Fn(&NodeRef<'_>) -> bool| {
        node.ancestors_it(None).take_while(|up| up.id != candidate.node.id).any(|up| found(&up))
    };
    let is_body = |node: &NodeRef<'_>| {
        node.is_element()
            && !foreign(node)
            && (has_part(node, &BODIES) || has_property(node, &["text", "reviewbody", "description"]))
            && !around.contains(&node.id)
            && !names.contains(&node.id)
            && !inside(node, &|up| own.contains(&up.id))
    };
    let is_apparatus = |node: &NodeRef<'_>| has_part(node, &APPARATUS);
    let bodies = || candidate.node.descendants_it().filter(is_body);
    // "datetime secondary-text" holds a date; but "reply-content" is a body where nothing else is.
    let body =
        bodies().find(|node| !is_apparatus(node) && !inside(node, &is_apparatus)).or_else(|| bodies().next());
    let mut text = body.map(|body| render::post(&body, &skip)).unwrap_or_default();
    if text.is_empty() {
        text = render::post(&candidate.node, &skip);
    }
    (!text.is_empty()).then(|| Post { author: Some(name.clone()), text })
}

/// What class and microdata say that an element is.
fn kind(node: &NodeRef<'_>) -> Option<Kind> {
    if !node.is_element()
        || ["html", "body", "main", "form", "a", "span"].iter().any(|name| node.has_name(name))
    {
        return None;
    }
    if let Some(what) = node.attr("itemtype") {
        let what = what.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        match what.as_str() {
            "comment" | "usercomments" => return Some(Kind::Comment),
            "answer" | "question" | "review" | "userreview" => return Some(Kind::Entry),
            _ => {}
        }
    }
    let class = node.attr("class")?.to_ascii_lowercase();
    class.split_ascii_whitespace().find_map(|token| {
        let token = token.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['-', '_']);
        let mut parts: Vec<&str> = token.split(['-', '_']).filter(|part| !part.is_empty()).collect();
        const CASES: [&str; 12] = [
            "item",
            "entry",
            "block",
            "container",
            "wrap",
            "wrapper",
            "node",
            "box",
            "row",
            "card",
            "single",
            "user",
        ];
        parts.retain(|part| !CASES.contains(part));
        match parts.as_slice() {
            ["comment" | "reply"] => Some(Kind::Comment),
            ["answer" | "review" | "question"] => Some(Kind::Entry),
            ["post" | "message" | "postcontainer" | "postbit" | "postbitlegacy"]
            | ["topic" | "forum", "post"] => Some(Kind::Post),
            _ => None,
        }
    })
}

fn has_part(node: &NodeRef<'_>, parts: &[&str]) -> bool {
    node.attr("class").is_some_and(|class| {
        class
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|part| parts.iter().any(|p| part.eq_ignore_ascii_case(p)))
    })
}

fn has_property(node: &NodeRef<'_>, names: &[&str]) -> bool {
    node.attr("itemprop").is_some_and(|value| {
        value.split_ascii_whitespace().any(|part| names.iter().any(|name| part.eq_ignore_ascii_case(name)))
    })
}

fn names_author(node: &NodeRef<'_>) -> bool {
    node.is_element()
        && (has_part(node, &AUTHORS)
            || has_property(node, &["author", "creator"])
            || node.attr("rel").is_some_and(|rel| &*rel == "author")
            || node.has_name("cite"))
}

/// The name that an element shows, if it is as short as names are.
fn own_name(node: &NodeRef<'_>) -> Option<String> {
    // An element of pages of text need not be rendered to know that it is no name.
    let mut bytes = 0;
    for inner in node.descendants_it().filter(NodeRef::is_text) {
        bytes += inner.text().trim().len();
        if bytes > 4 * LONG_NAME {
            return None;
        }
    }
    author_name(&render::post(node, &|_, _| false))
}

/// A name without what stands around it: "by Ida K. says:" is Ida K.
pub(super) fn author_name(shown: &str) -> Option<String> {
    let line = one_line(shown.lines().find(|line| !line.trim().is_empty())?);
    let mut name = line.trim_end_matches([':', ',', '|', '·', '.', '…', ' ']);
    for end in [" says", " said", " wrote", " writes"] {
        name = name.strip_suffix(end).unwrap_or(name);
    }
    for start in ["by ", "written by ", "posted by "] {
        if name.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start)) {
            name = &name[start.len()..];
        }
    }
    let name = name.trim().trim_end_matches(':');
    let shape = !name.is_empty() && name.len() <= LONG_NAME && name.split(' ').count() <= 5;
    (shape && name.chars().any(char::is_alphanumeric)).then(|| name.to_owned())
}

fn is_button(node: &NodeRef<'_>, name: &str) -> bool {
    name == "a" && {
        let text = node.text();
        let text = text.trim();
        text.len() <= 24 && BUTTONS.iter().any(|button| text.eq_ignore_ascii_case(button))
    }
}

/// Whether a quotation names whom it quotes: then its words are not the writer's.
fn quotes_somebody(node: &NodeRef<'_>) -> bool {
    node.descendants_it().take(12).any(|inner| {
        inner.has_name("cite")
            || inner.is_text() && {
                let text = inner.text();
                let text = text.trim();
                text.len() <= 80 && ["wrote:", "said:"].iter().any(|end| text.ends_with(end))
            }
    })
}

/// The comment sections of the page: elements whose id or class says so, the outermost ones.
fn sections<'a>(nodes: &[NodeRef<'a>]) -> Vec<NodeRef<'a>> {
    const NAMES: [&str; 11] = [
        "comments",
        "comment-list",
        "commentlist",
        "comments-area",
        "comments-section",
        "comment-section",
        "respond",
        "comment-respond",
        "disqus_thread",
        "comment-form",
        "commentform",
    ];
    let named = |value: Option<_>| {
        value.is_some_and(|value: html5ever::tendril::StrTendril| {
            value
                .split_ascii_whitespace()
                .any(|token| NAMES.iter().any(|name| token.eq_ignore_ascii_case(name)))
        })
    };
    let mut found: Vec<NodeRef<'a>> = Vec::new();
    for node in nodes {
        let element =
            node.is_element() && !node.has_name("body") && !node.has_name("html") && !node.has_name("a");
        if element && (named(node.id_attr()) || named(node.class())) {
            let inside =
                node.ancestors_it(None).any(|up| found.iter().rev().take(4).any(|outer| outer.id == up.id));
            if !inside {
                found.push(*node);
            }
        }
    }
    found
}
