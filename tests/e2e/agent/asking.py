"""Asking agents: as a training pod does, from inside it with what it was given, and as Prometheus does."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from ballast.api.agentserving import CA_FILE, HOST_VARIABLE, MOUNT_PATH, PORT_VARIABLE, READINGS_PATH, TOKEN_FILE
from tests.cluster import Cluster
from tests.e2e.agents import Agents
from tests.e2e.kube import JsonObject

#: What any program in a training pod can do with the standard library.
_ASK = f"""
import os, ssl, urllib.error, urllib.request
folder, address = "{MOUNT_PATH}/", os.environ["{HOST_VARIABLE}"] + ":" + os.environ["{PORT_VARIABLE}"]
headers = {{"Authorization": "Bearer " + open(folder + "{TOKEN_FILE}").read()}}
trusted = ssl.create_default_context(cafile=folder + "{CA_FILE}")
request = urllib.request.Request("https://" + address + "{READINGS_PATH}%s", headers=headers)
try:
    print(200, urllib.request.urlopen(request, context=trusted, timeout=10).read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
"""
METRICS_PORT = 9445


def ask(cluster: Cluster, pod: JsonObject, query: str = "") -> tuple[int, JsonObject]:
    """Ask the agent of a pod's node from inside the pod; return the HTTP status and the answer."""
    metadata = pod["metadata"]
    said = cluster.kubectl(
        "-n", metadata["namespace"], "exec", metadata["name"], "-c", "trainer", "--", "python", "-c", _ASK % query
    )
    status, _, body = said.partition(" ")
    return int(status), json.loads(body)


def token_of(cluster: Cluster, pod: JsonObject) -> str:
    """Return the token that a pod was given for its agent."""
    metadata = pod["metadata"]
    words = ("exec", metadata["name"], "-c", "trainer", "--", "cat", f"{MOUNT_PATH}/{TOKEN_FILE}")
    return cluster.kubectl("-n", metadata["namespace"], *words)


def ask_with(token: str, host: str, port: int = 9444) -> tuple[int, JsonObject]:
    """Ask an agent with a token, from this machine, so that no pod works for it; return the HTTP status and answer."""
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    url = f"https://{host}:{port}{READINGS_PATH}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, context=unchecked, timeout=10) as answer:  # noqa: S310
            return int(answer.status), json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def metric(agents: Agents, node: str, name: str) -> dict[str, float]:
    """Return a metric of a node's agent by GPU UUID."""
    host = agents.pod(node)["status"]["hostIP"]
    with urllib.request.urlopen(f"http://{host}:{METRICS_PORT}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        sample.labels["uuid"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }
