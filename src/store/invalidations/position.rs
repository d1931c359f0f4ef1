//! How far a replica has come, and what follows from what it hears.

use redis::{FromRedisValue, ParsingError, Value};

use super::message::Message;

/// A place in the order of all changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The history that the generation belongs to.
    pub epoch: String,
    /// The number of the change.
    pub generation: u64,
}

/// What a heartbeat hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// The latest change.
    pub latest: Mark,
    /// The server's clock, in milliseconds.
    pub now: u64,
    /// Replicas that are alive.
    pub live: u64,
    /// The changes since the replica's own mark, the latest first, as far as the list reaches.
    pub missed: Vec<String>,
}

/// What a replica has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It has obeyed everything.
    Nothing,
    /// Obey these, in this order.
    Obey(Vec<Message>),
    /// It cannot know what it missed: forget everybody.
    ForgetEveryone,
}

/// How far one replica has come; nowhere at first.
#[derive(Debug, Clone, Default)]
pub struct Position(Option<Mark>);

impl Position {
    /// The last change obeyed.
    #[must_use]
    pub const fn mark(&self) -> Option<&Mark> {
        self.0.as_ref()
    }

    /// Whether a message is the very next one; it counts as obeyed then. Any other is a matter for [`Position::after`].
    pub fn takes(&mut self, message: &Message) -> bool {
        let Some(own) = &mut self.0 else { return false };
        let is_next =
            own.epoch == message.mark.epoch && own.generation.checked_add(1) == Some(message.mark.generation);
        if is_next {
            own.generation = message.mark.generation;
        }
        is_next
    }

    /// Whether a message was obeyed already.
    #[must_use]
    pub fn has(&self, message: &Message) -> bool {
        self.0
            .as_ref()
            .is_some_and(|own| own.epoch == message.mark.epoch && own.generation >= message.mark.generation)
    }

    /// What follows from a heartbeat; it counts as done.
    pub fn after(&mut self, beat: &Beat) -> Step {
        let Some(own) = self.0.replace(beat.latest.clone()) else { return Step::ForgetEveryone };
        if own == beat.latest {
            return Step::Nothing;
        }
        if own.epoch != beat.latest.epoch || own.generation > beat.latest.generation {
            return Step::ForgetEveryone;
        }
        let missed: Option<Vec<Message>> = beat.missed.iter().rev().map(|line| Message::read(line)).collect();
        let Some(missed) = missed else { return Step::ForgetEveryone };
        let wanted = own.generation + 1..=beat.latest.generation;
        let found = missed.iter().map(|message| message.mark.generation);
        let is_whole = missed.iter().all(|message| message.mark.epoch == own.epoch) && found.eq(wanted);
        if is_whole { Step::Obey(missed) } else { Step::ForgetEveryone }
    }
}

impl FromRedisValue for Beat {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (epoch, generation, now, live, missed): (String, u64, u64, u64, Vec<String>) =
            FromRedisValue::from_redis_value(value)?;
        Ok(Self { latest: Mark { epoch, generation }, now, live, missed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(epoch: &str, generation: u64) -> Mark {
        Mark { epoch: epoch.to_owned(), generation }
    }

    fn message(epoch: &str, generation: u64) -> Message {
        Message::read(&format!("{epoch} {generation} 1 r customer {generation}")).unwrap()
    }

    fn beat(epoch: &str, generation: u64, missed: &[u64]) -> Beat {
        let missed = missed.iter().map(|number| format!("{epoch} {number} 1 r customer {number}")).collect();
        Beat { latest: mark(epoch, generation), now: 1, live: 1, missed }
    }

    #[test]
    fn only_the_next_message_is_taken() {
        let mut position = Position(Some(mark("e", 7)));
        for (epoch, generation, is_next) in [
            ("e", 7, false),
            ("e", 9, false),
            ("f", 8, false),
            ("e", 8, true),
            ("e", 8, false),
            ("e", 9, true),
        ] {
            assert_eq!(position.takes(&message(epoch, generation)), is_next, "{epoch} {generation}");
        }
        assert_eq!(position.mark(), Some(&mark("e", 9)));
        assert!(position.has(&message("e", 9)) && !position.has(&message("e", 10)));
        assert!(!position.has(&message("f", 1)), "of another epoch nothing is known");
        assert!(!Position::default().takes(&message("e", 1)));
    }

    #[test]
    fn what_was_missed_is_obeyed_in_order_or_everybody_is_forgotten() {
        for (own, beat, expected) in [
            (None, beat("e", 0, &[]), Step::ForgetEveryone),
            (Some(mark("e", 7)), beat("e", 7, &[]), Step::Nothing),
            (Some(mark("e", 7)), beat("e", 9, &[9, 8]), Step::Obey(vec![message("e", 8), message("e", 9)])),
            // The list was cut.
            (Some(mark("e", 7)), beat("e", 10, &[10, 9]), Step::ForgetEveryone),
            (Some(mark("e", 7)), beat("e", 9, &[]), Step::ForgetEveryone),
            // Lost, and begun again.
            (Some(mark("e", 7)), beat("e", 3, &[]), Step::ForgetEveryone),
            (Some(mark("e", 7)), beat("f", 9, &[9, 8]), Step::ForgetEveryone),
        ] {
            let mut position = Position(own.clone());
            assert_eq!(position.after(&beat), expected, "{own:?} {beat:?}");
            assert_eq!(position.mark(), Some(&beat.latest));
        }
        let mut position = Position(Some(mark("e", 7)));
        let garbled = Beat { missed: vec!["nonsense".to_owned()], ..beat("e", 8, &[]) };
        assert_eq!(position.after(&garbled), Step::ForgetEveryone);
    }
}
