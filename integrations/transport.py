"""The fixture transport: vendors' clouds from recordings. The only `Exchange` of mock mode; opens no socket.

Called by the workers' composition. A recording is `fixtures/<brand>/<scenario>.json`: a header, then the vendor's answers as frames of a
local day or of several (fixtures/README.md has the format). An exchange picks the frame for the clock, moves it to today in the plant's
timezone, puts the plant's id where the recorded one stands, and returns bytes. It computes nothing else: adapters parse what a vendor
would send, and one `now` gives one answer.
"""

import importlib.resources
import re
import threading
from collections.abc import Callable
from datetime import datetime
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Protocol

from integrations.contract import Brand, Exchange, PlantRef, VendorRequest, VendorResponse
from integrations.errors import AdapterError, AdapterErrorType
from integrations.recording import Recording

_SCENARIO = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def default_fixtures() -> Traversable:
    """The recordings that come with the product: `integrations/fixtures` in a wheel, `fixtures/` in a checkout."""
    packaged = importlib.resources.files("integrations") / "fixtures"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parent.parent / "fixtures"


class ExchangeObserver(Protocol):
    """Told of every exchange as it begins and ends, on the thread that makes it. `tag` is what `for_plant` was given."""

    def started(self, tag: str, brand: Brand, plant: PlantRef, request: VendorRequest) -> None: ...

    def ended(self, tag: str, brand: Brand, plant: PlantRef, request: VendorRequest, error: BaseException | None) -> None: ...


class FixtureTransport:
    """Answers for every plant from one folder of recordings. Thread-safe; one a process, so that its cache is shared."""

    def __init__(
        self,
        folder: Path | Traversable,
        clock: Callable[[], datetime],
        observe: ExchangeObserver | None = None,
        checkpoint: Callable[[str], None] = lambda name: None,
    ) -> None:
        """`clock` gives aware instants. `checkpoint` is called with `mid-exchange` while an exchange is under way: tests can stop there."""
        self._folder = folder
        self._clock = clock
        self._observe = observe
        self._checkpoint = checkpoint
        self._recordings: dict[tuple[Brand, str], Recording] = {}
        self._loading = threading.Lock()

    def for_plant(self, brand: Brand, scenario: str, plant: PlantRef, tag: Callable[[], str] = str) -> Exchange:
        """The exchange of one plant. `tag` names the attempt; it is asked only where there is an observer to be told.

        The exchange raises AdapterError: VENDOR_ERROR for a scenario that is not recorded or whose file is unusable, NETWORK_TIMEOUT where
        the recording says that nothing came back.
        """

        def exchange(request: VendorRequest) -> VendorResponse:
            return self._answer(brand, scenario, plant, request)

        return exchange if self._observe is None else _observed(exchange, self._observe, tag(), brand, plant)

    def scenarios(self, brand: Brand) -> list[str]:
        """The recorded scenarios of a brand, sorted."""
        folder = self._folder / brand.slug
        if not folder.is_dir():
            return []
        return sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))

    def _answer(self, brand: Brand, scenario: str, plant: PlantRef, request: VendorRequest) -> VendorResponse:
        self._checkpoint("mid-exchange")
        return self._recording(brand, scenario).answer(request, plant, self._clock())

    def _recording(self, brand: Brand, scenario: str) -> Recording:
        found = self._recordings.get((brand, scenario))
        if found is not None:
            return found
        with self._loading:
            if (brand, scenario) not in self._recordings:
                self._recordings[brand, scenario] = self._load(brand, scenario)
            return self._recordings[brand, scenario]

    def _load(self, brand: Brand, scenario: str) -> Recording:
        # The name comes from an annotation that anyone may write: it must not become a path.
        if len(scenario) > 63 or not _SCENARIO.fullmatch(scenario) or scenario not in self.scenarios(brand):
            known = ", ".join(self.scenarios(brand)) or "none"
            raise AdapterError(AdapterErrorType.VENDOR_ERROR, f"scenario {scenario[:63]!r} is not recorded for {brand}; recorded: {known}")
        try:
            return Recording((self._folder / brand.slug / f"{scenario}.json").read_bytes())
        except (OSError, ValueError) as error:
            message = f"the recording {brand.slug}/{scenario}.json is unusable: {error}"
            raise AdapterError(AdapterErrorType.VENDOR_ERROR, message) from error


def _observed(exchange: Exchange, observer: ExchangeObserver, tag: str, brand: Brand, plant: PlantRef) -> Exchange:
    def observed(request: VendorRequest) -> VendorResponse:
        observer.started(tag, brand, plant, request)
        try:
            answer = exchange(request)
        except BaseException as error:
            observer.ended(tag, brand, plant, request, error)
            raise
        observer.ended(tag, brand, plant, request, None)
        return answer

    return observed
