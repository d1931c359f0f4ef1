//! W3C Trace Context: one id for a request in the logs of everybody on its way.
//!
//! A `traceparent` that is as the standard wants it passes as it came, `tracestate` with it. One that is not is removed with
//! its `tracestate`, so that nobody behind us reads what we did not. An id proves nothing: anybody may choose one.

use http::{HeaderMap, HeaderName, HeaderValue};

/// `traceparent`.
const PARENT: HeaderName = HeaderName::from_static("traceparent");

/// `tracestate`.
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// Longer state is not carried; the standard asks for 512 characters at least.
const MAX_STATE: usize = 1024;

/// The flag of a request that is told of.
const SAMPLED: u8 = 1;

/// The flag of a trace id that is random.
const RANDOM: u8 = 2;

/// `00-<32>-<16>-<2>`.
const LENGTH: usize = 55;

/// The context of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    parent: HeaderValue,
    state: Option<HeaderValue>,
}

impl Trace {
    /// The context that a request came with, if it is a good one.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut parents = headers.get_all(PARENT).iter();
        let parent = parents.next().filter(|parent| is_parent(parent.as_bytes()))?.clone();
        if parents.next().is_some() {
            return None;
        }
        Some(Self { parent, state: state(headers) })
    }

    /// A context that begins here. Where nobody here tells of requests it is sampled all the same, because whoever asks for
    /// it wants to see it.
    #[must_use]
    pub fn begin(id: [u8; 16], span: [u8; 8], is_sampled: bool) -> Option<Self> {
        let text = format!("00-{}-{}-0{}", hex::encode(id), hex::encode(span), u8::from(is_sampled));
        let parent = HeaderValue::try_from(text).ok().filter(|parent| is_parent(parent.as_bytes()))?;
        Some(Self { parent, state: None })
    }

    /// The same context one span further on: `span` is ours, and whether it is told is what we do. The state passes as it came.
    #[must_use]
    pub fn onward(&self, span: [u8; 8], is_sampled: bool) -> Option<Self> {
        // Whether the id is random (Trace Context level 2) stays true of it.
        let flags = (self.flags() & RANDOM) | if is_sampled { SAMPLED } else { 0 };
        let text = format!("00-{}-{}-{flags:02x}", self.id(), hex::encode(span));
        let parent = HeaderValue::try_from(text).ok().filter(|parent| is_parent(parent.as_bytes()))?;
        Some(Self { parent, state: self.state.clone() })
    }

    /// The trace's id and that of the span which the request is in.
    #[must_use]
    pub fn ids(&self) -> ([u8; 16], [u8; 8]) {
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        let text = self.parent.as_bytes();
        let read = |from, to, into: &mut [u8]| {
            let digits = text.get(from..to).unwrap_or_default();
            // They were seen to be hexadecimal, and so many.
            let _ = hex::decode_to_slice(digits, into);
        };
        read(3, 35, &mut trace);
        read(36, 52, &mut span);
        (trace, span)
    }

    /// Whether whoever sent it tells of the request.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags() & SAMPLED != 0
    }

    fn flags(&self) -> u8 {
        let digits = self.parent.to_str().ok().and_then(|parent| parent.get(53..55));
        digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(0)
    }

    /// The id that all share.
    #[must_use]
    pub fn id(&self) -> &str {
        self.parent.to_str().ok().and_then(|parent| parent.get(3..35)).unwrap_or_default()
    }

    /// Writes it into the headers that go upstream, and takes anything else out of them.
    pub fn write(trace: Option<&Self>, headers: &mut HeaderMap) {
        if let Some(Self { parent, state }) = trace {
            headers.insert(PARENT, parent.clone());
            match state {
                Some(state) => drop(headers.insert(STATE, state.clone())),
                None => drop(headers.remove(STATE)),
            }
        } else if headers.contains_key(PARENT) || headers.contains_key(STATE) {
            headers.remove(PARENT);
            headers.remove(STATE);
        }
    }
}

/// Version, trace id, parent id and flags in lower-case hexadecimal; neither id is zero, the version is not `ff`. A later
/// version may have more behind the flags.
fn is_parent(text: &[u8]) -> bool {
    let Some((known, more)) = text.split_at_checked(LENGTH) else {
        return false;
    };
    let parts: Vec<&[u8]> = known.split(|byte| *byte == b'-').collect();
    let [version, trace, parent, flags] = parts[..] else {
        return false;
    };
    let is_hex = |part: &[u8], length| {
        part.len() == length && part.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte))
    };
    let is_zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    let is_future = version != b"00" && more.first().is_none_or(|byte| *byte == b'-');
    is_hex(version, 2)
        && is_hex(trace, 32)
        && is_hex(parent, 16)
        && is_hex(flags, 2)
        && version != b"ff"
        && !is_zero(trace)
        && !is_zero(parent)
        && (more.is_empty() || is_future)
}

/// The lines of `tracestate` as one, if they are no more than anybody has to carry.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let lines: Vec<&[u8]> = headers.get_all(STATE).iter().map(HeaderValue::as_bytes).collect();
    let state = lines.join(&b","[..]);
    let is_plain = state.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let has_pairs = state.split(|byte| *byte == b',').all(|pair| {
        let pair = pair.trim_ascii();
        pair.is_empty() || pair.iter().position(|byte| *byte == b'=').is_some_and(|at| at > 0)
    });
    let is_good = !state.is_empty() && state.len() <= MAX_STATE && is_plain && has_pairs;
    HeaderValue::from_bytes(&state).ok().filter(|_| is_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        let parsed = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        given.iter().map(parsed).collect()
    }

    #[test]
    fn a_good_context_passes_and_is_named() {
        let mut given = headers(&[("traceparent", GOOD), ("tracestate", "a=1"), ("tracestate", "b=2")]);
        let trace = Trace::of(&given).unwrap();
        assert_eq!(trace.id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        Trace::write(Some(&trace), &mut given);
        assert_eq!(given["traceparent"], GOOD);
        assert_eq!(given["tracestate"], "a=1,b=2");
        let later = GOOD.replacen("00-", "cc-", 1) + "-what-the-future-brings";
        assert!(Trace::of(&headers(&[("traceparent", &later)])).is_some());
    }

    #[test]
    fn a_broken_context_does_not_pass() {
        let zeros = ["0".repeat(32), "0".repeat(16)];
        for broken in [
            GOOD.replacen("00-", "ff-", 1),
            GOOD.to_uppercase(),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &zeros[0]),
            GOOD.replace("00f067aa0ba902b7", &zeros[1]),
            format!("{GOOD}-more"),
            format!("{GOOD}0"),
            GOOD.replacen("00-", "cc-", 1) + ".x",
            GOOD[..54].to_owned(),
            GOOD.replace('-', "_"),
            GOOD.replace("4b", "4g"),
            String::new(),
        ] {
            let mut given = headers(&[("traceparent", &broken), ("tracestate", "a=1")]);
            let trace = Trace::of(&given);
            assert_eq!(trace, None, "{broken}");
            Trace::write(trace.as_ref(), &mut given);
            assert!(given.is_empty(), "{broken}");
        }
        assert_eq!(Trace::of(&headers(&[("traceparent", GOOD), ("traceparent", GOOD)])), None);
    }

    #[test]
    fn state_that_nobody_has_to_carry_is_dropped_alone() {
        for state in ["", "novalue", "=x", &"a=1,".repeat(400)] {
            let mut given = headers(&[("traceparent", GOOD), ("tracestate", state)]);
            let trace = Trace::of(&given);
            Trace::write(trace.as_ref(), &mut given);
            assert_eq!(given["traceparent"], GOOD, "{state}");
            assert!(!given.contains_key("tracestate"), "{state}");
        }
    }

    #[test]
    fn a_context_can_begin_here() {
        let trace = Trace::begin([0x0a; 16], [0x0b; 8], true).unwrap();
        assert_eq!(trace.parent, "00-0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a-0b0b0b0b0b0b0b0b-01");
        assert!(trace.is_sampled() && !Trace::begin([1; 16], [1; 8], false).unwrap().is_sampled());
        assert_eq!(Trace::begin([0; 16], [1; 8], true), None);
    }

    #[test]
    fn a_context_goes_on_with_our_span_and_what_we_do() {
        for (given, is_sampled, expected) in [
            ("01", true, "01"),
            ("01", false, "00"),
            ("00", true, "01"),
            ("03", false, "02"),
            ("ff", true, "03"),
        ] {
            let parent = GOOD.replace("-01", &format!("-{given}"));
            let trace = Trace::of(&headers(&[("traceparent", &parent), ("tracestate", "a=1")])).unwrap();
            let onward = trace.onward([0x0b; 8], is_sampled).unwrap();
            let wanted = format!("00-{}-0b0b0b0b0b0b0b0b-{expected}", trace.id());
            assert_eq!(onward.parent, wanted, "{given} {is_sampled}");
            assert_eq!(onward.state, trace.state);
            assert_eq!(hex::encode(onward.ids().0), trace.id());
            assert_eq!(onward.ids().1, [0x0b; 8]);
        }
    }
}
