"""What one manifest says of another: files that exist, names that meet, times that fit, the same companion everywhere."""

import pathlib
import re
import sys
import tomllib

import yaml

APART = {"kustomization.yaml", "secret.example.yaml", "servicemonitor.yaml", "migrate-job.yaml"}


def main(folder, status_conf):
    folder = pathlib.Path(folder)
    documents = {
        path.name: [part for part in yaml.safe_load_all(path.read_text(encoding="utf-8")) if part]
        for path in folder.glob("*.yaml")
    }
    listed = set(documents["kustomization.yaml"][0]["resources"])
    assert listed == set(documents) - APART, listed ^ (set(documents) - APART)

    config = documents["configmap.yaml"][0]["data"]
    assert config["status.conf"] == pathlib.Path(status_conf).read_text(encoding="utf-8"), "status.conf differs"
    settings = tomllib.loads(config["portcullis.toml"])

    deployment = documents["deployment.yaml"][0]["spec"]
    pod = deployment["template"]["spec"]
    container = pod["containers"][0]
    drain = int(settings["listen"]["drain_timeout"].removesuffix("s"))
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= pause + drain + 5, "killed before it has drained"
    pages = set(re.findall(r"location = (/\w+)", config["status.conf"]))
    probes = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert probes == {"startup": "/startupz", "readiness": "/readyz", "liveness": "/healthz"}, probes
    assert set(probes.values()) < pages, f"the companion hands on {pages}"
    budget = documents["poddisruptionbudget.yaml"][0]["spec"]
    assert budget["minAvailable"] < deployment["replicas"], "no node could ever be drained"

    labels = deployment["template"]["metadata"]["labels"]
    for name in ("service.yaml", "poddisruptionbudget.yaml", "deployment.yaml"):
        for document in documents[name]:
            selector = document["spec"]["selector"]
            assert selector.get("matchLabels", selector).items() <= labels.items(), f"{name} selects nothing"
    job = documents["migrate-job.yaml"][0]["spec"]["template"]["metadata"]["labels"]
    assert not labels.items() <= job.items(), "clients would be sent to the job"

    secret = set(documents["secret.example.yaml"][0]["stringData"])
    used = {item["key"] for volume in pod["volumes"] if "secret" in volume for item in volume["secret"]["items"]}
    used |= {value["valueFrom"]["secretKeyRef"]["key"] for value in container["env"] if "valueFrom" in value}
    assert used == secret, used ^ secret

    everyone = pod["containers"] + pod["initContainers"]
    for each in everyone:
        context = each["securityContext"]
        assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"], each["name"]
        assert context["capabilities"] == {"drop": ["ALL"]}, each["name"]
        assert "memory" in each["resources"]["limits"], each["name"]

    shop = documents["networkpolicy.yaml"][0]["spec"]
    assert shop["policyTypes"] == ["Ingress"] and len(shop["ingress"]) == 1, "somebody else reaches the shop"
    [source] = shop["ingress"][0]["from"]
    assert source["podSelector"]["matchLabels"].items() <= labels.items(), source


main(*sys.argv[1:])
