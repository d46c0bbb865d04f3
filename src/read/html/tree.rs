//! Parsing a page, within limits.
//!
//! # Why this way
//!
//! The standard makes browsers copy formatting elements and search the stack of open ones, so a few hundred kilobytes
//! written for the purpose cost minutes or gigabytes: tags nested without end, `<b id=1><p><b id=2><p>…`, a tag of a
//! million attributes. Browsers stop nesting at 512. The page is fed to the parser in pieces, and what has grown is looked
//! at after each.

use dom_query::{Document, NodeId, Tree};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{ParseOpts, parse_document};

use super::sink::Watched;
use crate::read::{ReadError, ReadErrorKind};

/// How deep elements may nest.
const DEEPEST: usize = 512;
/// How many attributes a tag may have.
const ATTRIBUTES: usize = 1024;
/// Bytes that are fed at a time: at most so many levels can be added before anyone looks.
const STEP: usize = 1024;
/// Nodes that a page may have beyond one a byte.
const SLACK: usize = 64;

pub(super) fn parse(html: &str) -> Result<Document, ReadError> {
    attributes(html)?;
    let tree_builder = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
    let opts = ParseOpts { tree_builder, ..ParseOpts::default() };
    let mut parser = parse_document(Watched::default(), opts);
    let mut at = 0;
    while at < html.len() {
        let end = html.ceil_char_boundary((at + STEP).min(html.len()));
        parser.process(StrTendril::from_slice(&html[at..end]));
        at = end;
        let sink = &parser.tokenizer.sink.sink;
        let tree = &sink.page.tree;
        if tree.len() > at + SLACK {
            return Err(refused("its formatting unfolds into more elements than it has bytes", at));
        }
        let mut fresh = sink.fresh.borrow_mut();
        if fresh.drain(..).any(|node| is_deep(tree, &node)) {
            return Err(refused(&format!("elements nest more than {DEEPEST} deep"), at));
        }
    }
    Ok(parser.finish())
}

fn refused(message: &str, at: usize) -> ReadError {
    ReadError::new(ReadErrorKind::Markup, message).at(at)
}

fn is_deep(tree: &Tree, node: &NodeId) -> bool {
    tree.ancestor_ids_of_it(node, Some(DEEPEST + 1)).count() > DEEPEST
}

/// Refuses tags of very many attributes: the parser compares each with all before it.
///
/// What a tag is, is read roughly here (a script may hold a "<"), which is enough to bound the work.
fn attributes(html: &str) -> Result<(), ReadError> {
    let bytes = html.as_bytes();
    let mut at = 0;
    while let Some(open) = bytes[at..].iter().position(|&b| b == b'<') {
        let start = at + open;
        at = start + 1;
        if !bytes.get(at).is_some_and(u8::is_ascii_alphabetic) {
            continue;
        }
        let mut quote = None;
        let mut many = 0;
        let mut apart = false;
        while let Some(&b) = bytes.get(at) {
            at += 1;
            match (quote, b) {
                (Some(open), _) if b == open => quote = None,
                (Some(_), _) => {}
                (None, b'>') => break,
                (None, b'"' | b'\'') => quote = Some(b),
                (None, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' | b'/') => apart = true,
                (None, _) => {
                    many += usize::from(apart);
                    apart = false;
                }
            }
            if many > ATTRIBUTES {
                return Err(refused(&format!("a tag has more than {ATTRIBUTES} attributes"), start));
            }
        }
    }
    Ok(())
}
