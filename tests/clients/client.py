"""What the Python clients share: the steps' data, one printed line a step, and the steps of a client that signs.

A line is `step status target`; the Rust side compares the targets with what reached the upstream. An answer that is
not the expected one ends the script with an error.
"""

import json
import os
import pathlib
import signal
import sys
from urllib.parse import quote

import requests

STEPS = json.loads(pathlib.Path(__file__).with_name("steps.json").read_text(encoding="utf-8"))
REPLIES = STEPS["replies"]
GATE = os.environ["GATE"]

# A client that waits for ever must not hang the suite.
signal.alarm(60)


def expect(step, response, status, reply=None):
    """Prints the step and returns the answer's JSON, which for a refusal must be `reply`."""
    print(step, response.status_code, response.request.path_url, flush=True)
    body = response.json()
    kind = response.headers["Content-Type"]
    wanted = (status, body if reply is None else reply, "application/json; charset=utf-8")
    if (response.status_code, body, kind) != wanted:
        sys.exit(f"{step}: wanted {wanted}, got {response.status_code} {kind} {response.text}")
    return body


def search_criteria():
    """The product list's query, as Magento's documentation writes it."""
    query = {"searchCriteria[pageSize]": STEPS["page_size"]}
    for group, filters in enumerate(STEPS["filter_groups"]):
        for place, each in enumerate(filters):
            for name, value in each.items():
                query[f"searchCriteria[filter_groups][{group}][filters][{place}][{name}]"] = value
    return query


def run_signed(session_with):
    """Runs a requests session that signs; `session_with` makes one from a consumer secret."""
    products = f"{GATE}/rest/V1/products"
    session = session_with(os.environ["CONSUMER_SECRET"])
    listed = session.get(products, params=search_criteria())
    if os.environ["SCENARIO"] == "refused":
        expect("list", listed, 400, REPLIES["signature_method"])
        return
    assert expect("list", listed, 200)["items"][0]["sku"] == STEPS["sku"]

    one = session.get(f"{products}/{quote(STEPS['sku'], safe='')}")
    assert expect("sku", one, 200)["sku"] == STEPS["sku"]

    posted = session.post(products, json={"product": STEPS["product"]})
    assert expect("post", posted, 200) == {"id": 7, **STEPS["product"]}

    wrong = session_with("0" * 32).get(products, params=search_criteria())
    expect("wrong_secret", wrong, 401, REPLIES["wrong_secret"])

    # Byte for byte what was sent before, by somebody who cannot sign.
    for recorded in (listed, one, posted):
        expect("replay", requests.Session().send(recorded.request.copy()), 401, REPLIES["replay"])


def credentials():
    """Consumer key, token and token secret."""
    return tuple(os.environ[name] for name in ("CONSUMER_KEY", "TOKEN", "TOKEN_SECRET"))


def signature_method():
    """The method as a keyword argument; none where the client's own default is wanted."""
    method = os.environ["SIGNATURE_METHOD"]
    return {"signature_method": method} if method != "default" else {}
