//! The parameters of a request, collected and sorted as each reading has it (RFC 5849 §3.4.1.3).
//!
//! RFC 5849 signs every parameter of header, query and form, repeated ones too, sorted by encoded bytes. Magento's
//! reading knows one value per name and leaves parts of query and form unsigned (`MAGENTO_AUTH` section 3.8), so an
//! attacker could add or change them. Collecting notices every such part; a signature that does not cover the request
//! proves nothing about it, and the verifier does not try that reading.

use std::ops::Range;

use super::encoding::{Plus, decode, encode_twice, recode_twice};
use super::natural_order::natural_order;
use super::params::{Kind, ProtocolParameters, is_protocol_name, split_at_equals, split_at_only_equals};
use super::request::{Reading, SignedRequest};

/// `=` between name and value, encoded once.
const EQUALS: &[u8] = b"%3D";

/// PHP's `max_input_vars`: `parse_str` drops what comes after.
const MAX_FORM_PAIRS: usize = 1000;

/// Sorted pairs in a buffer that has room for the base string as well.
pub(super) struct Pairs {
    pub(super) buffer: Vec<u8>,
    pub(super) places: Vec<Place>,
    /// Whether every byte of query and form is signed, and the header has one meaning only.
    pub(super) covers_request: bool,
}

/// Where a pair stands in the buffer: `name%3Dvalue`, both encoded twice.
#[derive(Clone, Copy)]
pub(super) struct Place {
    start: usize,
    name_end: usize,
    end: usize,
    /// Its turn in a PHP array; ties of the natural order are settled by it.
    turn: usize,
}

impl Place {
    pub(super) const fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

impl Pairs {
    pub(super) fn collect(
        reading: Reading,
        parameters: &ProtocolParameters<'_>,
        request: &SignedRequest<'_>,
    ) -> Self {
        let mut pairs = Self::with_room_for(parameters, request);
        match reading {
            Reading::Rfc5849 => pairs.collect_rfc5849(parameters, request),
            Reading::Magento => pairs.collect_magento(parameters, request),
        }
        pairs
    }

    /// Room for pairs and base string; escaped bytes grow, and where many do the buffer grows with them.
    fn with_room_for(parameters: &ProtocolParameters<'_>, request: &SignedRequest<'_>) -> Self {
        let header: usize = parameters.iter().map(|one| one.name.len() + one.value.len() + 8).sum();
        let query = request.query.map_or(0, str::len);
        let form = request.form.map_or(0, <[u8]>::len);
        let head = request.method.len() + request.host.len() + request.path.len() * 2 + 32;
        let count = request.query.unwrap_or_default().bytes().filter(|byte| *byte == b'&').count();
        Self {
            buffer: Vec::with_capacity(2 * header + 4 * (query + form) + head),
            places: Vec::with_capacity(parameters.iter().count() + count + 1),
            covers_request: true,
        }
    }

    fn collect_rfc5849(&mut self, parameters: &ProtocolParameters<'_>, request: &SignedRequest<'_>) {
        self.covers_request = !parameters.repeats();
        for one in parameters.iter().filter(|one| matches!(one.kind, Kind::Protocol | Kind::Extra)) {
            self.push(|out| encode_twice(out, &one.name), |out| encode_twice(out, &one.value));
        }
        let query = request.query.unwrap_or_default().as_bytes();
        for piece in pieces(query).chain(pieces(request.form.unwrap_or_default())) {
            let (name, value) = split_at_equals(piece).unwrap_or((piece, b""));
            self.push(
                |out| recode_twice(out, name, Plus::Blank),
                |out| recode_twice(out, value, Plus::Blank),
            );
        }
        let Self { buffer, places, .. } = self;
        let text = |range: Range<usize>| buffer.get(range);
        places.sort_unstable_by(|a, b| {
            let names = text(a.start..a.name_end).cmp(&text(b.start..b.name_end));
            names.then_with(|| text(a.name_end..a.end).cmp(&text(b.name_end..b.end)))
        });
    }

    fn collect_magento(&mut self, parameters: &ProtocolParameters<'_>, request: &SignedRequest<'_>) {
        for one in parameters.iter().filter(|one| one.kind == Kind::Protocol) {
            self.push(|out| encode_twice(out, &one.name), |out| encode_twice(out, &one.value));
        }
        for (count, piece) in pieces(request.form.unwrap_or_default()).enumerate() {
            self.push_magento_form_piece(piece);
            self.covers_request &= count < MAX_FORM_PAIRS;
        }
        for piece in pieces(request.query.unwrap_or_default().as_bytes()) {
            self.push_magento_query_piece(piece);
        }
        self.sort_naturally();
    }

    /// Pieces without exactly one `=` and names that look like protocol parameters are not signed.
    fn push_magento_query_piece(&mut self, piece: &[u8]) {
        match split_at_only_equals(piece) {
            Some((name, value)) if !is_protocol_name(name) => {
                // Decoded, such a name would take a header parameter's place in Magento's one map.
                self.covers_request &= !is_protocol_name(&decode(name, Plus::Literal));
                self.push(
                    |out| recode_twice(out, name, Plus::Literal),
                    |out| recode_twice(out, value, Plus::Literal),
                );
            }
            _ => self.covers_request = false,
        }
    }

    /// `parse_str` renames, nests and drops; only a piece with one plain name and one value is surely signed.
    fn push_magento_form_piece(&mut self, piece: &[u8]) {
        let (name, value) = split_at_equals(piece).unwrap_or((piece, b""));
        let Some(name) = parsed_name(name) else {
            self.covers_request = false;
            return;
        };
        self.covers_request &= split_at_only_equals(piece).is_some();
        if is_protocol_name(&name) {
            self.covers_request = false;
            return;
        }
        self.push(|out| encode_twice(out, &name), |out| recode_twice(out, value, Plus::Blank));
    }

    fn push(&mut self, write_name: impl FnOnce(&mut Vec<u8>), write_value: impl FnOnce(&mut Vec<u8>)) {
        let start = self.buffer.len();
        write_name(&mut self.buffer);
        let name_end = self.buffer.len();
        self.buffer.extend_from_slice(EQUALS);
        write_value(&mut self.buffer);
        self.places.push(Place { start, name_end, end: self.buffer.len(), turn: self.places.len() });
    }

    /// PHP's `uksort($params, 'strnatcmp')` over one value per name.
    fn sort_naturally(&mut self) {
        let Self { buffer, places, covers_request } = self;
        let name = |place: &Place| buffer.get(place.start..place.name_end).unwrap_or_default();
        let order = |a: &Place, b: &Place| natural_order(EncodedOnce(name(a)), EncodedOnce(name(b)));
        places.sort_unstable_by(|a, b| order(a, b).then(a.turn.cmp(&b.turn)));
        let mut has_repeats = false;
        for ties in places.chunk_by_mut(|a, b| order(a, b).is_eq()).filter(|ties| ties.len() > 1) {
            ties.sort_unstable_by(|a, b| name(a).cmp(name(b)).then(a.turn.cmp(&b.turn)));
            for same in ties.chunk_by_mut(|a, b| name(a) == name(b)) {
                has_repeats |= same.len() > 1;
                overwrite_with_last(same);
            }
            ties.sort_unstable_by_key(|place| place.turn);
        }
        if has_repeats {
            *covers_request = false;
            places.dedup_by(|later, earlier| later.turn == earlier.turn);
        }
    }
}

/// Puts the last value of a name into the first one's turn, as a PHP array does.
fn overwrite_with_last(same: &mut [Place]) {
    if let [first, .., last] = same {
        let place = Place { turn: first.turn, ..*last };
        same.fill(place);
    }
}

/// The non-empty pieces between `&`.
fn pieces(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty())
}

/// The name that PHP's `parse_str` gives a form parameter: leading blanks dropped, `.` and blanks become `_`. `None`
/// where it would drop the parameter (no name), cut the name (NUL) or build an array (`[`).
fn parsed_name(raw: &[u8]) -> Option<Vec<u8>> {
    let name = decode(raw, Plus::Blank);
    let name: Vec<u8> = name
        .iter()
        .copied()
        .skip_while(|byte| *byte == b' ')
        .map(|byte| if matches!(byte, b'.' | b' ') { b'_' } else { byte })
        .collect();
    (!name.is_empty() && !name.contains(&b'[') && !name.contains(&0)).then_some(name)
}

/// A twice encoded text read as encoded once: every `%25` is a `%`.
#[derive(Clone)]
struct EncodedOnce<'a>(&'a [u8]);

impl Iterator for EncodedOnce<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = match self.0 {
            [b'%', b'2', b'5', rest @ ..] => (b'%', rest),
            [byte, rest @ ..] => (*byte, rest),
            [] => return None,
        };
        self.0 = rest;
        Some(byte)
    }
}
