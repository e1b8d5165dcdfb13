"""`helm test`: is every pod ready, and does the api answer? Arguments: URLs; of a name with several addresses, each is asked."""

import socket
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

BOUND_S = 120
"""Longest wait for all of them together: a role may still be starting."""


def answers(url: str) -> dict[str, str]:
    """Address to what it answered, for each address of the URL's host."""
    place = urlsplit(url)
    try:
        found = socket.getaddrinfo(place.hostname, place.port, type=socket.SOCK_STREAM)
    except OSError as error:
        return {place.netloc: f"no address: {error}"}
    hosts = sorted({f"[{entry[4][0]}]" if entry[0] == socket.AF_INET6 else str(entry[4][0]) for entry in found})
    return {host: answer(f"{place.scheme}://{host}:{place.port}{place.path}") for host in hosts}


def answer(url: str) -> str:
    """`200`, or what is wrong."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - the chart names http addresses only
            return str(response.status)
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read(500).decode(errors='replace')}"
    except OSError as error:
        return str(error)


def main(urls: list[str]) -> int:
    deadline = time.monotonic() + BOUND_S
    while True:
        found = {url: answers(url) for url in urls}
        good = all(told == "200" for each in found.values() for told in each.values())
        if good or time.monotonic() >= deadline:
            break
        time.sleep(2)
    for url, each in found.items():
        for address, told in each.items():
            print(f"{'ok' if told == '200' else 'NOT OK'}  {url}  at {address}: {told}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
