"""requests-oauthlib: a requests session that signs as RFC 5849 says; its default is HMAC-SHA1."""

from requests_oauthlib import OAuth1Session

import client


def session_with(consumer_secret):
    key, token, token_secret = client.credentials()
    return OAuth1Session(
        client_key=key,
        client_secret=consumer_secret,
        resource_owner_key=token,
        resource_owner_secret=token_secret,
        **client.signature_method(),
    )


client.run_signed(session_with)
