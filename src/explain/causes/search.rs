//! Trying the changes: none, one, two together, three within the URL.

use super::{
    Cause, Unverified,
    change::{Apply, Change},
    content, keys, readings, url,
};
use crate::auth::oauth1::{ProtocolParameters, Reading, TrialKey, base_string};

const BOTH: [Reading; 2] = [Reading::Rfc5849, Reading::Magento];

/// Beyond this, query and form are too long to try changes together: each trial signs them all.
const LONG: usize = 16 * 1024;

/// Finds what the client got wrong: the causes that fit alone, else those that fit together, else that none does.
pub(in crate::explain) fn diagnose(case: &Unverified<'_>) -> Vec<Cause> {
    let (signature, spelling) = match keys::readable(case.presented.signature()) {
        Ok(readable) => readable,
        Err(cause) => return vec![cause],
    };
    let trial = Trial::new(case, signature);
    if let Some(reading) = BOTH.into_iter().find(|reading| trial.fits(&[], *reading)) {
        return spelling.map_or_else(|| readings::untried(case, reading), |spelling| vec![spelling]);
    }
    let changes: Vec<Change> =
        [url::changes(case), content::changes(case), keys::changes(case)].into_iter().flatten().collect();
    let mut causes = trial.alone(&changes);
    if causes.is_empty() && trial.is_short() {
        causes = trial.together(&changes);
    }
    causes.extend(spelling);
    if causes.is_empty() {
        causes.push(Cause::new(
            "secrets",
            "None of the usual causes fits: most likely the client's consumer secret or token secret is not the one that is \
             stored, or it signed another host or body. Compare its base string with the ones above; if they are equal, \
             the secrets are not.",
        ));
    }
    causes
}

struct Trial<'a> {
    case: &'a Unverified<'a>,
    signature: String,
    key: TrialKey,
}

impl<'a> Trial<'a> {
    fn new(case: &'a Unverified<'a>, signature: String) -> Self {
        let secrets = case.secrets;
        let key = TrialKey::joined(secrets.consumer.expose().as_bytes(), secrets.token.expose().as_bytes());
        Self { case, signature, key }
    }

    fn is_short(&self) -> bool {
        let query = self.case.request.query.map_or(0, str::len);
        query + self.case.surroundings.body.len() <= LONG
    }

    /// Every change that fits alone, one a name; what leads to the same text is the same cause.
    fn alone(&self, changes: &[Change]) -> Vec<Cause> {
        let (mut causes, mut texts): (Vec<Cause>, Vec<String>) = (Vec::new(), Vec::new());
        for change in changes {
            let Some(text) = BOTH.into_iter().find_map(|reading| self.signed_text(&[change], reading)) else {
                continue;
            };
            if !texts.contains(&text) && !causes.iter().any(|cause| cause.name == change.cause.name) {
                causes.push(change.cause.clone());
            }
            texts.push(text);
        }
        causes
    }

    /// The first two or three changes that fit together.
    fn together(&self, changes: &[Change]) -> Vec<Cause> {
        let of_url = changes.iter().filter(|change| change.is_of_url());
        let pairs = pairs(changes.iter());
        let mut sets = pairs.chain(triples(of_url));
        let found = sets.find(|set| BOTH.into_iter().any(|reading| self.fits(set, reading)));
        let mut causes: Vec<Cause> =
            found.unwrap_or_default().into_iter().map(|change| change.cause.clone()).collect();
        let count = causes.len();
        if let Some(first) = causes.first_mut() {
            first.fix.push_str(&format!(" (One of {count} causes that fit together.)"));
        }
        causes
    }

    fn fits(&self, changes: &[&Change], reading: Reading) -> bool {
        self.signed_text(changes, reading).is_some()
    }

    /// The base string of the request with these changes, if the presented signature is the one of it.
    fn signed_text(&self, changes: &[&Change], reading: Reading) -> Option<String> {
        let mut request = self.case.request;
        let (mut key, mut method) = (&self.key, self.case.presented.method());
        let (mut credentials, mut rewrites) = (None, Vec::new());
        for change in changes {
            match &change.apply {
                Apply::Method(signed) => request.method = signed,
                Apply::Scheme(signed) => request.scheme = *signed,
                Apply::Host(signed) => request.host = signed,
                Apply::Path(signed) => request.path = signed,
                Apply::Query(signed) => request.query = signed.as_deref(),
                Apply::Form(signed) => request.form = signed.as_deref(),
                Apply::Credentials(signed) => credentials = Some(ProtocolParameters::parse(signed)),
                Apply::Rewrite(rewrite) => rewrites.push(*rewrite),
                Apply::Key(signed) => key = signed,
                Apply::Algorithm(signed) => method = *signed,
            }
        }
        let parameters = credentials.as_ref().unwrap_or_else(|| self.case.presented.parameters());
        let mut base = base_string(reading, parameters, &request);
        for rewrite in rewrites {
            base = rewrite.apply(&base)?;
        }
        key.signature(method, &base).equals(self.signature.as_bytes()).then_some(base)
    }
}

fn pairs<'c>(changes: impl Iterator<Item = &'c Change> + Clone) -> impl Iterator<Item = Vec<&'c Change>> {
    changes.clone().enumerate().flat_map(move |(at, first)| {
        let others = changes.clone().skip(at + 1).filter(|second| !first.excludes(second));
        others.map(move |second| vec![first, second])
    })
}

/// Three changes of the URL, each of another part.
fn triples<'c>(changes: impl Iterator<Item = &'c Change> + Clone) -> impl Iterator<Item = Vec<&'c Change>> {
    let thirds = changes.clone();
    pairs(changes).flat_map(move |pair| {
        let thirds = thirds.clone();
        thirds.filter_map(move |third| match pair.as_slice() {
            [first, second] if !first.excludes(third) && !second.excludes(third) => {
                Some(vec![*first, *second, third])
            }
            _ => None,
        })
    })
}
