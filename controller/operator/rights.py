"""What `solarinvest doctor` asks of the API server: does it serve Plants, and may we do what the operator does? Changes nothing."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from kubernetes import client

from controller.operator.kubernetes_api import GROUP, NOT_FOUND, PLURAL, VERSION, translated

WITHIN_S = (3, 5)
"""Connect, read. Seconds for each request."""


class Right(NamedTuple):
    """One verb on one kind of resource, in every namespace."""

    verb: str
    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{'.' if self.group else ''}{self.group}"


NEEDED = (
    Right("get", GROUP, PLURAL),
    Right("list", GROUP, PLURAL),
    Right("watch", GROUP, PLURAL),
    Right("get", GROUP, f"{PLURAL}/status"),
    Right("patch", GROUP, f"{PLURAL}/status"),
    Right("create", "", "events"),
)
"""What manifests/rbac/operator.yaml gives; a test holds them equal."""


class ClusterHealth(msgspec.Struct, frozen=True):
    """What the API server says."""

    version: str
    served: tuple[str, ...]
    """Of `plants` and `plants/status`, what this version of the resource serves."""
    missing: tuple[Right, ...]


def examine(configuration: client.Configuration, needed: Sequence[Right] = NEEDED) -> ClusterHealth:
    """Raises `KubernetesUnavailable` and `KubernetesRefused`."""
    with translated():
        api = client.ApiClient(configuration)
        version = client.VersionApi(api).get_code(_request_timeout=WITHIN_S)
        reviews = client.AuthorizationV1Api(api)
        return ClusterHealth(
            version=str(version.git_version),
            served=_served(api),
            missing=tuple(right for right in needed if not _is_allowed(reviews, right)),
        )


def _served(api: client.ApiClient) -> tuple[str, ...]:
    try:
        found: Any = client.CustomObjectsApi(api).get_api_resources(GROUP, VERSION, _request_timeout=WITHIN_S)
    except client.ApiException as error:
        if error.status == NOT_FOUND:
            return ()
        raise
    names = {resource.name for resource in found.resources}
    return tuple(name for name in (PLURAL, f"{PLURAL}/status") if name in names)


def _is_allowed(reviews: client.AuthorizationV1Api, right: Right) -> bool:
    resource, _, subresource = right.resource.partition("/")
    wanted = client.V1ResourceAttributes(group=right.group, resource=resource, subresource=subresource or None, verb=right.verb)
    body = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=wanted))
    answer = reviews.create_self_subject_access_review(body, _request_timeout=WITHIN_S)
    return answer.status is not None and bool(answer.status.allowed)
