//! A tree of elements to lines of text.

use std::borrow::Cow;

use dom_query::{LocalName, NodeData, NodeId, NodeRef};

use crate::read::lines::{Break, Lines};

/// What an element means for the lines.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Part of the running text.
    Inline,
    /// Its content is left out.
    Nothing,
    Break,
    Block,
    Line,
    List,
    Item,
    Cell,
    Pre,
    Quote,
}

fn shape(name: &str) -> Shape {
    match name {
        "script" | "style" | "template" | "noscript" | "head" | "iframe" | "object" | "embed" | "svg"
        | "math" | "canvas" | "video" | "audio" | "select" | "datalist" | "button" | "input" | "textarea"
        | "meter" | "progress" => Shape::Nothing,
        "br" => Shape::Break,
        "p" | "div" | "section" | "article" | "main" | "header" | "footer" | "aside" | "nav" | "h1"
        | "h2" | "h3" | "h4" | "h5" | "h6" | "table" | "dl" | "hr" | "form" | "fieldset" | "figure"
        | "details" | "address" | "hgroup" | "center" => Shape::Block,
        "tr" | "dt" | "dd" | "caption" | "figcaption" | "legend" | "summary" | "option" => Shape::Line,
        "ul" | "ol" | "menu" | "dir" => Shape::List,
        "li" => Shape::Item,
        "td" | "th" => Shape::Cell,
        "pre" | "listing" | "xmp" | "plaintext" => Shape::Pre,
        "blockquote" => Shape::Quote,
        _ => Shape::Inline,
    }
}

/// What to leave out and how to write quotations.
struct Style<'s> {
    skip: &'s dyn Fn(&NodeRef<'_>, &str) -> bool,
    quotes: bool,
}

/// All that a reader of the page sees.
pub(super) fn visible(root: &NodeRef<'_>, lines: &mut Lines) {
    write(root, lines, &Style { skip: &|_, _| false, quotes: false });
}

/// All that a reader sees but navigation.
pub(super) fn body(root: &NodeRef<'_>, lines: &mut Lines) {
    write(root, lines, &Style { skip: &|_, name| name == "nav", quotes: false });
}

/// A mail that was written as a page: quotations become lines with "> ".
#[cfg(feature = "email")]
pub(super) fn mail(root: &NodeRef<'_>, lines: &mut Lines) {
    write(root, lines, &Style { skip: &|_, _| false, quotes: true });
}

/// A post, without the elements that `skip` names; quotations become lines with "> ".
pub(super) fn post(root: &NodeRef<'_>, skip: &dyn Fn(&NodeRef<'_>, &str) -> bool) -> String {
    let mut lines = Lines::new();
    write(root, &mut lines, &Style { skip, quotes: true });
    lines.finish()
}

/// Walks through the tree without recursion: a page may nest as deep as the limit of `tree` lets it.
fn write(root: &NodeRef<'_>, lines: &mut Lines, style: &Style<'_>) {
    let mut writer = Writer { lines, lists: Vec::new(), pre: 0, style };
    let mut at = *root;
    loop {
        if writer.open(&at, at.id == root.id) {
            if let Some(child) = at.first_child() {
                at = child;
                continue;
            }
            writer.close(&at);
        }
        loop {
            if at.id == root.id {
                return;
            }
            if let Some(next) = at.next_sibling() {
                at = next;
                break;
            }
            let Some(parent) = at.parent() else { return };
            at = parent;
            writer.close(&at);
        }
    }
}

struct Writer<'w, 's> {
    lines: &'w mut Lines,
    /// The number of the next item of each open list; `None` for bullets.
    lists: Vec<(NodeId, Option<u64>)>,
    pre: usize,
    style: &'w Style<'s>,
}

impl Writer<'_, '_> {
    /// Writes what stands before the content of a node; whether its content is to be written.
    fn open(&mut self, node: &NodeRef<'_>, root: bool) -> bool {
        let Some(name) = name(node) else {
            node.query(|data| {
                if let NodeData::Text { contents } = &data.data {
                    if self.pre > 0 {
                        self.lines.preformatted(contents);
                    } else {
                        self.lines.words(contents);
                    }
                }
            });
            return true;
        };
        let shape = shape(&name);
        if shape == Shape::Nothing || !root && (is_hidden(node) || (self.style.skip)(node, &name)) {
            return false;
        }
        match shape {
            Shape::Break => self.lines.line_break(),
            Shape::Block => self.lines.end(Break::Block),
            Shape::Line => self.lines.end(Break::Line),
            Shape::List => {
                self.lines.end(if self.lists.is_empty() { Break::Block } else { Break::Line });
                let first = node.attr("start").and_then(|start| start.trim().parse().ok()).unwrap_or(1);
                self.lists.push((node.id, (&*name == "ol").then_some(first)));
            }
            Shape::Item => {
                let marker: Cow<'_, str> = match self.lists.last_mut() {
                    Some((_, Some(number))) => {
                        let marker = format!("{number}. ");
                        *number = number.saturating_add(1);
                        marker.into()
                    }
                    _ => "- ".into(),
                };
                self.lines.mark(&marker);
            }
            Shape::Cell => self.lines.cell(),
            Shape::Pre => {
                self.lines.end(Break::Block);
                self.pre += 1;
            }
            Shape::Quote if self.style.quotes => self.lines.quote(),
            Shape::Quote => self.lines.end(Break::Block),
            Shape::Inline | Shape::Nothing => {}
        }
        true
    }

    /// Writes what stands behind the content of a node.
    fn close(&mut self, node: &NodeRef<'_>) {
        let Some(name) = name(node) else { return };
        match shape(&name) {
            Shape::Block => self.lines.end(Break::Block),
            Shape::Line => self.lines.end(Break::Line),
            Shape::List => {
                self.lists.pop_if(|(list, _)| *list == node.id);
                self.lines.end(if self.lists.is_empty() { Break::Block } else { Break::Line });
            }
            Shape::Item => {
                self.lines.unmark();
                self.lines.end(Break::Line);
            }
            Shape::Pre => {
                self.lines.end(Break::Block);
                self.pre = self.pre.saturating_sub(1);
            }
            Shape::Quote if self.style.quotes => self.lines.unquote(),
            Shape::Quote => self.lines.end(Break::Block),
            Shape::Inline | Shape::Nothing | Shape::Break | Shape::Cell => {}
        }
    }
}

/// The name of an element, lower case; `None` for what is no element.
pub(super) fn name(node: &NodeRef<'_>) -> Option<LocalName> {
    node.query(|data| match &data.data {
        NodeData::Element(element) => Some(element.name.local.clone()),
        _ => None,
    })
    .flatten()
}

fn is_hidden(node: &NodeRef<'_>) -> bool {
    if node.has_attr("hidden") || node.attr("aria-hidden").is_some_and(|value| &*value == "true") {
        return true;
    }
    node.attr("style").is_some_and(|style| {
        let style: String = style.chars().filter(|c| !c.is_whitespace()).collect();
        style.to_ascii_lowercase().contains("display:none")
    })
}
