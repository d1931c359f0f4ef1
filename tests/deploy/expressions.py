"""The expressions of a Grafana dashboard as a rules file, so that promtool can read them."""

import json
import sys

VARIABLES = {"$__rate_interval": "5m", "$__interval": "1m", "$instance": ".*"}


def expressions(part):
    if isinstance(part, dict):
        if isinstance(part.get("expr"), str):
            yield part["expr"]
        for value in part.values():
            yield from expressions(value)
    elif isinstance(part, list):
        for value in part:
            yield from expressions(value)


def main(path):
    with open(path, encoding="utf-8") as file:
        dashboard = json.load(file)
    found = list(expressions(dashboard))
    if not found:
        sys.exit(f"{path} has no expression")
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(set(ids)) != len(ids):
        sys.exit(f"{path} has two panels of one id")
    rules = []
    for number, expression in enumerate(found):
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        if "$" in expression:
            sys.exit(f"unknown variable in {expression}")
        rules.append({"record": f"dashboard:expression:{number}", "expr": expression})
    # JSON is YAML.
    print(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))


main(sys.argv[1])
