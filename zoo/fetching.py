"""What comes from the web: from an address nobody on the way can change, no more than agreed, resumed where it broke off.

The digest is the caller's to check once all is there: a file that came in pieces is one file.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import IO, Any

from zoo.errors import RecipeError
from zoo.progress import Progress

TRIES = 4
SLOWEST = 1024
"""Bytes a second: a server that drips slower is taken for one that has stalled."""


def refuse_open_ways(url: str) -> None:
    """Anybody on the way can change what comes by HTTP; within this machine nobody is on the way.

    Raises:
        RecipeError: the address is neither HTTPS nor HTTP of this machine.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise RecipeError(f"{url}: no address of a file ({error})") from error
    if parts.scheme != "https" and (parts.scheme != "http" or host not in ("localhost", "127.0.0.1", "::1")):
        raise RecipeError(
            f"{url}: only https is fetched, because anybody on the way can change what comes by {parts.scheme or 'other ways'}"
        )


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects only to where a download may begin."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        there, here = urllib.parse.urlsplit(newurl), urllib.parse.urlsplit(req.full_url)
        if there.scheme != "https" and (there.scheme, there.hostname) != (here.scheme, here.hostname):
            raise ValueError(f"redirected to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def ask(url: str, seconds: float, done: int = 0, method: str = "GET") -> Any:
    """A server's answer, from byte `done` on if it can do that; `seconds` is how long it may be silent."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {}, method=method)
    return urllib.request.build_opener(_SafeRedirects).open(request, timeout=seconds)


def fetch(url: str, file: IO[bytes], most: int, seconds: float) -> None:
    """Write what lies at an address to an empty file. A connection that breaks is taken up where it broke, a few times.

    Args:
        url: where it lies.
        file: open for writing.
        most: bytes; more are refused, as soon as the server says so or they come.
        seconds: that the server may be silent.

    Raises:
        OSError, ValueError, HTTPException: it cannot be fetched.
    """
    for left in reversed(range(TRIES)):
        try:
            return _go_on(url, file, most, seconds)
        except urllib.error.HTTPError:
            raise
        except (OSError, http.client.HTTPException):
            if not left or not file.tell():
                raise


def _go_on(url: str, file: IO[bytes], most: int, seconds: float) -> None:
    done = file.tell()
    with ask(url, seconds, done) as answer:
        if done and not (answer.headers.get("Content-Range") or "").startswith(f"bytes {done}-"):  # it sends all of it again
            file.seek(0)
            file.truncate()
            done = 0
        length = int(answer.headers.get("Content-Length") or 0)
        _copy(answer, file, done, done + length if length else 0, most, seconds)


def _copy(answer: Any, file: IO[bytes], done: int, total: int, most: int, seconds: float) -> None:
    begun = time.monotonic()
    with Progress("fetching", total // 2**20, "MB", done // 2**20) as progress:
        while block := answer.read1(2**20):
            file.write(block)
            progress.advance(file.tell() // 2**20 - progress.done)
            if max(total, file.tell()) > most:
                raise ValueError(f"larger than {_size(most)}, which nothing here is")
            took = time.monotonic() - begun
            if took > seconds and file.tell() - done < SLOWEST * took:
                raise TimeoutError(f"slower than {SLOWEST} bytes a second")
    if file.tell() < total:
        raise ConnectionError(f"cut off after {file.tell():,} of {total:,} bytes")


def _size(number: int) -> str:
    return f"{number / 2**30:g} GB" if number >= 2**30 else f"{number / 2**20:g} MB"
