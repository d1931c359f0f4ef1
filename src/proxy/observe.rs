//! What is told of requests beside figures and the access line: spans to a collector, and some lines about those that were
//! slow, refused, or judged otherwise by the upstream.
//!
//! Which request is traced is decided here, with the head: by whoever is trusted to have decided, else by chance. What a
//! stranger says of sampling does not count, and the draw does not look at its trace id, so that nobody can have all of his
//! requests told. What goes upstream says what we do.

use std::{sync::Arc, time::Duration};

use super::trace::Trace;
use crate::logging::{
    Sampler,
    traces::{SpanIds, TraceQueue},
};

/// One line a reason and this long is enough to find a difference, and cannot flood the log.
const DIFFERENCES_IN: Duration = Duration::from_secs(10);

/// The others' limits are per minute.
const MINUTE: Duration = Duration::from_secs(60);

/// The samplers of one process; a reload keeps them.
#[derive(Debug)]
pub struct Samplers {
    /// Verdicts that the upstream does not share, by reason.
    pub differences: Sampler,
    /// Slow requests.
    pub slow: Sampler,
    /// Refused requests, by reason.
    pub refused: Sampler,
}

/// What is told of requests.
#[derive(Debug, Clone)]
pub struct Observation {
    /// How long a slow request takes; `None` where none is.
    pub slow_request: Option<Duration>,
    /// Most lines about slow requests a minute.
    pub slow_lines: u32,
    /// Most lines about refused requests a minute and reason.
    pub refused_lines: u32,
    /// What was shown already.
    pub samplers: Arc<Samplers>,
    /// Where spans go, if anywhere.
    pub traces: Option<Tracing>,
}

/// Where spans go, and of how many requests.
#[derive(Debug, Clone)]
pub struct Tracing {
    /// The way to the collector.
    pub queue: TraceQueue,
    /// The share of requests that are traced, where nobody else decided.
    pub ratio: f64,
}

/// How a request takes part in a trace.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// What the upstream reads.
    pub onward: Option<Trace>,
    /// The ids of our own spans, where they are told.
    pub spans: Option<SpanIds>,
}

impl Default for Samplers {
    fn default() -> Self {
        Self {
            differences: Sampler::new("differences between the gate and the upstream", DIFFERENCES_IN),
            slow: Sampler::new("slow requests", MINUTE),
            refused: Sampler::new("refused requests", MINUTE),
        }
    }
}

impl Samplers {
    /// Says how many lines were left out.
    pub fn tell(&self) {
        for sampler in [&self.differences, &self.slow, &self.refused] {
            sampler.tell();
        }
    }
}

impl Observation {
    /// Whether a line may become due, for which the head's words have to be kept.
    #[must_use]
    pub const fn samples(&self) -> bool {
        self.refused_lines > 0 || self.slow_request.is_some() && self.slow_lines > 0
    }
}

impl Tracing {
    /// How a request takes part that came with `given` from somebody who is trusted or not. A context is begun for each that is
    /// traced, and for the others where `begins` says so.
    #[must_use]
    pub fn take_part(&self, given: Option<Trace>, is_trusted: bool, begins: bool) -> Part {
        let decided = given.as_ref().filter(|_| is_trusted).map(Trace::is_sampled);
        if decided.unwrap_or_else(|| draws(self.ratio)) {
            Part::told(given.as_ref())
        } else {
            Part::untold(given, begins)
        }
    }
}

impl Part {
    fn told(given: Option<&Trace>) -> Self {
        let (trace, parent) = match given.map(Trace::ids) {
            Some((trace, parent)) => (trace, Some(parent)),
            None => (id().to_be_bytes(), None),
        };
        let span = || span_id().to_be_bytes();
        let spans = SpanIds { trace, parent, server: span(), decision: span(), client: span() };
        let onward = match given {
            Some(given) => given.onward(spans.client, true),
            None => Trace::begin(spans.trace, spans.client, true),
        };
        Self { onward, spans: Some(spans) }
    }

    /// A context that says we tell of the request would be wrong; any other passes as it came.
    fn untold(given: Option<Trace>, begins: bool) -> Self {
        let onward = match given {
            Some(given) if given.is_sampled() => given.onward(span_id().to_be_bytes(), false),
            None if begins => Trace::begin(id().to_be_bytes(), span_id().to_be_bytes(), false),
            given => given,
        };
        Self { onward, spans: None }
    }
}

/// Whether a draw falls into the share.
fn draws(ratio: f64) -> bool {
    ratio > 0.0 && rand::random::<f64>() < ratio
}

/// A trace's id, which is not zero.
fn id() -> u128 {
    rand::random::<u128>() | 1
}

/// A span's id, which is not zero.
fn span_id() -> u64 {
    rand::random_range(1..=u64::MAX)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;
    use crate::{logging::traces::CollectorSettings, metrics::SpanMetrics};

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    fn tracing(ratio: f64) -> Tracing {
        let settings = CollectorSettings {
            endpoint: "http://127.0.0.1:9/v1/traces".to_owned(),
            headers: HeaderMap::new(),
            authorities: None,
            service: "portcullis".to_owned(),
            timeout: MINUTE,
            queue: 1,
            batch: 1,
            delay: MINUTE,
        };
        Tracing { queue: TraceQueue::start(settings, &SpanMetrics::default()).unwrap(), ratio }
    }

    fn read(part: &Part) -> Option<String> {
        let mut headers = HeaderMap::new();
        Trace::write(part.onward.as_ref(), &mut headers);
        headers.get("traceparent").map(|value| value.to_str().unwrap().to_owned())
    }

    fn given(parent: &str) -> Option<Trace> {
        let pair = (HeaderName::from_static("traceparent"), HeaderValue::from_str(parent).unwrap());
        Trace::of(&[pair].into_iter().collect())
    }

    #[tokio::test]
    async fn the_trusted_decide_and_chance_decides_for_the_others() {
        // What came, whether from somebody trusted, the share, whether it is told.
        for (parent, is_trusted, ratio, is_told) in [
            (Some(SAMPLED), true, 0.0, true),
            (Some(UNSAMPLED), true, 1.0, false),
            (Some(SAMPLED), false, 0.0, false),
            (Some(UNSAMPLED), false, 1.0, true),
            (None, true, 0.0, false),
            (None, true, 1.0, true),
            (None, false, 1.0, true),
        ] {
            let part = tracing(ratio).take_part(parent.and_then(given), is_trusted, false);
            let case = format!("{parent:?} {is_trusted} {ratio}");
            assert_eq!(part.spans.is_some(), is_told, "{case}");
            let onward = read(&part);
            assert_eq!(onward.is_some(), parent.is_some() || is_told, "{case}");
            let Some(onward) = onward else { continue };
            assert_eq!(onward.ends_with("-01"), is_told, "{case}: {onward}");
            if let Some(spans) = part.spans {
                let (trace, span) = (hex::encode(spans.trace), hex::encode(spans.client));
                assert_eq!(onward, format!("00-{trace}-{span}-01"), "{case}");
                let came = parent.map(|parent| (parent[3..35].to_owned(), parent[36..52].to_owned()));
                assert_eq!(spans.parent.map(|parent| (trace, hex::encode(parent))), came, "{case}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_told_passes_as_it_came_unless_it_says_otherwise() {
        let silent = tracing(0.0);
        assert_eq!(read(&silent.take_part(given(UNSAMPLED), true, true)).as_deref(), Some(UNSAMPLED));
        let changed = read(&silent.take_part(given(SAMPLED), false, true)).unwrap();
        assert!(changed.starts_with(&SAMPLED[..36]) && changed.ends_with("-00"), "{changed}");
        assert!(!changed.contains(&SAMPLED[36..52]), "the span before ours said that it is told");
        assert!(read(&silent.take_part(None, false, true)).unwrap().ends_with("-00"));
    }

    #[tokio::test]
    async fn about_the_share_is_traced() {
        let half = tracing(0.5);
        let told = (0..1000).filter(|_| half.take_part(None, false, false).spans.is_some()).count();
        assert!((350..650).contains(&told), "{told} of 1000");
    }
}
