//! Why a request passes or fails: the way of one request through the gate, told step by step.
//!
//! [`Inquiry`] reads a request however it was written down (`raw`, `curl` with `shell`, `har`). [`Explainer`] sends it
//! through the same pipeline as the gate does, with a nonce port that only looks, and tells what each stage saw. Where a
//! signature does not verify, `causes` tries what clients usually get wrong. [`Explanation`] is text or JSON.
//!
//! Nothing here decides: the verdict is the pipeline's, base strings and codes are the rules'. Secrets, tokens and cookies
//! are never part of an explanation; `scrub` removes every one that came with the request or from the store.

mod advice;
mod bearer;
mod causes;
mod chain;
mod curl;
mod explainer;
mod har;
mod inquiry;
mod oauth;
mod percent;
mod raw;
mod relative;
mod route;
mod scrub;
mod shell;

pub use causes::Cause;
pub use explainer::{Circumstances, Explainer, Explanation, NonceLook};
pub use inquiry::{Inquiry, InquiryError};
