"""Authlib: a requests session that signs as RFC 5849 says; its default is HMAC-SHA1.

HMAC-SHA256 is not among its methods. It has a hook for more of them, which is what its users reach for.
"""

import base64
import hashlib
import hmac

from authlib.integrations.requests_client import OAuth1Auth, OAuth1Session
from authlib.oauth1.rfc5849.signature import generate_signature_base_string
from authlib.oauth1.rfc5849.util import escape

import client


def sign_hmac_sha256(auth, request):
    key = f"{escape(auth.client_secret)}&{escape(auth.token_secret)}"
    text = generate_signature_base_string(request)
    return base64.b64encode(hmac.digest(key.encode(), text.encode(), hashlib.sha256)).decode()


OAuth1Auth.register_signature_method("HMAC-SHA256", sign_hmac_sha256)


def session_with(consumer_secret):
    key, token, token_secret = client.credentials()
    return OAuth1Session(key, consumer_secret, token, token_secret, **client.signature_method())


client.run_signed(session_with)
