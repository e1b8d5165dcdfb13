"""Pod Security's level "restricted", as Kubernetes' documentation states it, for what a chart may write into a pod."""

from collections.abc import Iterator
from typing import Any

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def violations(pod: dict[str, Any]) -> list[str]:
    """What keeps the pod's spec from being admitted in a namespace that enforces the level."""
    return [*_of_pod(pod), *(found for container in _containers(pod) for found in _of_container(container, pod.get("securityContext", {})))]


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for key in ("initContainers", "containers", "ephemeralContainers") for one in pod.get(key, [])]


def _of_pod(pod: dict[str, Any]) -> Iterator[str]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield key
    for volume in pod.get("volumes", []):
        for kind in volume.keys() - VOLUMES - {"name"}:
            yield f"volume {volume['name']} is a {kind}"
    context = pod.get("securityContext", {})
    for key in ("sysctls", "seLinuxOptions", "appArmorProfile", "windowsOptions"):
        if context.get(key):
            yield f"{key} of the pod"


def _of_container(container: dict[str, Any], of_pod: dict[str, Any]) -> Iterator[str]:
    name, own = container["name"], container.get("securityContext", {})
    both = {**of_pod, **own}
    if own.get("privileged"):
        yield f"{name}: privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield f"{name}: may escalate privileges"
    if own.get("capabilities", {}).get("drop") != ["ALL"]:
        yield f"{name}: does not drop ALL capabilities"
    if set(own.get("capabilities", {}).get("add", [])) - {"NET_BIND_SERVICE"}:
        yield f"{name}: adds capabilities"
    if both.get("runAsNonRoot") is not True:
        yield f"{name}: may run as root"
    if both.get("runAsUser") == 0:
        yield f"{name}: runs as root"
    if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield f"{name}: has no seccomp profile"
    if own.get("procMount", "Default") != "Default":
        yield f"{name}: procMount"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield f"{name}: takes a port of the host"
