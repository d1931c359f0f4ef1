//! Collecting a body, because a signature covers it, or because the gate answers it itself.
//!
//! Of the first kind, only a signed request whose header parameters, timestamp, consumer and token already passed gets here. One body is
//! bounded, and so is the memory of all of them together: a flood of forms is refused, not buffered.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use super::body::{BodyError, Relay};
use crate::auth::rejection::{Malformation, Rejection};

/// Room for form bodies of one process; cheap to clone.
#[derive(Debug, Clone)]
pub struct FormBudget {
    left: Arc<AtomicUsize>,
    per_form: usize,
}

impl FormBudget {
    /// Room for `total` bytes, at most `per_form` a body.
    #[must_use]
    pub fn new(total: usize, per_form: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(total)), per_form }
    }

    /// Collects a form; its share of the room is free again when the result is dropped.
    pub(super) async fn collect(&self, body: Relay) -> Result<Form, Rejection> {
        self.collect_at_most(self.per_form, body).await
    }

    /// Collects a body of at most so many bytes.
    pub(super) async fn collect_at_most(&self, most: usize, mut body: Relay) -> Result<Form, Rejection> {
        let announced = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
        let share = self.take(announced.unwrap_or(most).min(most))?;
        let mut bytes = BytesMut::with_capacity(announced.unwrap_or_default().min(most));
        while let Some(frame) = body.frame().await {
            let data = frame.map_err(refused)?.into_data().unwrap_or_default();
            if bytes.len() + data.len() > most {
                return Err(Rejection::BodyTooLarge);
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Form { bytes: bytes.freeze(), _share: share })
    }

    fn take(&self, bytes: usize) -> Result<Share, Rejection> {
        self.left
            .try_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(bytes))
            .map_err(|_full| Rejection::FormBudgetExhausted)?;
        Ok(Share { left: Arc::clone(&self.left), bytes })
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

#[derive(Debug)]
struct Share {
    left: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.left.fetch_add(self.bytes, Ordering::AcqRel);
    }
}
