//! Web pages to text: the article, and what readers or forum members wrote below it.
//!
//! # Why this way
//!
//! Main-content extraction (dom_smoothie, the algorithm of browsers' reading views) is made to throw comments away, and
//! takes a forum page for one article or for none. Here both are half of what customers write. So posts are looked
//! for first, by the classes and microdata that blog and forum software gives them, and taken out with their authors; only
//! the rest is searched for an article.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use dom_query::{Document, NodeRef};
use dom_smoothie::{Config, Readability};

use super::lines::{Break, Lines};
use super::turns::{Out, speaker};
use super::{Parts, ReadError};
use posts::{Post, Posts, Subject};

mod posts;
mod render;
mod sink;
mod tree;

/// A page of more nodes is not searched for an article: its text is taken whole. Books have such pages.
const MOST_NODES: usize = 200_000;
/// An article of fewer bytes is a caption or a button.
const LEAST_ARTICLE: usize = 25;
/// A line of fewer bytes may be a link or a label.
const PARAGRAPH: usize = 80;
/// Headings among which that of the article is looked for.
const HEADINGS: usize = 20;
/// The longest author's name that is believed.
const LONG_NAME: usize = 60;

/// The text of a page.
pub(super) fn read(html: &str, whole: bool) -> Result<Parts, ReadError> {
    let page = tree::parse(html)?;
    let title = title(&page);
    if whole {
        let mut lines = Lines::new();
        render::visible(&page.root(), &mut lines);
        return Ok(Parts { text: lines.finish(), title, turns: Vec::new() });
    }
    let Posts { posts, subject, rest } = posts::take(&page);
    let article = match subject {
        Subject::Article => Some(article(&page)),
        // Praise on cards beside a post of a blog has the marks of reviews.
        Subject::Entries(bytes) => main_content(&page).filter(|article| prose(&article.text) > bytes),
        Subject::Thread => None,
    };
    let thread = article.is_none();
    let mut out = Out::default();
    if let Some(article) = article {
        out.title(
            article.title.as_deref().or(title.as_deref()).filter(|title| !begins_with(&article.text, title)),
        );
        let byline = article.byline.filter(|_| !posts.is_empty());
        if let Some(name) = &byline {
            out.line(&format!("Posted by {}", speaker(name)));
        }
        out.turn(&article.text, byline);
    } else {
        out.title(title.as_deref());
    }
    let below = !thread && (!posts.is_empty() || !rest.is_empty());
    if below && !out.text.is_empty() {
        out.line("Comments");
    }
    let mut known = Shingles::default();
    known.learn(&out.text);
    for Post { author, text } in posts {
        let text = known.without_known_quotes(&text);
        if text.is_empty() {
            continue;
        }
        known.learn(&text);
        out.line(&format!("{} says:", author.as_deref().map_or_else(|| "Anonymous".into(), speaker)));
        out.turn(&text, author);
    }
    for text in rest {
        out.turn(&text, None);
    }
    Ok(Parts { text: out.text, title, turns: out.turns })
}

/// The text of a page that stands in a mail: all of it, quotations marked as in plain mails.
#[cfg(feature = "email")]
pub(super) fn mail_text(html: &str) -> Result<String, ReadError> {
    let page = tree::parse(html)?;
    let mut lines = Lines::new();
    render::mail(&page.root(), &mut lines);
    Ok(lines.finish())
}

struct Article {
    text: String,
    title: Option<String>,
    byline: Option<String>,
}

/// The article of a page, or all its text but navigation where no article is found.
fn article(page: &Document) -> Article {
    main_content(page).unwrap_or_else(|| {
        let mut lines = Lines::new();
        render::body(&page.root(), &mut lines);
        Article { text: lines.finish(), title: None, byline: None }
    })
}

/// Bytes of the paragraphs of a text; lists of links have short lines.
fn prose(text: &str) -> usize {
    text.lines().map(str::len).filter(|&bytes| bytes >= PARAGRAPH).sum()
}

fn main_content(page: &Document) -> Option<Article> {
    if page.tree.len() > MOST_NODES {
        return None;
    }
    // Structured data is not needed, and its parser is not made for what strangers write.
    let config = Config { disable_json_ld: true, ..Config::default() };
    let mut readability = Readability::with_document(page.clone(), None, Some(config)).ok()?;
    let found = readability.parse().ok()?;
    let content = readability.doc.try_select("#readability-page-1")?;
    let mut lines = Lines::new();
    render::visible(content.nodes().first()?, &mut lines);
    let text = lines.finish();
    let title = one_line(&found.title);
    let title = Some(headline(page, &title).unwrap_or(title)).filter(|title| !title.is_empty());
    let byline = found.byline.as_deref().and_then(posts::author_name);
    (text.len() >= LEAST_ARTICLE).then_some(Article { text, title, byline })
}

/// The first main heading, or the title in the head.
fn title(page: &Document) -> Option<String> {
    ["h1", "title"].into_iter().find_map(|name| {
        let found = page.try_select(name)?;
        found.nodes().iter().map(|node| one_line(&node_text(node))).find(|title| !title.is_empty())
    })
}

/// The heading of the page with which a title begins that goes on with the name of the site.
fn headline(page: &Document, title: &str) -> Option<String> {
    let found = page.try_select("h1, h2")?;
    found.nodes().iter().take(HEADINGS).map(|node| one_line(&node_text(node))).find(|heading| {
        let rest = title.strip_prefix(heading.as_str()).filter(|_| !heading.is_empty());
        rest.is_some_and(|rest| rest.trim_start().starts_with(['|', '-', '–', '—', '·', '»', '/']))
    })
}

fn node_text(node: &NodeRef<'_>) -> String {
    let mut lines = Lines::new();
    render::visible(node, &mut lines);
    lines.finish()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether one of the first lines of a text is this title.
fn begins_with(text: &str, title: &str) -> bool {
    text.lines().filter(|line| !line.is_empty()).take(3).any(|line| line.trim() == title)
}

/// Runs of words that the page has said so far.
#[derive(Default)]
struct Shingles {
    seen: HashSet<u64, BuildHasherDefault<DefaultHasher>>,
}

/// Words in a run.
const RUN: usize = 4;

impl Shingles {
    fn runs(&self, text: &str) -> Vec<u64> {
        let words: Vec<String> = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        words.windows(RUN.min(words.len().max(1))).map(|run| self.seen.hasher().hash_one(run)).collect()
    }

    fn learn(&mut self, text: &str) {
        let runs = self.runs(text);
        self.seen.extend(runs);
    }

    /// A post without the quotations of what was said before. Marks of kept ones are taken off.
    fn without_known_quotes(&self, post: &str) -> String {
        let mut kept = Lines::new();
        let lines: Vec<&str> = post.lines().collect();
        for part in lines.chunk_by(|a, b| a.starts_with('>') == b.starts_with('>')) {
            let quote = part[0].starts_with('>');
            let bare: Vec<&str> = part.iter().map(|line| line.trim_start_matches(['>', ' '])).collect();
            let bare = if quote { bare.join("\n") } else { part.join("\n") };
            if quote {
                let runs = self.runs(&bare);
                let known = runs.iter().filter(|run| self.seen.contains(run)).count();
                if runs.is_empty() || known * 10 >= runs.len() * 8 {
                    continue;
                }
            }
            kept.end(Break::Block);
            for line in bare.lines() {
                if line.is_empty() {
                    kept.end(Break::Block);
                } else {
                    kept.preformatted(line);
                    kept.end(Break::Line);
                }
            }
        }
        kept.finish()
    }
}
