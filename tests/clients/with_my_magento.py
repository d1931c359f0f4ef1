"""my-magento: a Magento client that signs in with an admin's name and password, and again when its token is refused.

Its answers are objects, not responses, so a step's line says what came of it. It asks a web site for a user agent unless
it is given one, and takes no port in its domain.
"""

import json
import os

from magento import Client
from magento.exceptions import AuthenticationError

import client

PRODUCTS = json.loads(os.environ["PRODUCTS"])


def shop(password):
    api = Client("shop.example", "admin", password, local=True, user_agent="test", log_level="CRITICAL", login=False)
    api.BASE_URL = f"{client.GATE}/rest/V1/"
    return api


def list_products(step, api):
    found = api.products.add_criteria("sku", "24-MB%", "like").add_criteria("status", 1).execute()
    assert [each.data for each in found] == PRODUCTS, found
    print(step, len(found), flush=True)


try:
    shop("wrong").authenticate()
except AuthenticationError as refused:
    print("wrong_password", refused.message.splitlines()[-1], flush=True)

api = shop("Admin123!")
assert api.authenticate()
print("login", flush=True)
list_products("list", api)

# What the client does about a refusal: it signs in again and repeats the request.
api.ACCESS_TOKEN = "0" * 32
list_products("list_again", api)
