//! A small XML document in memory, each element with its file and line.
//!
//! Elements, attributes and text; comments and processing instructions are passed over. A document type is refused, so
//! that there are no entities beyond XML's five and nothing outside the file is ever read. Depth is bounded here, size by
//! whoever read the text.

use std::{borrow::Cow, path::Path, sync::Arc};

use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_predefined_entity,
    events::{BytesRef, BytesStart, Event},
};

use super::problem::{Place, Problem};

/// The 60 levels of resources that an ACL tree may have, below `config`, `acl` and `resources`.
const MAX_DEPTH: usize = 63;

/// An element with all that is in it.
#[derive(Debug, Clone)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Self>,
    pub(super) text: String,
    pub(super) place: Place,
}

impl Element {
    /// Reads a document.
    ///
    /// # Errors
    /// Where and why it is no XML that is read here.
    pub(super) fn parse(file: &Arc<Path>, text: &str) -> Result<Self, Problem> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Builder { file, lines: Lines { text, at: 0, line: 1 }, open: Vec::new(), root: None }.build(text)
    }

    /// An attribute's value.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The children of a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The elements reached through these names, one a level.
    pub(super) fn below<'a>(&'a self, names: &'a [&'a str]) -> Vec<&'a Self> {
        names
            .iter()
            .fold(vec![self], |found, name| found.into_iter().flat_map(|element| element.all(name)).collect())
    }
}

/// Counts lines as positions go forward.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl Lines<'_> {
    fn line_of(&mut self, position: u64) -> usize {
        let position = usize::try_from(position).unwrap_or(usize::MAX).max(self.at);
        let passed = self.text.bytes().skip(self.at).take(position - self.at);
        self.line += passed.filter(|byte| *byte == b'\n').count();
        self.at = position;
        self.line
    }
}

struct Builder<'a> {
    file: &'a Arc<Path>,
    lines: Lines<'a>,
    open: Vec<Element>,
    root: Option<Element>,
}

impl Builder<'_> {
    fn build(mut self, text: &str) -> Result<Element, Problem> {
        let mut reader = Reader::from_str(text);
        loop {
            let line = self.lines.line_of(reader.buffer_position());
            let event = match reader.read_event() {
                Ok(event) => event,
                Err(error) => {
                    let line = self.lines.line_of(reader.error_position());
                    return Err(self.problem(line, format!("is not XML: {error}")));
                }
            };
            if matches!(event, Event::Eof) {
                return self.finish(line);
            }
            if let Err(reason) = self.take(event, line) {
                return Err(self.problem(line, reason));
            }
        }
    }

    fn finish(self, line: usize) -> Result<Element, Problem> {
        let unclosed = self.open.last().map(|open| format!("is not XML: <{}> is not closed", open.name));
        if let Some(reason) = unclosed {
            return Err(self.problem(line, reason));
        }
        let problem = self.problem(line, "is not XML: there is no element".to_owned());
        self.root.ok_or(problem)
    }

    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), String> {
        match event {
            Event::Start(start) => self.open(&start, line),
            Event::Empty(start) => {
                self.open(&start, line)?;
                self.close();
                Ok(())
            }
            Event::End(_) => {
                self.close();
                Ok(())
            }
            Event::Text(text) => self.append(&text.xml10_content()),
            Event::CData(text) => self.append(&text.xml10_content()),
            Event::GeneralRef(reference) => self.append(&resolved(&reference)?),
            Event::DocType(_) => Err("has a document type, which is not read".to_owned()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn open(&mut self, start: &BytesStart<'_>, line: usize) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("is nested deeper than {MAX_DEPTH} levels"));
        }
        if self.open.is_empty() && self.root.is_some() {
            return Err("is not XML: there is a second element at the top".to_owned());
        }
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| format!("is not XML: {error}"))?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|error| format!("is not XML: {error}"))?;
            attributes.push((attribute.key.as_ref().to_owned(), value.into_owned()));
        }
        self.open.push(Element {
            name: start.name().as_ref().to_owned(),
            attributes,
            children: Vec::new(),
            text: String::new(),
            place: Place { file: Arc::clone(self.file), line },
        });
        Ok(())
    }

    /// The reader has checked that the names of start and end agree.
    fn close(&mut self) {
        let Some(closed) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(closed),
            None => self.root = Some(closed),
        }
    }

    fn append(&mut self, text: &str) -> Result<(), String> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err("is not XML: there is text outside all elements".to_owned()),
        }
        Ok(())
    }

    fn problem(&self, line: usize, text: String) -> Problem {
        Problem::at(&Place { file: Arc::clone(self.file), line }, text)
    }
}

fn resolved(reference: &BytesRef<'_>) -> Result<Cow<'static, str>, String> {
    match reference.resolve_char_ref() {
        Ok(Some(character)) => Ok(Cow::Owned(character.to_string())),
        Ok(None) => resolve_predefined_entity(reference)
            .map(Cow::Borrowed)
            .ok_or_else(|| "is not XML that is read here: an entity is not one of XML's five".to_owned()),
        Err(error) => Err(format!("is not XML: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Element, Problem> {
        Element::parse(&Arc::from(Path::new("a.xml")), text)
    }

    #[test]
    fn elements_know_their_attributes_text_and_line() {
        let text = "\u{feff}<?xml version=\"1.0\"?>\n<!-- note\n -->\n<a x='1'\n   y=\"&lt;&#65;\"><b>t&amp;<![CDATA[<u>]]></b>\n<b/></a>\n";
        let root = parse(text).unwrap();
        assert_eq!((root.name.as_str(), root.place.line), ("a", 4));
        assert_eq!(
            (root.attribute("x"), root.attribute("y"), root.attribute("z")),
            (Some("1"), Some("<A"), None)
        );
        let inner: Vec<_> = root.all("b").map(|b| (b.text.as_str(), b.place.line)).collect();
        assert_eq!(inner, [("t&<u>", 5), ("", 6)]);
    }

    #[test]
    fn what_is_no_xml_is_refused_with_its_line() {
        let deep = format!("{}{}", "<a>".repeat(64), "</a>".repeat(64));
        for (text, line, reason) in [
            ("", 1, "there is no element"),
            ("<a>\n<b>\n</a>", 3, "is not XML"),
            ("<a>\n<b/>\n", 3, "<a> is not closed"),
            ("<a/>\n<b/>", 2, "a second element"),
            ("<a/>\nx", 1, "text outside"),
            ("<a>\n<b x=\"1\" x=\"2\"/></a>", 2, "is not XML"),
            ("<a>\n<b x=1/></a>", 2, "is not XML"),
            ("<a>\n&nbsp;</a>", 2, "an entity is not one of XML's five"),
            ("<a>\n<b x='&nbsp;'/></a>", 2, "is not XML"),
            ("<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>\n<a>&e;</a>", 1, "a document type"),
            (&deep, 1, "nested deeper than 63 levels"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.text.contains(reason), "{text}: {problem}");
            assert_eq!(problem.line, Some(line), "{text}: {problem}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_the_reader_panic(text in "[<>/a!?\\[\\]\"'=&;# \n-]{0,60}|\\PC{0,60}") {
            let _ = parse(&text);
        }
    }
}
