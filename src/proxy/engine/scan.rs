//! Charging a body for the token mutations in it, while it passes.
//!
//! A piece that holds one too many is not passed on: the upstream then has a document without its end, which it cannot run.

use std::{cell::Cell, rc::Rc};

use super::body::BodyError;
use crate::proxy::{address_limit::Charge, mutations::TokenMutations};

/// A watch over the pieces of a body.
#[derive(Debug)]
pub(super) struct Scan {
    counter: TokenMutations,
    charge: Option<Charge>,
    sighting: Sighting,
}

/// Whether a mutation was seen, for whoever asks when the body has passed.
#[derive(Debug, Clone, Default)]
pub(super) struct Sighting(Rc<Cell<bool>>);

impl Scan {
    pub(super) fn new(charge: Option<Charge>) -> Self {
        Self { counter: TokenMutations::default(), charge, sighting: Sighting::default() }
    }

    pub(super) fn sighting(&self) -> Sighting {
        self.sighting.clone()
    }

    /// Looks at a piece before it passes.
    pub(super) fn look(&mut self, piece: &[u8]) -> Result<(), BodyError> {
        let count = self.counter.count(piece);
        if count == 0 {
            return Ok(());
        }
        self.sighting.0.set(true);
        let taken = self.charge.as_ref().map_or(Ok(()), |charge| charge.take(count));
        taken.map_err(BodyError::TooManyLogins)
    }
}

impl Sighting {
    pub(super) fn has_mutation(&self) -> bool {
        self.0.get()
    }
}
