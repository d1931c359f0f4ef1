//! Merging one module's file into what earlier modules said, as Magento's `Config\Dom` does.
//!
//! The first file is taken as it stands. Of every further one each element is looked for among the siblings of its name,
//! by its key attributes where its kind has some: if it is there, later attributes and text overwrite and its children
//! are merged in turn; if not, it is appended with all that is in it. Nothing can be taken away. Elements of one file are
//! merged one after another, so that a later one can meet an earlier one of the same file.

use super::{problem::Problem, xml::Element};

/// The attributes by which elements of a name are told apart; none where there is one element of that name.
pub(super) type Keys = fn(&str) -> &'static [&'static str];

/// The document of all files so far.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) root: Option<Element>,
    keys: Keys,
}

impl Merged {
    pub(super) const fn new(keys: Keys) -> Self {
        Self { root: None, keys }
    }

    /// Merges the next file's root.
    pub(super) fn add(&mut self, root: Element, problems: &mut Vec<Problem>) {
        match &mut self.root {
            None => self.root = Some(root),
            Some(merged) => merge(merged, root, self.keys, problems),
        }
    }
}

fn merge(into: &mut Element, from: Element, keys: Keys, problems: &mut Vec<Problem>) {
    let Element { name: _, attributes, children, text, place: _ } = from;
    for (name, value) in attributes {
        match into.attributes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => into.attributes.push((name, value)),
        }
    }
    if children.is_empty() && !text.is_empty() && into.children.is_empty() {
        into.text = text;
    }
    for child in children {
        merge_child(into, child, keys, problems);
    }
}

fn merge_child(parent: &mut Element, child: Element, keys: Keys, problems: &mut Vec<Problem>) {
    let is_same = |known: &&mut Element| {
        known.name == child.name
            && keys(&child.name).iter().all(|key| known.attribute(key) == child.attribute(key))
    };
    let mut known: Vec<_> = parent.children.iter_mut().filter(is_same).collect();
    let Some(last) = known.pop() else {
        parent.children.push(child);
        return;
    };
    if let Some(first) = known.first() {
        // Magento gives up here (Config\Dom: more than one node matching the query).
        let text =
            format!("<{}> could be merged with the one in {} or {}", child.name, first.place, last.place);
        problems.push(Problem::at(&child.place, text));
    }
    merge(last, child, keys, problems);
}
