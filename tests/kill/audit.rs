//! What must stand in the audit log behind the start after a kill.

use serde_json::Value;

use super::{
    load::Seen,
    shop::{Leg, Shop},
};

/// Seconds between a record and the row that it is about: a disk that is busy syncs late.
const APART: i64 = 5;

/// Seconds that a token may be dated ahead of its record: behind the last of several revocations within a second, each of which
/// is dated a second after the one before it.
const AHEAD: i64 = 60;

/// What the log lacks: records of credentials, ends of intents.
pub(crate) fn problems(shop: &Shop, seen: &Seen) -> Vec<String> {
    let lines = lines(shop);
    let told = |request_id: &str, action: &str| {
        lines.iter().any(|line| line["request_id"] == request_id && line["action"] == action)
    };
    let mut problems = Vec::new();
    for login in seen.logins.iter().filter(|login| !told(&login.request_id, "token_issued")) {
        problems.push(format!("a token without a record: {login:?}"));
    }
    for revocation in &seen.revocations {
        if revocation.request_id.as_ref().is_some_and(|id| !told(id, "token_revoked")) {
            problems.push(format!("a revocation without a record: {revocation:?}"));
        }
    }
    for party in &seen.parties {
        for (leg, action) in [(&party.request, "handshake"), (&party.access, "integration_activated")] {
            if let Leg::Answered(_, request_id) = leg
                && !told(request_id, action)
            {
                problems.push(format!("a leg without a record: {party:?}"));
            }
        }
    }
    for intent in lines.iter().filter(|line| line["outcome"] == "pending") {
        let ends: Vec<_> = lines.iter().filter(|line| line["intent"] == intent["id"]).collect();
        if ends.len() != 1 {
            problems.push(format!("{} ends of {intent}: {ends:?}", ends.len()));
        }
    }
    problems.extend(unrecorded_rows(shop, &lines));
    problems
}

/// Access tokens in the store that no intent announced: each needs one of its own.
fn unrecorded_rows(shop: &Shop, lines: &[Value]) -> Vec<String> {
    let rows = shop.rows(
        "SELECT token || ' ' || CASE user_type WHEN 1 THEN 'consumer ' || consumer_id
            WHEN 2 THEN 'admin ' || admin_id ELSE 'customer ' || customer_id END || ' ' || unixepoch(created_at)
        FROM oauth_token WHERE type = 'access' ORDER BY created_at",
    );
    let mut intents: Vec<(String, i64)> = lines.iter().filter_map(announced).collect();
    let mut problems = Vec::new();
    for row in rows {
        let mut fields = row.splitn(2, ' ');
        let (token, rest) = (fields.next().unwrap(), fields.next().unwrap());
        let (owner, created_at) = rest.rsplit_once(' ').unwrap();
        let created_at: i64 = created_at.parse().unwrap();
        if shop.recorded_tokens.contains(token) {
            continue;
        }
        let is_its =
            |(of, at): &(String, i64)| of == owner && (at - APART..=at + AHEAD + APART).contains(&created_at);
        match intents.iter().position(is_its) {
            Some(place) => _ = intents.remove(place),
            None => problems.push(format!("an access token without an intent: {row}")),
        }
    }
    problems
}

/// Whose access token an intent announces, and when.
fn announced(line: &Value) -> Option<(String, i64)> {
    if line["outcome"] != "pending" {
        return None;
    }
    let owner = match line["action"].as_str()? {
        "token_issued" => format!("{} {}", line["user_type"].as_str()?, line["user_id"]),
        "integration_activated" | "credential_rotated" => format!("consumer {}", line["consumer_id"]),
        _ => return None,
    };
    let time = line["time"].as_str()?;
    Some((owner, seconds(time)))
}

/// The seconds of a time of day in UTC, with its day.
fn seconds(time: &str) -> i64 {
    let number = |from: usize, to: usize| time[from..to].parse::<i64>().unwrap();
    let (year, month) = (number(0, 4), number(5, 7));
    // Days from a civil date, years beginning in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + number(8, 10) - 1 - 719_468;
    days * 86_400 + number(11, 13) * 3600 + number(14, 16) * 60 + number(17, 19)
}

/// Intents whose end nobody could tell.
pub(crate) fn cut_off(shop: &Shop) -> usize {
    lines(shop).iter().filter(|line| line["outcome"] == "unknown").count()
}

/// Lines that a kill broke off.
pub(crate) fn torn(shop: &Shop) -> usize {
    text(shop).lines().count() - lines(shop).len()
}

fn lines(shop: &Shop) -> Vec<Value> {
    text(shop).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn text(shop: &Shop) -> String {
    std::fs::read_to_string(shop.audit_log()).unwrap_or_default()
}
