//! Reading a login's parameters from XML as Magento's parser does: the children of the one root are the parameters.
//!
//! Of an element its text counts (CDATA and the last text that is not blank win, as in `Xml\Parser`); one with children or
//! attributes, and one that stands there twice, is a structure. A document type is refused: no entity but XML's five.

use quick_xml::{
    Reader,
    escape::resolve_predefined_entity,
    events::{BytesRef, BytesStart, Event},
};

use super::given::{Given, Parameters};

/// Deeper than anybody nests a user name.
const MAX_DEPTH: usize = 16;

/// The text is not XML that is read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotXml;

/// Reads a document.
pub(super) fn read(text: &str) -> Result<Parameters, NotXml> {
    let mut reader = Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut document = Document::default();
    loop {
        match reader.read_event().map_err(|_| NotXml)? {
            Event::Start(start) => document.open(&start)?,
            Event::Empty(start) => {
                document.open(&start)?;
                document.close();
            }
            Event::End(_) => document.close(),
            Event::Text(text) => document.append(&text.xml10_content())?,
            Event::CData(text) => document.append(&text.xml10_content())?,
            Event::GeneralRef(reference) => document.append(&resolved(&reference)?)?,
            Event::DocType(_) => return Err(NotXml),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => return document.finish(),
        }
    }
}

#[derive(Default)]
struct Document {
    depth: usize,
    has_root: bool,
    /// The child of the root that is open.
    open: Option<Child>,
    parameters: Parameters,
}

struct Child {
    name: String,
    text: String,
    is_structure: bool,
}

impl Document {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), NotXml> {
        let is_second_root = self.depth == 0 && self.has_root;
        if is_second_root || self.depth >= MAX_DEPTH {
            return Err(NotXml);
        }
        let mut has_attributes = false;
        for attribute in start.attributes() {
            attribute.map_err(|_| NotXml)?;
            has_attributes = true;
        }
        match (&mut self.open, self.depth) {
            (_, 0) => self.has_root = true,
            (Some(child), _) => child.is_structure = true,
            (None, _) => {
                let name = start.name().as_ref().to_owned();
                self.open = Some(Child { name, text: String::new(), is_structure: has_attributes });
            }
        }
        self.depth += 1;
        Ok(())
    }

    /// The reader has checked that the names of start and end agree.
    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 1
            && let Some(child) = self.open.take()
        {
            self.take(child);
        }
    }

    fn take(&mut self, child: Child) {
        let known = match child.name.as_str() {
            "username" => &self.parameters.username,
            "password" => &self.parameters.password,
            _ => return,
        };
        let value = match known {
            Given::Nothing if child.is_structure => Given::Structure,
            Given::Nothing if child.text.is_empty() => Given::Nothing,
            Given::Nothing => Given::text(child.text),
            Given::Text(_) | Given::Structure => Given::Structure,
        };
        self.parameters.set(&child.name, value);
    }

    fn append(&mut self, text: &str) -> Result<(), NotXml> {
        match &mut self.open {
            Some(child) => child.text.push_str(text),
            None if self.depth > 0 || text.trim().is_empty() => {}
            None => return Err(NotXml),
        }
        Ok(())
    }

    fn finish(self) -> Result<Parameters, NotXml> {
        if self.depth == 0 && self.has_root { Ok(self.parameters) } else { Err(NotXml) }
    }
}

fn resolved(reference: &BytesRef<'_>) -> Result<String, NotXml> {
    match reference.resolve_char_ref() {
        Ok(Some(character)) => Ok(character.to_string()),
        Ok(None) => resolve_predefined_entity(reference).map(str::to_owned).ok_or(NotXml),
        Err(_) => Err(NotXml),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(given: &Given) -> String {
        match given {
            Given::Nothing => "-".to_owned(),
            Given::Text(text) => text.expose().clone(),
            Given::Structure => "structure".to_owned(),
        }
    }

    #[test]
    fn children_of_the_root_are_parameters() {
        for (text, username, password) in [
            ("<r><username>a</username><password>b</password></r>", "a", "b"),
            ("<?xml version=\"1.0\"?>\n<r>\n <username>a&amp;&#66;</username>\n <x/></r>\n", "a&B", "-"),
            ("<r><password><![CDATA[<p>]]></password></r>", "-", "<p>"),
            ("<r><username/><password></password></r>", "-", "-"),
            ("<r><username><b>a</b></username></r>", "structure", "-"),
            ("<r><username x='1'>a</username></r>", "structure", "-"),
            ("<r><username>a</username><username>b</username></r>", "structure", "-"),
            ("<r><x><username>a</username></x></r>", "-", "-"),
            ("<username>a</username>", "-", "-"),
            ("<r> a </r>", "-", "-"),
        ] {
            let read = read(text).unwrap();
            assert_eq!(
                (shown(&read.username), shown(&read.password)),
                (username.into(), password.into()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_xml_or_has_entities_is_refused() {
        let deep = format!("{}{}", "<a>".repeat(17), "</a>".repeat(17));
        for text in [
            "",
            "x",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "<a x='1' x='2'/>",
            "<a>&nbsp;</a>",
            &deep,
            "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_the_reader_panic(text in "[<>/a!?\\[\\]\"'=&;# \n-]{0,60}|\\PC{0,60}") {
            let _ = read(&text);
        }
    }
}
