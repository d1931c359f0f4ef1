//! Collecting a body, because a signature covers it, or because the gate answers it itself.
//!
//! Of the first kind, only a signed request whose header parameters, timestamp, consumer and token already passed gets here;
//! of the second, anybody's. So each kind has room of its own. One body is bounded, and so is the memory of all of them
//! together: a flood is refused, not buffered. Room is taken for what has arrived, never for what was announced.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use super::body::{BodyError, Relay};
use crate::auth::rejection::{Malformation, Rejection};

/// More than any login or handshake needs.
const OWN_BODY: usize = 64 * 1024;

/// What all of them may take together; an ordinary login is a hundred bytes.
const OWN_BODIES: usize = 16 * 1024 * 1024;

/// Room for collected bodies of one kind; cheap to clone.
#[derive(Debug, Clone)]
pub struct FormBudget {
    left: Arc<AtomicUsize>,
    per_form: usize,
}

impl FormBudget {
    /// Room for what the gate answers itself: logins, handshakes.
    #[must_use]
    pub fn for_own_bodies() -> Self {
        Self::new(OWN_BODIES, OWN_BODY)
    }

    /// Room for `total` bytes, at most `per_form` a body.
    #[must_use]
    pub fn new(total: usize, per_form: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(total)), per_form }
    }

    /// Whether one body may be so long.
    pub(super) const fn allows(&self, length: usize) -> bool {
        length <= self.per_form
    }

    /// Collects a body; its share of the room is free again when the result is dropped.
    pub(super) async fn collect(&self, mut body: Relay) -> Result<Form, Rejection> {
        let most = self.per_form;
        if body.size_hint().lower() > most as u64 {
            return Err(Rejection::BodyTooLarge);
        }
        let mut share = Share { left: Arc::clone(&self.left), bytes: 0 };
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let data = frame.map_err(refused)?.into_data().unwrap_or_default();
            if bytes.len() + data.len() > most {
                return Err(Rejection::BodyTooLarge);
            }
            share.grow(data.len())?;
            bytes.extend_from_slice(&data);
        }
        Ok(Form { bytes: bytes.freeze(), _share: share })
    }
}

/// What a client hears whose body ended before its end.
pub(super) fn refused(error: BodyError) -> Rejection {
    match error {
        BodyError::TooLarge => Rejection::BodyTooLarge,
        BodyError::Stalled => Rejection::BodyStalled,
        BodyError::Broken => Rejection::Malformed(Malformation::Framing),
        BodyError::TooManyLogins(too_many) => too_many.into(),
    }
}

/// A collected form.
#[derive(Debug)]
pub(super) struct Form {
    /// The body as received.
    pub(super) bytes: Bytes,
    _share: Share,
}

#[cfg(test)]
impl Form {
    /// A form that was collected.
    pub(super) fn of(bytes: &'static [u8]) -> Self {
        let share = Share { left: Arc::default(), bytes: 0 };
        Self { bytes: Bytes::from_static(bytes), _share: share }
    }
}

#[derive(Debug)]
struct Share {
    left: Arc<AtomicUsize>,
    bytes: usize,
}

impl Share {
    fn grow(&mut self, bytes: usize) -> Result<(), Rejection> {
        self.left
            .try_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(bytes))
            .map_err(|_full| Rejection::FormBudgetExhausted)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.left.fetch_add(self.bytes, Ordering::AcqRel);
    }
}
