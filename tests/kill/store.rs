//! What must be so in a store, whenever the process that writes to it died.

use super::{
    load::{Command, Seen},
    shop::{Leg, Party, Shop},
};

/// An access token that was not rotated out.
const CURRENT: &str =
    "t.type = 'access' AND t.entity_id NOT IN (SELECT token_id FROM portcullis_older_token)";

/// What is made and deleted together, and what it looks like where it was not: each finds ids.
const HALVES: [(&str, &str); 12] = [
    (
        "an integration without its consumer",
        "SELECT integration_id FROM integration AS i
        WHERE NOT EXISTS (SELECT 1 FROM oauth_consumer AS c WHERE c.entity_id = i.consumer_id)",
    ),
    (
        "a consumer without its integration",
        "SELECT entity_id FROM oauth_consumer AS c
        WHERE NOT EXISTS (SELECT 1 FROM integration AS i WHERE i.consumer_id = c.entity_id)",
    ),
    (
        "an integration without its role",
        "SELECT integration_id FROM integration AS i WHERE (SELECT count(*) FROM authorization_role AS r
            WHERE r.user_id = i.integration_id AND r.user_type = '1') <> 1",
    ),
    (
        "a role without its integration",
        "SELECT role_id FROM authorization_role AS r WHERE r.user_type = '1'
        AND NOT EXISTS (SELECT 1 FROM integration AS i WHERE i.integration_id = r.user_id)",
    ),
    (
        "a role without rules",
        "SELECT role_id FROM authorization_role AS r WHERE r.user_type = '1'
        AND NOT EXISTS (SELECT 1 FROM authorization_rule AS u WHERE u.role_id = r.role_id)",
    ),
    (
        "a rule without its role",
        "SELECT rule_id FROM authorization_rule WHERE role_id NOT IN (SELECT role_id FROM authorization_role)",
    ),
    (
        "a role with some of its rules",
        "SELECT r.role_id FROM authorization_role AS r JOIN authorization_rule AS u ON u.role_id = r.role_id
        WHERE r.user_type = '1' GROUP BY r.role_id
        HAVING count(*) <> 1 AND count(*) <> (SELECT max(n) FROM (SELECT count(*) AS n FROM authorization_rule GROUP BY role_id))",
    ),
    (
        "a token without its owner",
        "SELECT entity_id FROM oauth_token AS t WHERE NOT coalesce(CASE t.user_type
            WHEN 1 THEN EXISTS (SELECT 1 FROM oauth_consumer AS c WHERE c.entity_id = t.consumer_id)
            WHEN 2 THEN EXISTS (SELECT 1 FROM admin_user AS a WHERE a.user_id = t.admin_id)
            WHEN 3 THEN EXISTS (SELECT 1 FROM customer_entity AS c WHERE c.entity_id = t.customer_id) END, 0)",
    ),
    (
        "an access token whose secret stands in clear",
        "SELECT entity_id FROM oauth_token WHERE type = 'access' AND secret NOT LIKE '0:3:%'",
    ),
    ("an active integration without a token, or the other way round", "ACTIVE"),
    (
        "two current tokens of one consumer",
        "SELECT consumer_id FROM oauth_token AS t WHERE consumer_id IS NOT NULL AND CURRENT
        GROUP BY consumer_id HAVING count(*) > 1",
    ),
    (
        "an older credential without its owner",
        "SELECT token_id FROM portcullis_older_token WHERE token_id NOT IN (SELECT entity_id FROM oauth_token)
        UNION ALL SELECT consumer_id FROM portcullis_older_secret
        WHERE consumer_id NOT IN (SELECT entity_id FROM oauth_consumer)",
    ),
];

const ACTIVE: &str = "SELECT integration_id FROM integration AS i
    WHERE (status = 1) <> EXISTS (SELECT 1 FROM oauth_token AS t WHERE t.consumer_id = i.consumer_id AND CURRENT)";

/// Everything that looks half done, in words.
pub(crate) fn half_done(shop: &Shop) -> Vec<String> {
    HALVES
        .iter()
        .flat_map(|(what, query)| {
            let query = query.replace("ACTIVE", ACTIVE).replace("CURRENT", CURRENT);
            shop.rows(&query).into_iter().map(move |id| format!("{what}: {id}"))
        })
        .collect()
}

/// What is wrong with the store after a kill.
pub(crate) fn problems(shop: &Shop, seen: &Seen) -> Vec<String> {
    let mut problems: Vec<String> = shop.pragma("integrity_check");
    problems.retain(|line| line != "ok");
    problems.extend(shop.pragma("foreign_key_check"));
    problems.extend(half_done(shop).into_iter().filter(|found| !shop.baseline.contains(found)));
    problems.extend(seen.parties.iter().filter_map(|party| handshake(shop, party)));
    problems.extend(seen.commands.iter().filter_map(|command| command_undone(shop, command)));
    problems
}

/// The one row of a party is where its client was told, or one step further where it was told nothing.
fn handshake(shop: &Shop, party: &Party) -> Option<String> {
    let query = format!(
        "SELECT type || ' ' || token FROM oauth_token WHERE consumer_id = {} ORDER BY entity_id",
        party.consumer_id
    );
    let rows = shop.rows(&query);
    let [row] = rows.as_slice() else { return Some(format!("{party:?} has {rows:?}")) };
    let (kind, token) = row.split_once(' ').unwrap();
    let is_in_order = match (&party.request, &party.access) {
        (_, Leg::Answered((access, _), _)) => kind == "access" && token == access,
        (Leg::Answered((request, _), _), Leg::NoAnswer) => {
            kind == "access" || kind == "request" && token == request
        }
        (Leg::Answered((request, _), _), Leg::NotTried | Leg::Refused) => {
            kind == "request" && token == request
        }
        (Leg::NoAnswer, _) => kind == "verifier" || kind == "request",
        (Leg::NotTried | Leg::Refused, _) => kind == "verifier",
    };
    (!is_in_order).then(|| format!("{party:?} has {rows:?}"))
}

/// What a command said it did, and did not last.
fn command_undone(shop: &Shop, command: &Command) -> Option<String> {
    let Command { name, is_there, token } = command;
    if let Some(is_there) = is_there {
        let found = shop.rows(&format!("SELECT 1 FROM integration WHERE name = '{name}'"));
        if found.is_empty() == *is_there {
            return Some(format!("{command:?}, but the store has it: {}", !found.is_empty()));
        }
    }
    let token = token.as_ref()?;
    let found = shop.rows(&format!(
        "SELECT 1 FROM oauth_token AS t JOIN integration AS i ON i.consumer_id = t.consumer_id
        WHERE i.name = '{name}' AND t.token = '{token}' AND {CURRENT}"
    ));
    found.is_empty().then(|| format!("{command:?}, but its token is not there"))
}
