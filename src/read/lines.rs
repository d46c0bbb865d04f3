//! Writing text in the conventions that the segmenter reads: blank lines between blocks, markers before items.

/// What must stand between what was written and what comes next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Break {
    /// Nothing: the next word goes on.
    None,
    /// A new line.
    Line,
    /// A blank line.
    Block,
}

/// Marks of more quotations are not written: a short text may nest thousands around each of its lines.
const DEEPEST: usize = 16;

/// Text that is being written, block by block. White space is collapsed as browsers do.
#[derive(Debug)]
pub(super) struct Lines {
    text: String,
    pending: Break,
    /// Whether white space was seen since the last word of the line.
    space: bool,
    /// Marker of a list item whose first word is still to come.
    marker: String,
    /// Open quotations, written as "> " before each line.
    quoted: usize,
}

impl Lines {
    pub(super) fn new() -> Self {
        Lines { text: String::new(), pending: Break::None, space: false, marker: String::new(), quoted: 0 }
    }

    /// Asks for a break before the next word. Of two breaks the stronger counts.
    pub(super) fn end(&mut self, kind: Break) {
        self.pending = self.pending.max(kind);
        self.space = false;
    }

    /// A line break in running text; the second of two in a row ends the block.
    pub(super) fn line_break(&mut self) {
        let next = if self.pending == Break::None { Break::Line } else { Break::Block };
        self.end(next);
    }

    /// Puts a marker before the next word.
    pub(super) fn mark(&mut self, marker: &str) {
        self.end(Break::Line);
        self.marker.clear();
        self.marker.push_str(marker);
    }

    /// Forgets a marker behind which no word came.
    pub(super) fn unmark(&mut self) {
        self.marker.clear();
    }

    /// Opens a quotation: its lines begin with "> ".
    pub(super) fn quote(&mut self) {
        self.end(Break::Block);
        self.quoted += 1;
    }

    /// Closes a quotation.
    pub(super) fn unquote(&mut self) {
        self.end(Break::Block);
        self.quoted = self.quoted.saturating_sub(1);
    }

    /// White space between two cells of a table.
    pub(super) fn cell(&mut self) {
        if self.pending == Break::None && !self.text.is_empty() && !self.text.ends_with(['\n', '\t']) {
            self.text.push('\t');
            self.space = false;
        }
    }

    /// Writes words; white space in them is collapsed.
    pub(super) fn words(&mut self, words: &str) {
        self.space |= words.starts_with(char::is_whitespace);
        for word in words.split_whitespace() {
            self.begin();
            self.text.push_str(word);
            self.space = true;
        }
        self.space &= words.ends_with(char::is_whitespace);
    }

    /// Writes words line by line as they stand.
    #[cfg(feature = "html")]
    pub(super) fn preformatted(&mut self, words: &str) {
        for (nth, line) in words.split('\n').enumerate() {
            if nth > 0 {
                self.line_break();
            }
            let line = line.trim_end();
            if !line.is_empty() {
                self.begin();
                self.text.push_str(line);
            }
        }
    }

    /// Writes what must stand before a word.
    fn begin(&mut self) {
        if self.text.is_empty() {
            self.pending = Break::None;
            self.space = false;
            self.quote_marks();
        }
        match self.pending {
            Break::None => {
                if self.space && !self.text.ends_with(['\n', '\t']) {
                    self.text.push(' ');
                }
            }
            kind => {
                self.text.truncate(self.text.trim_end_matches([' ', '\t']).len());
                self.text.push('\n');
                if kind == Break::Block {
                    self.text.push('\n');
                }
                self.quote_marks();
            }
        }
        self.pending = Break::None;
        self.space = false;
        if !self.marker.is_empty() {
            self.text.push_str(&self.marker);
            self.marker.clear();
        }
    }

    fn quote_marks(&mut self) {
        for _ in 0..self.quoted.min(DEEPEST) {
            self.text.push_str("> ");
        }
    }

    /// What was written.
    pub(super) fn finish(mut self) -> String {
        self.text.truncate(self.text.trim_end().len());
        self.text
    }
}
