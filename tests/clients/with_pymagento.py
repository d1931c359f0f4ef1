"""PyMagento: a Magento client with a bearer token, which it sends to `/rest/all/V1`."""

import os

from magento import Magento
from magento.queries import make_search_query
from requests import HTTPError

import client

GROUPS = [[tuple(each.values()) for each in filters] for filters in client.STEPS["filter_groups"]]
SKU = client.STEPS["sku"]

answers = []


def magento(token):
    """A client that keeps the answers it got: its methods return only their content."""
    made = Magento(token=token, base_url=client.GATE)
    made.hooks["response"].append(lambda answer, **_: answers.append(answer))
    return made


def served():
    api = magento(os.environ["TOKEN"])
    products = list(api.get_products(query=make_search_query(GROUPS), limit=1))
    client.expect("list", answers[-1], 200)
    assert products[0]["sku"] == SKU

    assert api.get_product(SKU)["sku"] == SKU
    client.expect("sku", answers[-1], 200)

    assert api.save_product(client.STEPS["product"]) == {"id": 7, **client.STEPS["product"]}
    client.expect("post", answers[-1], 200)


def refused(step, token):
    try:
        magento(token).get_product(SKU)
    except HTTPError:
        client.expect(step, answers[-1], 401, client.REPLIES["wrong_token"])
    else:
        raise SystemExit(f"{step}: was served")


if os.environ["SCENARIO"] == "refused":
    refused("sku", os.environ["TOKEN"])
else:
    served()
    refused("unknown_token", "0" * 32)
    refused("revoked_token", os.environ["REVOKED_TOKEN"])
