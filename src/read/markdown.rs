//! Markdown to text.
//!
//! The parser is pulldown-cmark. Tags of embedded HTML are taken out and the text between them is kept, so that a
//! story inside `<details>` is not lost.

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};

use super::lines::{Break, Lines};

/// The text of a Markdown document.
pub(super) fn text(markdown: &str) -> String {
    let mut writer =
        Writer { lines: Lines::new(), lists: Vec::new(), silent: 0, bare_links: 0, html: String::new() };
    writer.write(markdown, true);
    writer.lines.finish()
}

fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
}

struct Writer {
    lines: Lines,
    /// The number of the next item of each open list; `None` for bullets.
    lists: Vec<Option<u64>>,
    /// Open elements whose text is left out.
    silent: usize,
    /// Open links between angle brackets; links do not nest, so the next end of one is theirs.
    bare_links: usize,
    /// The HTML block that is being gathered.
    html: String,
}

impl Writer {
    fn write(&mut self, markdown: &str, html: bool) {
        for event in Parser::new_ext(markdown, options()) {
            match event {
                Event::Start(tag) => self.open(&tag),
                Event::End(TagEnd::HtmlBlock) => {
                    let block = std::mem::take(&mut self.html);
                    self.lines.end(Break::Block);
                    // The text between the tags may hold entities and marks: it is Markdown once more, but only once.
                    if html {
                        self.write(&without_tags(&block), false);
                        self.lines.end(Break::Block);
                    }
                }
                Event::End(tag) => self.close(tag),
                Event::Text(words) | Event::Code(words) if self.silent == 0 => self.lines.words(&words),
                Event::SoftBreak if self.silent == 0 => self.lines.words(" "),
                Event::HardBreak => self.lines.line_break(),
                Event::Rule => self.lines.end(Break::Block),
                Event::Html(block) => self.html.push_str(&block),
                Event::InlineHtml(tag) if tag.get(..3).is_some_and(|tag| tag.eq_ignore_ascii_case("<br")) => {
                    self.lines.line_break();
                }
                _ => {}
            }
        }
    }

    fn open(&mut self, tag: &Tag<'_>) {
        match tag {
            // What is quoted is somebody else's, as in mails.
            Tag::BlockQuote(_) => self.lines.quote(),
            Tag::Paragraph | Tag::Heading { .. } | Tag::Table(_) => {
                // A paragraph that opens an item stands on the item's line.
                self.lines.end(Break::Block);
            }
            Tag::List(first) => {
                self.lines.end(if self.lists.is_empty() { Break::Block } else { Break::Line });
                self.lists.push(*first);
            }
            Tag::Item => {
                let marker = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        let marker = format!("{number}. ");
                        *number = number.saturating_add(1);
                        marker
                    }
                    _ => "- ".to_owned(),
                };
                self.lines.mark(&marker);
            }
            Tag::TableHead | Tag::TableRow | Tag::DefinitionListTitle | Tag::DefinitionListDefinition => {
                self.lines.end(Break::Line);
            }
            Tag::TableCell => self.lines.cell(),
            Tag::CodeBlock(_) | Tag::Image { .. } | Tag::MetadataBlock(_) => self.silent += 1,
            // An address between angle brackets is no words.
            Tag::Link { link_type: LinkType::Autolink, .. } => {
                self.silent += 1;
                self.bare_links += 1;
            }
            Tag::HtmlBlock => self.html.clear(),
            Tag::FootnoteDefinition(_) | Tag::DefinitionList => self.lines.end(Break::Block),
            _ => {}
        }
    }

    fn close(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::BlockQuote(_) => self.lines.unquote(),
            TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Table => self.lines.end(Break::Block),
            TagEnd::List(_) => {
                self.lists.pop();
                self.lines.end(if self.lists.is_empty() { Break::Block } else { Break::Line });
            }
            TagEnd::Item => {
                self.lines.unmark();
                self.lines.end(Break::Line);
            }
            TagEnd::TableHead | TagEnd::TableRow => self.lines.end(Break::Line),
            TagEnd::CodeBlock | TagEnd::MetadataBlock(_) => {
                self.silent -= 1;
                self.lines.end(Break::Block);
            }
            TagEnd::Image => self.silent -= 1,
            TagEnd::Link if self.bare_links > 0 => {
                self.silent -= 1;
                self.bare_links -= 1;
            }
            _ => {}
        }
    }
}

/// A block of HTML without its tags, comments, scripts and styles.
fn without_tags(block: &str) -> String {
    let mut text = String::with_capacity(block.len());
    let mut rest = block;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        let tag = &rest[at..];
        let opens = |name: &str| tag[1..].get(..name.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(name));
        let end = if tag.starts_with("<!--") {
            tag.find("-->").map(|at| at + 3)
        } else if let Some(name) = ["script", "style"].into_iter().find(|name| opens(name)) {
            // To its own closing tag: a script may hold others.
            closing(tag, name)
        } else if tag[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
            tag.find('>').map(|at| at + 1)
        } else {
            text.push('<');
            Some(1)
        };
        // A tag that never ends holds the rest.
        let Some(end) = end else { return text };
        if opens("br") || opens("p") || opens("/p") {
            text.push_str("\n\n");
        }
        rest = &tag[end..];
    }
    text.push_str(rest);
    text
}

/// Where the closing tag of this name ends.
fn closing(text: &str, name: &str) -> Option<usize> {
    let mut tags = text.match_indices("</").map(|(at, _)| at + 2);
    let at =
        tags.find(|&at| text.get(at..at + name.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(name)))?;
    Some(at + text[at..].find('>')? + 1)
}
