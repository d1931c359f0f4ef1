//! Signatures that are right in a reading that was not tried, or that leaves part of the request unsigned.

use super::{Cause, Unverified};
use crate::auth::oauth1::{Reading, Readings, base_string, magento_path, verify};

/// Why a signature that is right in a reading does not count all the same.
pub(super) fn untried(case: &Unverified<'_>, reading: Reading) -> Vec<Cause> {
    let only = Readings::only(reading);
    if verify(case.presented, &case.request, case.signing_key.into(), only, true).is_err() {
        return vec![Cause::new(
            "unsigned_parts",
            "The signature is right in Magento's reading, which leaves part of this query, form or header unsigned: send \
             every parameter once, as name=value, and the oauth_ ones in the header only.",
        )];
    }
    if case.readings.iter().any(|tried| tried == reading) && !case.path_is_safe {
        return vec![Cause::new(
            "encoded_slash",
            "The signature is right in Magento's reading, which decodes the path to another one: sign the path as it is \
             sent, as RFC 5849 does.",
        )];
    }
    let mut causes = differences(case);
    if let Some(first) = causes.first_mut() {
        let hint = match reading {
            Reading::Rfc5849 => {
                "; the client signs as RFC 5849 says: add \"rfc5849\" to oauth.readings if the upstream does not verify again."
            }
            Reading::Magento => "; the client signs as Magento reads: add \"magento\" to oauth.readings.",
        };
        first.fix.push_str(hint);
    }
    causes
}

/// Where the two readings of this request differ.
fn differences(case: &Unverified<'_>) -> Vec<Cause> {
    let parameters = case.presented.parameters();
    let bases =
        [Reading::Rfc5849, Reading::Magento].map(|reading| base_string(reading, parameters, &case.request));
    let query = case.request.query.unwrap_or_default();
    let pieces = || query.split('&').filter(|piece| !piece.is_empty());
    let mut causes = Vec::new();
    if magento_path(case.request.path) != case.request.path {
        causes.push(Cause::new(
            "path_encoding",
            "The two readings differ in the path: Magento decodes its escapes",
        ));
    }
    if query.contains('+') {
        causes.push(Cause::new("plus", "The two readings differ in `+`: a blank in RFC 5849, a plus sign in Magento (send `%20` or `%2B`)"));
    }
    if pieces().any(|piece| piece.matches('=').count() != 1) {
        causes.push(Cause::new(
            "odd_parameter",
            "The two readings differ in parameters without exactly one `=`: Magento does not sign them",
        ));
    }
    let names = || pieces().map(|piece| piece.split('=').next().unwrap_or_default());
    if names().enumerate().any(|(at, name)| names().take(at).any(|earlier| earlier == name)) {
        causes.push(Cause::new(
            "repeated_parameter",
            "The two readings differ in repeated parameters: Magento signs the last only",
        ));
    }
    if sorted(&bases) {
        causes.push(Cause::new("sorting", "The two readings sort the parameters otherwise: RFC 5849 by bytes, Magento naturally (a2 before a10)"));
    }
    if causes.is_empty() {
        causes.push(Cause::new("reading", "The two readings of this request differ"));
    }
    causes
}

/// Whether both hold the same parameters in another order.
fn sorted(bases: &[String; 2]) -> bool {
    let pairs = bases.each_ref().map(|base| {
        base.rsplit('&').next().unwrap_or_default().split("%26").map(str::to_owned).collect::<Vec<_>>()
    });
    let [mut first, mut second] = pairs.clone();
    first.sort_unstable();
    second.sort_unstable();
    let [left, right] = pairs;
    left != right && first == second
}
