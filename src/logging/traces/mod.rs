//! Spans of requests, sent to a collector by OTLP over HTTP.
//!
//! A worker offers a [`TracedRequest`], plain values, when the answer ended; it waits for nobody. A [`TraceQueue`] holds a bounded
//! number of them, and one task in the background makes spans of them (`spans`), encodes them in OpenTelemetry's own messages
//! (`message`) and posts them in batches (`exporter`). Which request is traced, and under which ids, is decided where requests
//! are known; a collector that is away, slow or full costs spans, which are counted, and nothing else.

mod exporter;
mod message;
mod queue;
mod record;
mod spans;

pub use queue::{CollectorSettings, TraceQueue};
pub use record::{SpanIds, Times, TracedRequest};
