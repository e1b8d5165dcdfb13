"""Addresses that send nothing but bad tokens: most of what they send is refused unread, so that a flood of forged tokens costs little.

`access` notes who brought a good token, `connections` asks before a byte is parsed. One event loop, so there is no lock. Behind a proxy
every caller has the proxy's address: one that has brought a good token of late is read as ever, and the proxy's own limits have to do.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable

import msgspec
import structlog

log = structlog.get_logger()

BAD_AT_ONCE, BAD_PER_S = 500, 20.0
"""Requests of one address that are read without a good token: so many at once (a first wave of good clients, on all the
connections there may be), and so many a second in the long run. One good token among them opens the address again."""
GOOD_FOR_S = 60.0
"""So long after a good token everything of its address is read. Seconds."""
ADDRESSES_MAX = 4_096
"""Remembered at once: those that were heard of last."""
TELL_EVERY_S = 60.0
"""An address is in the log no more often than that. Seconds."""
_NETWORK_BITS = 64
"""Of an IPv6 address: whoever has one has the network."""


class _Known(msgspec.Struct):
    as_of: float
    left: float = BAD_AT_ONCE
    """Requests that are still read, at `as_of`."""
    good_until: float = 0.0
    told_at: float | None = None


class Doors:
    """What may be read of which address. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def note_good(self, address: str) -> None:
        """A good token came from the address: it has its whole budget again, and needs none for a while."""
        now = self._clock()
        known = self._of(address, now)
        known.left, known.as_of, known.good_until = BAD_AT_ONCE, now, now + GOOD_FOR_S

    def admits(self, address: str) -> bool:
        """Whether what the address sends now is to be read. It counts as bad from here on: many may come before the first is judged."""
        now = self._clock()
        known = self._of(address, now)
        if now < known.good_until:
            return True
        known.left, known.as_of = _left(known, now), now
        if known.left >= 1:
            known.left -= 1
            return True
        if known.told_at is None or now - known.told_at >= TELL_EVERY_S:
            known.told_at = now
            log.warning("bad_tokens_unread", address=network_of(address), read_per_s=BAD_PER_S)
        return False

    def _of(self, address: str, now: float) -> _Known:
        network = network_of(address)
        known = self._known.get(network)
        if known is None:
            known = self._known[network] = _Known(now)
            if len(self._known) > ADDRESSES_MAX:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(network)
        return known


def network_of(address: str) -> str:
    """The address itself; of an IPv6 address its network. What is no address stands for itself."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], _NETWORK_BITS), strict=False))
    except ValueError:
        return address


def _left(known: _Known, now: float) -> float:
    return min(BAD_AT_ONCE, known.left + (now - known.as_of) * BAD_PER_S)
