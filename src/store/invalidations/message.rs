//! What is published: one line, `epoch generation at origin kind id`.

use crate::store::{Subject, sql::Changed};

use super::position::Mark;

/// A published change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its place in the order of all.
    pub mark: Mark,
    /// When it was published, in milliseconds of the server's clock.
    pub at: u64,
    /// The replica that published it, which has obeyed it already.
    pub origin: String,
    /// What changed; `None` for what a later version may say, which concerns everybody.
    pub change: Option<Changed>,
}

impl Message {
    /// Reads a line; `None` where it is none.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let mut words = line.splitn(5, ' ');
        let epoch = words.next().filter(|epoch| !epoch.is_empty())?.to_owned();
        let generation = words.next()?.parse().ok()?;
        let at = words.next()?.parse().ok()?;
        let origin = words.next()?.to_owned();
        let change = payload(words.next()?);
        Some(Self { mark: Mark { epoch, generation }, at, origin, change })
    }
}

/// What follows the origin in a line.
pub(super) fn written(change: Changed) -> String {
    match change {
        Changed::Tables => "tables".to_owned(),
        Changed::Subject(Subject::Consumer(id)) => format!("consumer {id}"),
        Changed::Subject(Subject::Admin(id)) => format!("admin {id}"),
        Changed::Subject(Subject::Customer(id)) => format!("customer {id}"),
    }
}

fn payload(text: &str) -> Option<Changed> {
    let mut words = text.split(' ');
    let (kind, id) = (words.next()?, words.next());
    if words.next().is_some() {
        return None;
    }
    let id = id.map(str::parse::<u32>);
    match (kind, id) {
        ("tables", None) => Some(Changed::Tables),
        ("consumer", Some(Ok(id))) => Some(Changed::Subject(Subject::Consumer(id))),
        ("admin", Some(Ok(id))) => Some(Changed::Subject(Subject::Admin(id))),
        ("customer", Some(Ok(id))) => Some(Changed::Subject(Subject::Customer(id))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for change in [
            Changed::Tables,
            Changed::Subject(Subject::Consumer(0)),
            Changed::Subject(Subject::Admin(u32::MAX)),
            Changed::Subject(Subject::Customer(7)),
        ] {
            let line = format!("e:1 9 1795248000123 replica-1 {}", written(change));
            let message = Message::read(&line).unwrap();
            assert_eq!((message.change, message.origin.as_str()), (Some(change), "replica-1"), "{line}");
            assert_eq!(message.mark, Mark { epoch: "e:1".to_owned(), generation: 9 });
            assert_eq!(message.at, 1_795_248_000_123);
        }
    }

    #[test]
    fn an_unknown_change_is_everybodys_and_nonsense_is_no_message() {
        for unknown in
            ["role 7", "customer", "customer -1", "customer 7 8", "tables 1", "customer 4294967296"]
        {
            let message = Message::read(&format!("e 1 2 r {unknown}")).unwrap();
            assert_eq!(message.change, None, "{unknown}");
        }
        for line in
            ["", "e", "e 1 2 r", " 1 2 r tables", "e x 2 r tables", "e 1 x r tables", "e -1 2 r tables"]
        {
            assert_eq!(Message::read(line), None, "{line}");
        }
    }
}
