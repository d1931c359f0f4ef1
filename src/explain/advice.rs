//! What to do about a refusal, in one sentence each.

/// Advice for a class of refusals, or for the reason why a credential did not count.
pub(super) fn advice(reason: &str) -> Option<&'static str> {
    let advice = match reason {
        "ambiguous_authorization" => "Send one Authorization header with one credential.",
        "ambiguous_path" => {
            "Send the path without dot segments, backslashes, `//` inside and encoded control characters."
        }
        "disguised_route" => {
            "Send the path without escapes of letters and digits: decoded it is another route."
        }
        "framing" => {
            "Send either Content-Length or Transfer-Encoding, once, with a number that fits the body."
        }
        "host" => "Send one Host header with a plain name, one of listen.hosts if that is set.",
        "target" => "Send a path, or a URL whose host equals the Host header.",
        "https_required" => "The route is for https: a trusted proxy must say X-Forwarded-Proto: https.",
        "no_route" => "No route matches: check path, method and acl.routes.",
        "body_too_large" => {
            "The body is longer than listen.max_body, or a signed form is longer than forms.max."
        }
        "store_unavailable" => "The store cannot be asked; `portcullis check` says why.",
        "token_unknown" => {
            "No such token: it was deleted, belongs to another installation, or lost a character when copied."
        }
        "token_expired" => "The token is too old: ask for a new one.",
        "token_revoked" => "The token was revoked: ask for a new one.",
        "token_revoked_by_user" => {
            "All tokens of this user from before a moment were revoked: ask for a new one."
        }
        "token_not_access" => "This is a request or verifier token of an unfinished OAuth handshake.",
        "integration_as_bearer_is_off" => {
            "An integration's access token is no bearer: sign with OAuth 1.0a, or set magento.integration_as_bearer."
        }
        "integration_inactive" => "The integration is not active: activate it in the admin.",
        "user_inactive" => "The user's account is not active.",
        "user_missing" => "The user of this token does not exist any more.",
        "jwt_signature_invalid" => "The JWT was signed with another crypt key, or was changed.",
        "jwt_algorithm_mismatch" => "The JWT names another algorithm than the configured one.",
        "oauth_nonce_used" => {
            "Every request needs a nonce of its own: do not repeat a signed request, sign again."
        }
        "oauth_timestamp_refused" => "Set the client's clock, and send seconds since 1970.",
        "oauth_consumer_unknown" => "The consumer key is not in oauth_consumer, compared byte for byte.",
        "oauth_token_unknown" => "The token is not in oauth_token, compared byte for byte.",
        "oauth_token_of_other_consumer" => {
            "Key and token are of two integrations: take all four values from one."
        }
        "oauth_signature_method_rejected" => {
            "Sign with a method of oauth.signature_methods, or add the client's there."
        }
        "resource_denied" => {
            "The caller lacks the resource: give its role the resource, or use a credential that has it."
        }
        _ => return None,
    };
    Some(advice)
}
