//! The structure that a kind of file has.
//!
//! Magento checks files against its schemas only while developing and passes over what it does not know in production. Here
//! every unknown element or attribute is reported, because it may be a rule that this version does not understand; then
//! it is passed over as Magento does.

use super::{problem::Problem, xml::Element};

/// What an element is called and what may stand in it.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    /// Attributes without which the element means nothing.
    pub(super) required: &'static [&'static str],
    pub(super) optional: &'static [&'static str],
    pub(super) children: &'static [&'static Self],
}

impl Shape {
    /// Takes out of an element what does not fit, with a problem each; `false` if the element itself does not.
    pub(super) fn fit(&self, element: &mut Element, problems: &mut Vec<Problem>) -> bool {
        if element.name != self.name {
            let text = format!("<{}> stands where <{}> is expected", element.name, self.name);
            problems.push(Problem::at(&element.place, text));
            return false;
        }
        let is_missing = |name: &&&str| element.attribute(name).is_none_or(|value| value.trim().is_empty());
        if let Some(missing) = self.required.iter().find(is_missing) {
            let text = format!("<{}> has no {missing}", self.name);
            problems.push(Problem::at(&element.place, text));
            return false;
        }
        for (name, _) in &element.attributes {
            if !self.knows(name) {
                let text = format!("<{}> has the unknown attribute {name}", self.name);
                problems.push(Problem::at(&element.place, text));
            }
        }
        element.children.retain_mut(|child| self.fit_child(child, problems));
        true
    }

    fn fit_child(&self, child: &mut Element, problems: &mut Vec<Problem>) -> bool {
        if let Some(shape) = self.children.iter().find(|shape| shape.name == child.name) {
            return shape.fit(child, problems);
        }
        let text = format!("<{}> is unknown in <{}>", child.name, self.name);
        problems.push(Problem::at(&child.place, text));
        false
    }

    /// References to schemas may stand anywhere.
    fn knows(&self, attribute: &str) -> bool {
        let is_schema =
            attribute == "xmlns" || attribute.starts_with("xmlns:") || attribute.starts_with("xsi:");
        is_schema || self.required.contains(&attribute) || self.optional.contains(&attribute)
    }
}
