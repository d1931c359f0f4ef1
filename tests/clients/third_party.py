"""A small third-party application: takes the post to its callback and fetches its token with requests-oauthlib.

Prints `listening PORT` first, then `step status` a step; an answer that is not the expected one ends it with an error.
"""

import http.server
import os
import queue
import time
import urllib.parse

from requests_oauthlib import OAuth1Session

GATE = os.environ["GATE"]
POSTED = queue.Queue()


class Callback(http.server.BaseHTTPRequestHandler):
    """Keeps what was posted, and answers at once: the token is fetched afterwards."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        POSTED.put((self.path, dict(urllib.parse.parse_qsl(body, strict_parsing=True))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Says nothing: the lines on stdout are the test's."""


def session(posted, **more):
    return OAuth1Session(
        client_key=posted["oauth_consumer_key"],
        client_secret=posted["oauth_consumer_secret"],
        signature_method="HMAC-SHA256",
        **more,
    )


def step(name, status):
    print(name, status, flush=True)


def call(posted, token):
    """The gate reads a new role within seconds."""
    keys = {"resource_owner_key": token["oauth_token"], "resource_owner_secret": token["oauth_token_secret"]}
    for _ in range(50):
        response = session(posted, **keys).get(f"{GATE}/rest/V1/store/websites")
        if response.status_code == 200:
            break
        time.sleep(0.2)
    step("call", response.status_code)


def main():
    server = http.server.HTTPServer(("127.0.0.1", 0), Callback)
    step("listening", server.server_address[1])
    server.timeout = 30
    server.handle_request()
    path, posted = POSTED.get(timeout=30)
    assert path == "/callback", path
    names = ["oauth_consumer_key", "oauth_consumer_secret", "store_base_url", "oauth_verifier"]
    assert list(posted) == names, list(posted)
    assert posted["store_base_url"] == "http://shop.example/", posted["store_base_url"]

    request_token = session(posted).fetch_request_token(f"{GATE}/oauth/token/request")
    step("request", 200)
    again = session(posted).post(f"{GATE}/oauth/token/request")
    step("again", again.status_code)
    exchange = session(
        posted,
        resource_owner_key=request_token["oauth_token"],
        resource_owner_secret=request_token["oauth_token_secret"],
        verifier=posted["oauth_verifier"],
    )
    token = exchange.fetch_access_token(f"{GATE}/oauth/token/access")
    step("access", 200)
    call(posted, token)


main()
