"""What comes from the web: from an address nobody on the way can change, no more than agreed, resumed where it broke off.

The digest is checked once all is there: a file that came in pieces, perhaps by several commands, is one file.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import os
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
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


def fetch_file(url: str, target: Path, check: Callable[[Path], None], most: int, seconds: float) -> None:
    """Fetch a file, which gets its name when it is whole and right. Of a broken connection the next call keeps what came.

    Args:
        url: where it lies.
        target: its name.
        check: raises if a file is not the one that is wished; then it is not kept.
        most: bytes; more are refused.
        seconds: that the server may be silent.

    Raises:
        OSError, ValueError, HTTPException: it cannot be fetched; and what `check` raises.
    """
    with _growing(target) as (file, partial):
        found = file.tell()
        try:
            _fetch_right(url, file, partial, check, most, seconds)
        except Exception as error:
            if not found or _broke_off(error):
                raise
            file.seek(0)  # what lay there may have been of another file, or all of this one
            file.truncate()
            _fetch_right(url, file, partial, check, most, seconds)
        os.replace(partial, target)


def _broke_off(error: BaseException) -> bool:
    """Whether a download ended so that it can be taken up again; an answer of the server, such as 404, is an end."""
    broken = (ConnectionError, TimeoutError, http.client.HTTPException, urllib.error.URLError, KeyboardInterrupt)
    return isinstance(error, broken) and not isinstance(error, urllib.error.HTTPError)


def _fetch_right(url: str, file: IO[bytes], partial: Path, check: Callable[[Path], None], most: int, seconds: float) -> None:
    fetch(url, file, most, seconds)
    file.flush()
    check(partial)


@contextlib.contextmanager
def _growing(target: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """The file in which a download grows, and its path; it stays if the connection breaks after some of it came."""
    shared = target.with_name(f".{target.name}.part")
    file = _locked(shared)
    partial = shared
    if file is None:  # another process is at it, or this system cannot tell
        partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
        file = partial.open("xb")
    keep = False
    try:
        with file:
            yield file, partial
    except BaseException as error:
        keep = partial == shared and partial.stat().st_size > 0 and _broke_off(error)
        raise
    finally:
        if not keep:
            partial.unlink(missing_ok=True)


def _locked(path: Path) -> IO[bytes] | None:
    """A file to append to, held by this process alone until it is closed; None if it cannot be."""
    if not importlib.util.find_spec("fcntl"):  # Windows
        return None
    import fcntl

    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file.fileno()).st_ino == path.stat().st_ino:  # else its last owner has just given it its name
            return file
    except OSError:
        pass
    file.close()
    return None


def fetch(url: str, file: IO[bytes], most: int, seconds: float) -> None:
    """Write what lies at an address to a file, behind what is there. A connection that breaks is taken up where it broke, a few times.

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
