//! `[forms]`: how much memory the bodies of signed forms may take while their signature is verified.

use super::{kinds::ByteSize, lenient::Leaf, raw::RawForms, report::Report};

/// Bounds of collected form bodies.
#[derive(Debug, Clone)]
pub struct Forms {
    /// Longest body that is collected, in bytes.
    pub max: usize,
    /// Most bytes that all collected bodies may take together; never less than one may.
    pub budget: usize,
}

impl Forms {
    pub(super) fn parse(raw: RawForms, report: &mut Report) -> Self {
        let RawForms { max, budget } = raw;
        let max =
            report.take_within("forms.max", max, ByteSize::mib(1), ByteSize::kib(1)..=ByteSize::mib(64));
        let budget = report.take_within(
            "forms.budget",
            budget,
            ByteSize::mib(64),
            ByteSize::kib(1)..=ByteSize::mib(64 << 10),
        );
        if budget < max && !report.is_wrong("forms.max") && !report.is_wrong("forms.budget") {
            let (budget, max) = (budget.show(), max.show());
            report.error(
                "forms.budget",
                format!("{budget} has no room for one form of forms.max ({max}); raise it"),
            );
        }
        Self { max: max.as_len(), budget: budget.as_len() }
    }
}
