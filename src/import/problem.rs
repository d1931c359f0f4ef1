//! What could not be read, and where.
//!
//! A problem is collected, not thrown: the import goes on with the next element or file, so that an operator sees all of
//! them at once.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Something that Magento would have read and the import could not, or that Magento itself would refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, below Magento's root.
    pub file: PathBuf,
    /// The line, from 1; `None` where the file as a whole is meant.
    pub line: Option<usize>,
    /// What is wrong, in words.
    pub text: String,
}

/// A place in a file, for elements to remember where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: Arc<Path>,
    pub(super) line: usize,
}

impl Problem {
    /// A problem with a whole file or folder.
    pub(super) fn with(file: &Path, text: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, text: text.into() }
    }

    /// A problem at a place.
    pub(super) fn at(place: &Place, text: impl Into<String>) -> Self {
        Self { file: place.file.to_path_buf(), line: Some(place.line), text: text.into() }
    }
}

/// As compilers write it, so that editors find the place.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.text)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}
