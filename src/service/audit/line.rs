//! A record as a line: one JSON object of printable ASCII, every key in it.
//!
//! Whatever is not printable ASCII is written as `\u…`: names come from outside, and neither a control sequence, a
//! right-to-left mark nor an invisible character in one may fool whoever reads the log in a terminal. Long texts are cut.

use std::{borrow::Cow, io, net::IpAddr};

use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, Serializer};
use uuid::Uuid;

use super::record::Record;
use crate::{auth::time::UnixTime, clock::rfc3339};

/// Characters of a name: as many as the longest column of a name has.
const NAME: usize = 255;
/// Characters of an actor and of a request's id.
const WORD: usize = 128;
/// Characters of a detail.
const DETAIL: usize = 1024;

/// How an announcement stands in the place of an outcome.
const PENDING: &str = "pending";
/// How a change ended whose end nobody told.
const UNKNOWN: &str = "unknown";

/// What a line is to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It stands alone.
    Event,
    /// It announces a change.
    Intent,
    /// It tells how an announced change ended.
    End(Uuid),
}

/// The keys of a line, in their order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Line<'a> {
    time: Cow<'a, str>,
    pub(super) id: Uuid,
    pub(super) intent: Option<Uuid>,
    pub(super) action: Cow<'a, str>,
    outcome: Cow<'a, str>,
    cause: Option<Cow<'a, str>>,
    pub(super) actor: Cow<'a, str>,
    user_type: Option<Cow<'a, str>>,
    user_id: Option<u32>,
    name: Option<Cow<'a, str>>,
    consumer_id: Option<u32>,
    client: Option<IpAddr>,
    request_id: Option<Cow<'a, str>>,
    detail: Option<Cow<'a, str>>,
}

impl<'a> Line<'a> {
    /// A record's line.
    pub(super) fn new(record: &'a Record, role: Role, (id, now): (Uuid, UnixTime)) -> Self {
        let Record {
            action,
            outcome,
            cause,
            user_type,
            user_id,
            name,
            consumer_id,
            actor,
            client,
            request_id,
            detail,
        } = record;
        let (intent, outcome) = match role {
            Role::Event => (None, outcome.as_str()),
            Role::Intent => (None, PENDING),
            Role::End(intent) => (Some(intent), outcome.as_str()),
        };
        Self {
            time: rfc3339(now).into(),
            id,
            intent,
            action: action.as_str().into(),
            outcome: outcome.into(),
            cause: cause.map(Into::into),
            actor: cut(actor, WORD),
            user_type: user_type.map(|user_type| user_type.as_str().into()),
            user_id: *user_id,
            name: name.as_deref().map(|name| cut(name, NAME)),
            consumer_id: *consumer_id,
            client: *client,
            request_id: request_id.as_deref().map(|id| cut(id, WORD)),
            detail: detail.as_deref().map(|detail| cut(detail, DETAIL)),
        }
    }

    /// A line of the log, if it is a whole one.
    pub(super) fn parse(text: &[u8]) -> Option<Line<'static>> {
        serde_json::from_slice(text).ok()
    }

    pub(super) fn is_intent(&self) -> bool {
        self.outcome == PENDING
    }

    /// The end of an announced change that nobody can tell any more.
    pub(super) fn unknown(self, (id, now): (Uuid, UnixTime)) -> Self {
        let intent = Some(self.id);
        Self { time: rfc3339(now).into(), id, intent, outcome: UNKNOWN.into(), ..self }
    }

    /// The line's text, the newline included.
    pub(super) fn text(&self) -> io::Result<Vec<u8>> {
        let mut text = Vec::with_capacity(512);
        self.serialize(&mut Serializer::with_formatter(&mut text, PrintableAscii))?;
        text.push(b'\n');
        Ok(text)
    }
}

/// A text no longer than `most` characters.
fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => text.into(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()).into(),
    }
}

/// Writes JSON that consists of printable ASCII.
struct PrintableAscii;

impl Formatter for PrintableAscii {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        for character in text.chars() {
            if matches!(character, ' '..='~') {
                writer.write_all(&[character as u8])?;
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{auth::identity::UserType, service::audit::Action};

    const NOW: UnixTime = UnixTime::from_seconds(1_795_248_000);

    fn text(record: &Record, role: Role) -> String {
        String::from_utf8(Line::new(record, role, (Uuid::nil(), NOW)).text().unwrap()).unwrap()
    }

    #[test]
    fn every_key_is_in_every_line() {
        let mut record = Record::new(Action::JobRun, "job");
        assert_eq!(
            text(&record, Role::Event),
            "{\"time\":\"2026-11-21T08:00:00Z\",\"id\":\"00000000-0000-0000-0000-000000000000\",\"intent\":null,\
             \"action\":\"job_run\",\"outcome\":\"done\",\"cause\":null,\"actor\":\"job\",\"user_type\":null,\
             \"user_id\":null,\"name\":null,\"consumer_id\":null,\"client\":null,\"request_id\":null,\"detail\":null}\n"
        );
        record.user_type = Some(UserType::Customer);
        record.client = Some([192, 0, 2, 1].into());
        let line = text(&record, Role::End(Uuid::nil()));
        assert!(line.contains("\"intent\":\"00000000-0000-0000-0000-000000000000\""), "{line}");
        assert!(
            line.contains("\"user_type\":\"customer\"") && line.contains("\"client\":\"192.0.2.1\""),
            "{line}"
        );
        assert!(text(&record, Role::Intent).contains("\"outcome\":\"pending\""));
    }

    #[test]
    fn no_name_can_fool_a_terminal_or_forge_a_line() {
        let evil = "a\"\\\r\n\t\0\u{1b}[2J\u{7f}\u{9b}31m\u{85}\u{2028}\u{2029}\u{202e}\u{2066}\u{200b}\u{feff}\u{ad}\u{e0041}é💥";
        let record = Record { name: Some(evil.to_owned()), ..Record::new(Action::TokenIssued, evil) };
        let line = text(&record, Role::Event);
        let printable = |byte: &u8| matches!(byte, b' '..=b'~');
        assert!(line.trim_end_matches('\n').as_bytes().iter().all(printable), "{line}");
        assert_eq!(line.matches('\n').count(), 1);
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["name"], evil, "nothing is lost");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let record = Record {
            name: Some("é".repeat(5000)),
            request_id: Some("x".repeat(5000)),
            detail: Some("ü".repeat(100_000)),
            ..Record::new(Action::TokenIssued, "y".repeat(5000))
        };
        let line = text(&record, Role::Event);
        assert!(line.len() < 9000, "{}", line.len());
        let parsed = Line::parse(line.as_bytes()).unwrap();
        assert_eq!(parsed.name.unwrap().chars().count(), NAME + 1);
    }

    #[test]
    fn a_line_comes_back_as_the_end_that_nobody_told() {
        let record = Record { consumer_id: Some(7), ..Record::new(Action::IntegrationDeleted, "cli:root") };
        let line = text(&record, Role::Intent);
        let parsed = Line::parse(line.as_bytes()).unwrap();
        assert!(parsed.is_intent());
        let end = parsed.unknown((Uuid::max(), NOW)).text().unwrap();
        let end = Line::parse(&end).unwrap();
        assert_eq!((end.intent, end.consumer_id, &*end.outcome), (Some(Uuid::nil()), Some(7), "unknown"));
        assert!(!end.is_intent());
        assert!(Line::parse(b"{\"time\":\"2026").is_none());
    }
}
