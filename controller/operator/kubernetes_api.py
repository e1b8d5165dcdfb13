"""The few things we ask of the API server about Plants and their events, each with a bound, and its errors by what happens next."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml
from kubernetes import client, config
from pydantic import SecretStr
from urllib3.exceptions import HTTPError

GROUP = "monitor.solarinvest.info"
VERSION = "v1alpha1"
PLURAL = "plants"
TIMEOUT_S = (5, 30)
"""Connect, read. The client has no timeout of its own."""
EVENT_TIMEOUT_S = (2, 10)
"""Shorter: an event is worth less than the loop that posts it."""
PAGE = 500
BAD_REQUEST, NOT_FOUND, CONFLICT, GONE, TOO_LARGE, UNPROCESSABLE, TOO_MANY = 400, 404, 409, 410, 413, 422, 429
_COMPLAINT_MAX = 300
T = TypeVar("T")


class KubernetesUnavailable(Exception):
    """The API server did not answer, or said that it cannot now. Try again later."""


class KubernetesRefused(Exception):
    """The API server will not do this however often it is asked: rights or a definition are missing."""


class StatusRefused(Exception):
    """The API server will not take this status, whatever it takes of other plants: its definition here is another than ours."""


class ObjectChanged(Exception):
    """The object is newer than the one we have read, or another of the same name. Read it again."""


class Patched(msgspec.Struct, frozen=True):
    """What a patch has made of an object."""

    resource_version: int
    status: Mapping[str, Any]


class ObjectPage(msgspec.Struct, frozen=True):
    """Some of the Plants of a list, all of whose pages are as of one resourceVersion."""

    items: list[dict[str, Any]]
    resource_version: int


def load_configuration(kubeconfig: Path | None) -> client.Configuration:
    """Our own identity: from a kubeconfig, else the pod's service account. Raises `KubernetesRefused` where there is neither."""
    configuration = client.Configuration()
    try:
        if kubeconfig is None:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # theirs
        else:
            config.load_kube_config(str(kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]  # theirs
    except config.ConfigException as error:
        raise KubernetesRefused(f"no Kubernetes identity: {error}; set KUBECONFIG or run in a pod with a service account") from None
    except (yaml.YAMLError, OSError, ValueError, TypeError, AttributeError, LookupError) as error:
        # Whatever their loader meets in a file that is no kubeconfig; its words may quote the file, and there are secrets in such files.
        raise KubernetesRefused(f"{kubeconfig} cannot be read as a kubeconfig ({type(error).__name__})") from None
    configuration.retries = False
    return configuration


def secrets_in(configuration: client.Configuration) -> list[SecretStr]:
    """What no log may show: the token (a pod's changes each hour, and is told by its shape) and the password, as they are now."""
    keys = [str(value).removeprefix("Bearer ") for value in (configuration.api_key or {}).values()]
    return [SecretStr(text) for text in (*keys, configuration.password) if text]


class PlantsApi:
    """Plants at the API server. Used by several threads: the client keeps a connection pool.

    Every method raises `KubernetesUnavailable` and `KubernetesRefused`.
    """

    def __init__(self, configuration: client.Configuration) -> None:
        self._api = client.CustomObjectsApi(client.ApiClient(configuration))

    def assert_served(self) -> None:
        """That the API server answers, knows Plants and lets us list them."""
        with translated():
            self._api.list_cluster_custom_object(GROUP, VERSION, PLURAL, limit=1, _request_timeout=TIMEOUT_S)

    def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        """The object as it stands, None where there is none."""
        with translated():
            try:
                answer: Any = self._api.get_namespaced_custom_object(
                    GROUP, VERSION, namespace, PLURAL, name, _preload_content=False, _request_timeout=TIMEOUT_S
                )
                body = answer.data
            except client.ApiException as error:
                if error.status == NOT_FOUND:
                    return None
                raise
        return _decoded(body, dict[str, Any])

    def pages(self) -> Iterator[ObjectPage]:
        """Every Plant of the cluster, page by page (at least one) of one consistent list: never more than `PAGE` objects in memory.

        Who takes minutes over the pages may find their list forgotten by the API server: `KubernetesUnavailable`.
        """
        token = ""
        while True:
            with translated():
                page = self._page(token)
            yield ObjectPage(page["items"], int(page["metadata"]["resourceVersion"]))
            token = page["metadata"].get("continue") or ""
            if not token:
                return

    def patch_status(self, namespace: str, name: str, uid: str, resource_version: str, status: Mapping[str, Any]) -> Patched:
        """Merges `status` into the object that has this uid and resourceVersion, and says what has become of it.

        Raises `ObjectChanged` where the object is another by now, or gone, and `StatusRefused`.
        """
        body = {"metadata": {"uid": uid, "resourceVersion": resource_version}, "status": status}
        with translated():
            try:
                answer: Any = self._api.patch_namespaced_custom_object_status(
                    GROUP,
                    VERSION,
                    namespace,
                    PLURAL,
                    name,
                    body,
                    _content_type="application/merge-patch+json",
                    _preload_content=False,
                    _request_timeout=TIMEOUT_S,
                )
                patched = _decoded(answer.data, _PatchedObject)
            except client.ApiException as error:
                if error.status in (CONFLICT, NOT_FOUND):
                    raise ObjectChanged(f"{namespace}/{name}") from None
                if error.status in (BAD_REQUEST, TOO_LARGE, UNPROCESSABLE):
                    raise StatusRefused(f"HTTP {error.status}: {_complaint(error)}") from None
                raise
        return Patched(int(patched.metadata.resource_version), patched.status)

    def _page(self, token: str) -> dict[str, Any]:
        answer: Any = self._api.list_cluster_custom_object(
            GROUP, VERSION, PLURAL, limit=PAGE, _continue=token, _preload_content=False, _request_timeout=TIMEOUT_S
        )
        # The client's own way, by text and the standard library, takes three times as long, and holds the interpreter meanwhile.
        return _decoded(answer.data, dict[str, Any])


class EventsApi:
    """Events at the API server. Owned by one thread."""

    def __init__(self, configuration: client.Configuration) -> None:
        self._api: Any = client.CoreV1Api(client.ApiClient(configuration))

    def create(self, namespace: str, body: Mapping[str, Any]) -> bool:
        """Whether it is new: False where an event of this name is there already.

        Raises `KubernetesUnavailable`, after which it may have been stored all the same, and `KubernetesRefused`.
        """
        with translated():
            try:
                answer = self._api.create_namespaced_event(namespace, body, _preload_content=False, _request_timeout=EVENT_TIMEOUT_S)
                # It repeats what we said and is not parsed, but read: else its connection would be closed, and each event make its own.
                answer.drain_conn()
            except client.ApiException as error:
                if error.status == CONFLICT:
                    return False
                raise
        return True


class _PatchedMetadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str


class _PatchedObject(msgspec.Struct, frozen=True):
    """Of an answer, what `Patched` needs: spec and managedFields, most of it, are not made into objects."""

    metadata: _PatchedMetadata
    status: dict[str, Any] = {}


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError:
        raise KubernetesUnavailable("the API server answered with no object") from None


@contextmanager
def translated() -> Iterator[None]:
    """Errors of the client as `KubernetesUnavailable` and `KubernetesRefused`, without a word of what was sent."""
    try:
        yield
    except client.ApiException as error:
        raise _classified(error) from None
    except (HTTPError, OSError) as error:
        raise KubernetesUnavailable(type(error).__name__) from None
    except config.ConfigException as error:
        # A pod's token is read again every minute; while it is being replaced, the file may be empty.
        raise KubernetesUnavailable(str(error)) from None


def _classified(error: client.ApiException) -> Exception:
    """What an HTTP status means for us. The body stays out: it may quote the object."""
    if error.status is None or error.status == 0 or error.status >= 500 or error.status in (TOO_MANY, GONE):
        return KubernetesUnavailable(f"HTTP {error.status} {error.reason}")
    return KubernetesRefused(f"HTTP {error.status} {error.reason}")


def _complaint(error: client.ApiException) -> str:
    """What the API server says is wrong with a status of ours: it names the field, and quotes nothing that kubectl would not show."""
    try:
        status = msgspec.json.decode(error.body or "", type=dict[str, Any])
    except msgspec.DecodeError:
        return str(error.reason)
    return str(status.get("message", error.reason))[:_COMPLAINT_MAX]
