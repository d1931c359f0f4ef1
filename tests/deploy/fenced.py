"""Compose, as docker-compose resolved it: only the gate has a way in, and it can reach what it needs."""

import re
import subprocess
import sys


def main(path):
    resolved = subprocess.run(
        ["docker-compose", "--file", path, "config", "--services"], check=True, capture_output=True, text=True
    )
    assert {"portcullis", "upstream", "mariadb", "redis", "status"} <= set(resolved.stdout.split()), resolved.stdout
    with open(path, encoding="utf-8") as file:
        services = blocks(blocks(file.read(), "")["services"], "  ")
    networks = {name: set(listed(body, "networks")) for name, body in services.items()}
    for name, body in services.items():
        assert ("ports:" in body) == (name == "portcullis"), f"{name}: ports"
    assert networks["upstream"] == {"shop"}, networks
    for name in ("mariadb", "redis"):
        assert networks[name] == {"data"}, networks
    assert networks["portcullis"] == {"front", "shop", "data"}, networks
    with open(path, encoding="utf-8") as file:
        declared = blocks(blocks(file.read(), "")["networks"], "  ")
    assert [name for name, body in declared.items() if "internal: true" not in body] == ["front"], declared


def blocks(text, indent):
    """The keys at this indentation, and what stands below each."""
    found, name = {}, None
    for line in text.splitlines():
        head = re.fullmatch(rf"{indent}([\w.-]+):(.*)", line)
        if head:
            name = head[1]
            found[name] = head[2] + "\n"
        elif name:
            found[name] += line + "\n"
    return found


def listed(body, key):
    return blocks(blocks(body, "    ").get(key, ""), "      ")


main(sys.argv[1])
