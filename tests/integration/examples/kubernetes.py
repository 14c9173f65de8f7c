"""What Kubernetes, and the OpenTelemetry operator, make of the files of examples/kubernetes, without a cluster."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from .running import EXAMPLES

FOLDER = EXAMPLES / "kubernetes"

POD = {
    "metadata.name": "shop-5d7f9c6b8d-x2x7q",
    "metadata.namespace": "store",
    "metadata.labels['app.kubernetes.io/name']": "shop",
    "spec.nodeName": "node-1",
    "status.hostIP": "127.0.0.1",
    "status.podIP": "10.1.0.7",
}


def document(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / name).read_text())


def container_of(deployment: dict[str, Any]) -> dict[str, Any]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container


def environment(variables: list[dict[str, Any]]) -> dict[str, str]:
    """The variables that the container gets: fields of the pod, and `$(NAME)` where NAME is defined above."""
    values: dict[str, str] = {}
    for variable in variables:
        if "valueFrom" in variable:
            value = POD[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        else:
            value = re.sub(r"\$\((\w+)\)", lambda match: values.get(match[1], match[0]), variable["value"])
        values[variable["name"]] = value
    return values


def injected(deployment: dict[str, Any], instrumentation: dict[str, Any], mounted: Path) -> list[dict[str, Any]]:
    """The container's variables after the operator (0.158) has been there, in its order; `mounted` is its folder."""
    container, spec = container_of(deployment), instrumentation["spec"]
    env: list[dict[str, Any]] = list(container.get("env", []))

    def add(name: str, value: str) -> None:
        if all(variable["name"] != name for variable in env):
            env.append({"name": name, "value": value})

    def of_the_pod(name: str, path: str) -> dict[str, Any]:
        return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}

    for variable in spec["python"].get("env", []):
        add(variable["name"], variable["value"])
    add("PYTHONPATH", f"{mounted}/opentelemetry/instrumentation/auto_instrumentation:{mounted}")
    env[:0] = [of_the_pod("OTEL_NODE_IP", "status.hostIP"), of_the_pod("OTEL_POD_IP", "status.podIP")]
    for variable in spec.get("env", []):
        add(variable["name"], variable["value"])
    add("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    for signal in ("TRACES", "METRICS", "LOGS"):
        add(f"OTEL_{signal}_EXPORTER", "otlp")
    name = deployment["metadata"]["name"]
    add("OTEL_SERVICE_NAME", name)
    add("OTEL_EXPORTER_OTLP_ENDPOINT", spec["exporter"]["endpoint"])
    env.append(of_the_pod("OTEL_RESOURCE_ATTRIBUTES_POD_NAME", "metadata.name"))
    env.append(of_the_pod("OTEL_RESOURCE_ATTRIBUTES_NODE_NAME", "spec.nodeName"))
    add("OTEL_PROPAGATORS", ",".join(spec["propagators"]))
    namespace, pod = POD["metadata.namespace"], "$(OTEL_RESOURCE_ATTRIBUTES_POD_NAME)"
    attributes = {
        "k8s.container.name": container["name"],
        "k8s.deployment.name": name,
        "k8s.namespace.name": namespace,
        "k8s.node.name": "$(OTEL_RESOURCE_ATTRIBUTES_NODE_NAME)",
        "k8s.pod.name": pod,
        "k8s.replicaset.name": POD["metadata.name"].rpartition("-")[0],
        "service.instance.id": f"{namespace}.{pod}.{container['name']}",
        "service.namespace": namespace,
        "service.version": container["image"].rpartition(":")[2],
    }
    add("OTEL_RESOURCE_ATTRIBUTES", ",".join(f"{key}={value}" for key, value in attributes.items()))
    return env
