"""The API server as the user's kubeconfig names it: which cluster, who we are, which namespace, and what its refusals mean.

Called by main, once a run. Kubernetes' client is imported here and only when it is needed: it costs 0.25 s, and neither
`--help` nor completion shall wait for it.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import yaml
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from controller.kubectl_plugin.text import one_line
from controller.kubectl_plugin.troubles import Conflict, Expired, Forbidden, KubeconfigUnusable, NotFound, Trouble, Unreachable

CONNECT_S, READ_S = 5, 30
"""The client has no bound of its own."""
USER_AGENT = "kubectl-solar"
PLANTS = "/apis/monitor.solarinvest.info/v1alpha1"
_METHODS = {"get": "GET", "list": "GET", "watch": "GET", "patch": "PATCH", "create": "POST"}
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _GONE, _TOO_MANY, _SERVER_ERROR = 401, 403, 404, 409, 410, 429, 500


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request, in the words of Kubernetes' roles: `verb` on `resource`, so that a refusal can say what was not allowed."""

    verb: str
    resource: str = "plants"
    api: str = PLANTS
    namespace: str | None = None
    """None: all namespaces, or a resource of the cluster."""
    name: str | None = None
    query: Mapping[str, str | int] = {}
    body: Mapping[str, Any] | None = None

    @property
    def path(self) -> str:
        place = "" if self.namespace is None else "/namespaces/{namespace}"
        return f"{self.api}{place}/{self.resource}" + ("" if self.name is None else "/{name}")

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} in " + ("all namespaces" if self.namespace is None else f"namespace {self.namespace}")


class Cluster:
    """The API server of one context of the kubeconfig. Safe for several threads: the client keeps a pool of connections."""

    def __init__(self, configuration: Any, namespace: str) -> None:
        from kubernetes.client import ApiClient

        # Whoever watches a fleet wants to hear of an outage, not to wait through silent retries.
        configuration.retries = False
        self.namespace = namespace
        self.url = str(configuration.host)
        self._client = ApiClient(configuration)
        self._client.user_agent = USER_AGENT

    def ask(self, call: Call) -> bytes:
        """The body of the answer. Raises `Trouble`: one of its kinds by what the API server said, or did not say."""
        with self._translated(call):
            answer = self._request(call, READ_S)
            body: bytes = answer.read()
        _refuse_failure(call, answer.status, body)
        return body

    def lines(self, call: Call, silent_s: int) -> Iterator[bytes]:
        """The lines of a watch, until the API server ends it. Raises as `ask`, and `Unreachable` after `silent_s` without a word."""
        with self._translated(call):
            answer = self._request(call, silent_s)
            if answer.status != 200:
                _refuse_failure(call, answer.status, answer.read())
            rest = b""
            try:
                for chunk in answer.response.stream(amt=None, decode_content=True):
                    *whole, rest = (rest + chunk).split(b"\n")
                    yield from whole
            finally:
                answer.response.close()

    def _request(self, call: Call, read_s: int) -> Any:
        content = "application/merge-patch+json" if call.verb == "patch" else "application/json"
        request = self._client.param_serialize(
            _METHODS[call.verb],
            call.path,
            path_params={"namespace": call.namespace, "name": call.name},
            query_params=list(call.query.items()),
            header_params={"Accept": "application/json", "Content-Type": content},
            body=call.body,
            auth_settings=["BearerToken"],
        )
        return self._client.call_api(*request, _request_timeout=(CONNECT_S, read_s))

    @contextmanager
    def _translated(self, call: Call) -> Iterator[None]:
        from kubernetes.client import ApiException
        from kubernetes.config import ConfigException

        try:
            yield
        except ApiException as error:
            # Status 0: the client's word for a TLS handshake that failed.
            raise Unreachable(f"no safe connection to the API server at {self.url}: {_last_line(error.reason)}") from None
        except ReadTimeoutError:
            raise Unreachable(f"the API server at {self.url} does not answer") from None
        except (ProtocolError, HTTPError, OSError) as error:
            raise Unreachable(f"the API server at {self.url} is not reachable ({_cause(error)})") from None
        except ConfigException as error:
            raise KubeconfigUnusable(f"kubeconfig: {one_line(str(error))}") from None


def connect(kubeconfig: Path | None, context: str | None, namespace: str | None) -> Cluster:
    """The cluster that kubectl would talk to with the same options and environment. Raises `KubeconfigUnusable`."""
    from kubernetes.client import Configuration

    configuration = Configuration()
    files = kubeconfig_files(kubeconfig, os.environ)
    if not files:
        return Cluster(configuration, namespace or _load_pod(configuration))
    chosen, default_namespace = chosen_context(files, context)
    _load_files(configuration, files, chosen)
    return Cluster(configuration, namespace or default_namespace)


def kubeconfig_files(explicit: Path | None, environment: Mapping[str, str]) -> list[Path]:
    """The files that make up the kubeconfig, as kubectl finds them: --kubeconfig, else those of KUBECONFIG, else ~/.kube/config.

    Of the latter two, files that are not there are passed over. Empty: there is none. Raises `KubeconfigUnusable`.
    """
    if explicit is not None:
        if not explicit.is_file():
            raise KubeconfigUnusable(f"--kubeconfig {explicit}: there is no such file")
        return [explicit]
    named = environment.get("KUBECONFIG", "")
    paths = [Path(path).expanduser() for path in named.split(os.pathsep) if path] if named else [Path.home() / ".kube" / "config"]
    return [path for path in paths if path.is_file()]


def chosen_context(files: list[Path], context: str | None) -> tuple[str, str]:
    """Name and default namespace of the context to use: `context`, else the current one. The first file that says something wins.

    Raises `KubeconfigUnusable` where a file cannot be read, or no context is chosen or found.
    """
    read = [_read_file(path) for path in files]
    shown = ", ".join(str(path) for path in files)
    chosen = context or next((file.current_context for file in read if file.current_context), None)
    if not chosen:
        raise KubeconfigUnusable(f"kubeconfig {shown} has no current-context; choose one by --context")
    found = next((named.context for file in read for named in file.contexts or [] if named.name == chosen), None)
    if found is None:
        names = sorted({named.name for file in read for named in file.contexts or []})
        known = f"; there are: {', '.join(names)}" if names else ""
        raise KubeconfigUnusable(one_line(f"kubeconfig {shown} has no context {chosen}{known}"))
    server = next((named.cluster.server for file in read for named in file.clusters or [] if named.name == found.cluster), None)
    if server is None:
        # The client library would ask localhost instead.
        raise KubeconfigUnusable(one_line(f"kubeconfig {shown} has no cluster {found.cluster!r}, which context {chosen} names"))
    if not server.startswith(("https://", "http://")):
        raise KubeconfigUnusable(one_line(f"kubeconfig {shown}: the server of cluster {found.cluster} is no URL: {server}"))
    return chosen, found.namespace or "default"


class _Context(msgspec.Struct, frozen=True):
    cluster: str = ""
    namespace: str | None = None


class _NamedContext(msgspec.Struct, frozen=True):
    name: str
    context: _Context = _Context()


class _ClusterEntry(msgspec.Struct, frozen=True):
    server: str


class _NamedCluster(msgspec.Struct, frozen=True):
    name: str
    cluster: _ClusterEntry


class _File(msgspec.Struct, frozen=True, rename="kebab"):
    """What of a kubeconfig file we look at ourselves: its client library takes the current context of the last file, kubectl the first."""

    contexts: list[_NamedContext] | None = None
    clusters: list[_NamedCluster] | None = None
    current_context: str | None = None


def _read_file(path: Path) -> _File:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return msgspec.convert({} if content is None else content, _File)
    except OSError as error:
        raise KubeconfigUnusable(f"kubeconfig {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise KubeconfigUnusable(f"kubeconfig {path} is no YAML: {one_line(str(error))}") from None
    except msgspec.ValidationError as error:
        raise KubeconfigUnusable(f"kubeconfig {path}: {one_line(str(error))}") from None


def _load_files(configuration: Any, files: list[Path], context: str) -> None:
    from kubernetes.config import ConfigException, load_kube_config

    # An empty file is an error to the client library and nothing to kubectl.
    paths = os.pathsep.join(str(path) for path in files if _read_file(path) != _File())
    complaints = _Complaints()
    logging.getLogger().addHandler(complaints)
    try:
        load_kube_config(paths, context=context, client_configuration=configuration)  # type: ignore[no-untyped-call]  # theirs
    except (ConfigException, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        # The library trusts the shape of the file; what it trips over, it does not name.
        detail = str(error) if isinstance(error, ConfigException) else f"{type(error).__name__}: {error}"
        raise KubeconfigUnusable(f"kubeconfig, context {context}: {one_line(detail)}") from None
    finally:
        logging.getLogger().removeHandler(complaints)
    if complaints.lines:
        raise KubeconfigUnusable(f"kubeconfig, context {context}: {one_line(complaints.lines[0])}")


def _load_pod(configuration: Any) -> str:
    """In a pod, its own service account, as kubectl does; returns the pod's namespace."""
    from kubernetes.config import ConfigException, load_incluster_config

    try:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # theirs
        return Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read_text(encoding="utf-8").strip() or "default"
    except (ConfigException, OSError):
        raise KubeconfigUnusable("there is no kubeconfig; set KUBECONFIG, or name one by --kubeconfig") from None


class _Complaints(logging.Handler):
    """The client library logs a credential plugin that failed, and goes on as nobody; we stop there and say why."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class _Status(msgspec.Struct, frozen=True):
    """The body of a refusal; where the path itself is unknown, there is plain text instead."""

    message: str = ""
    details: Mapping[str, Any] | None = None


def _refuse_failure(call: Call, status: int, body: bytes) -> None:
    """Raises what an HTTP status means for the user."""
    if 200 <= status < 300:
        return
    said = refusal_of(body)
    message = one_line(said.message) if said else ""
    if status == _FORBIDDEN:
        raise Forbidden(_forbidden(call, message))
    if status == _UNAUTHORIZED:
        raise Forbidden("the API server does not accept your credentials (401); is the kubeconfig's token or certificate still valid?")
    if status == _NOT_FOUND:
        raise NotFound(_not_found(call, said))
    if status == _CONFLICT:
        raise Conflict(f"{call}: {message}")
    if status == _GONE:
        raise Expired(f"{call}: {message}")
    if status == _TOO_MANY or status >= _SERVER_ERROR:
        raise Unreachable(f"the API server cannot answer now (HTTP {status}{message and f': {message}'})")
    raise Trouble(f"the API server refuses to {call}: {message or f'HTTP {status}'}")


def refusal_of(body: bytes) -> _Status | None:
    """None where the body is no Status of Kubernetes."""
    try:
        return msgspec.json.decode(body, type=_Status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _forbidden(call: Call, message: str) -> str:
    # RBAC's own words; an admission policy that refuses has others, which are the better explanation then.
    if message and "cannot" not in message:
        return f"the API server refuses to {call}: {message}"
    before, found, after = message.partition('User "')
    user = f'user "{after.partition(chr(34))[0]}"' if found and before else "you"
    if call.resource != "plants":
        return f"{user} may not {call}"
    role = "editor" if call.verb == "patch" else "viewer"
    return f"{user} may not {call}; the ClusterRole solarinvest-plants-{role} gives that right"


def _not_found(call: Call, said: _Status | None) -> str:
    if call.name is not None and said is not None and said.details and said.details.get("name"):
        return f"there is no {call.resource.removesuffix('s')} {call.name} in namespace {call.namespace}"
    return f"this cluster knows no {call.resource} ({call.api.removeprefix('/apis/')}); is the chart solarinvest-monitor installed?"


def _cause(error: BaseException) -> str:
    """The innermost reason, such as Connection refused: what urllib3 wraps around it says only that there is one."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        seen = getattr(seen, "reason", None) or seen.__cause__ or seen.__context__
        if not isinstance(seen, BaseException):
            break
    return type(error).__name__


def _last_line(text: object) -> str:
    return one_line(str(text).strip().rpartition("\n")[2])
