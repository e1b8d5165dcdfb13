"""The Plants of a run: objects as a person would apply them, created over several connections at once. Called by `run`."""

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import urllib3
from kubernetes import client

from benchmarks.fleet import MAKES, PLACES
from controller.operator.kubernetes_api import GROUP, PLURAL, VERSION
from hack.devstack.program import DevStackError

NAMESPACE = "default"
WATCHED = "solarinvest.info/watched"
"""Label of the Plants whose status the run watches."""
CONNECTIONS = 4
BATCH = 100
CREATED, ALREADY_THERE, TOO_MANY = 201, 409, 429
TRIES = 20
_BRANDS = tuple(MAKES)


class KubernetesHttp:
    """The API server as administrator, over few connections that stay open. Used by several threads."""

    def __init__(self, configuration: client.Configuration) -> None:
        self._url = configuration.host
        token = configuration.get_api_key_with_prefix("BearerToken") or ""
        self._headers = {"Authorization": token, "Content-Type": "application/json"}
        self._pool = urllib3.PoolManager(ca_certs=configuration.ssl_ca_cert, maxsize=CONNECTIONS + 1, retries=False)

    def post(self, path: str, body: bytes) -> int:
        """The HTTP status. Raises `urllib3.exceptions.HTTPError`."""
        return int(self._pool.request("POST", self._url + path, body=body, headers=self._headers, timeout=60).status)

    def stream(self, path: str, seconds: float) -> urllib3.BaseHTTPResponse:
        """An answer to be read line by line as it comes, for so long."""
        timeout = urllib3.Timeout(connect=5, read=seconds)
        return self._pool.request("GET", self._url + path, headers=self._headers, timeout=timeout, preload_content=False)


def create_plants(http: KubernetesHttp, count: int, interval_s: int, watched: int) -> None:
    """Creates `count` Plants, of which `watched`, evenly spread, carry the label. Raises `DevStackError` where one is refused."""
    batches: queue.SimpleQueue[range] = queue.SimpleQueue()
    for first in range(0, count, BATCH):
        batches.put(range(first, min(first + BATCH, count)))
    step = max(1, count // max(1, watched))

    def work() -> None:
        for number in _taken(batches):
            _create(http, manifest(number, interval_s, is_watched=number % step == 0))

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for done in [pool.submit(work) for _ in range(CONNECTIONS)]:
            done.result()


def manifest(number: int, interval_s: int, *, is_watched: bool) -> bytes:
    """Plant `number` as JSON: the brands and zones of the fleet in turn (`benchmarks.fleet`)."""
    brand, (zone, latitude, longitude) = _BRANDS[number % len(_BRANDS)], PLACES[number // len(_BRANDS) % len(PLACES)]
    make = MAKES[brand]
    return msgspec.json.encode(
        {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "Plant",
            "metadata": {"name": f"plant-{number:06}", "namespace": NAMESPACE, "labels": {WATCHED: "yes"} if is_watched else {}},
            "spec": {
                "brand": brand.value,
                "vendorPlantId": make.id_format.format(make.first_id + number),
                "timezone": zone,
                "location": {"latitude": latitude, "longitude": longitude},
                "capacityKWp": make.capacity_kwp,
                "pollInterval": f"{interval_s}s",
            },
        }
    )


def _taken(batches: "queue.SimpleQueue[range]") -> Iterator[int]:
    while True:
        try:
            yield from batches.get_nowait()
        except queue.Empty:
            return


def _create(http: KubernetesHttp, body: bytes) -> None:
    pause = threading.Event()
    for _ in range(TRIES):
        status = http.post(f"/apis/{GROUP}/{VERSION}/namespaces/{NAMESPACE}/{PLURAL}", body)
        if status in (CREATED, ALREADY_THERE):
            return
        if status != TOO_MANY and status < 500:
            break
        pause.wait(0.5)
    raise DevStackError(f"a Plant was not created: HTTP {status}")
