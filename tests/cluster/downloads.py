"""Official releases: download, compare with the published checksum, unpack.

A host that does not answer within a few seconds is remembered for this run, so that a machine without internet access
loses one short timeout and not one per program. Invariant: a file that is not what its publisher's checksum says never
gets its final name.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import tarfile
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from tests.cluster.catalogue import Program, Release
from tests.cluster.errors import DownloadError

CONNECT_TIMEOUT_SECONDS = 4.0

_unreachable_hosts: dict[str, str] = {}


def download_release(program: Program, system: str, arch: str, target: Path) -> str:
    """Downloads a program's official release to `target`.

    Returns:
        The address it came from.

    Raises:
        DownloadError: There is no release for this machine, it cannot be reached, or the checksum differs.
    """
    release = program.release
    if release is None or system not in release.systems:
        raise DownloadError(f"{program.name} {program.version} is not published for {system}")

    def fill(text: str) -> str:
        return text.format(version=program.version, os=system, arch=arch)

    url = fill(release.url)
    expected = published_checksum(_fetch(fill(release.checksum_url)).decode(), url.rsplit("/", 1)[-1])
    part = target.with_name(target.name + ".part")
    try:
        digest = _fetch_to(url, part)
        if digest != expected:
            raise DownloadError(f"{url} has SHA-256 {digest}, but its publisher says {expected}")
        _put(part, release, fill(release.member), target)
    finally:
        part.unlink(missing_ok=True)
    return url


def published_checksum(text: str, file_name: str) -> str:
    """Finds a file's SHA-256 in what its publisher wrote.

    Args:
        text: One bare digest; or lines of `digest  file name` (the name with or without a leading `*` or `./`); or
            GitHub's description of a release, which has the digest of each file.
        file_name: The file in question.

    Raises:
        DownloadError: The text does not name the file.
    """
    if text.startswith("{"):
        for asset in json.loads(text).get("assets", []):
            if asset.get("name") == file_name and str(asset.get("digest")).startswith("sha256:"):
                return _digest(asset["digest"].removeprefix("sha256:"), file_name)
        raise DownloadError(f"the release's description has no SHA-256 of {file_name}")
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) == 1 and len(lines[0]) == 1:
        return _digest(lines[0][0], file_name)
    for words in lines:
        if len(words) >= 2 and words[-1].removeprefix("*").removeprefix("./") == file_name:
            return _digest(words[0], file_name)
    raise DownloadError(f"the published checksums do not name {file_name}")


def _digest(word: str, file_name: str) -> str:
    if len(word) != 64 or any(character not in "0123456789abcdef" for character in word.lower()):
        raise DownloadError(f"the published checksum of {file_name} is not a SHA-256: {word[:80]!r}")
    return word.lower()


def _open(url: str) -> http.client.HTTPResponse:
    host = urlsplit(url).netloc
    if host in _unreachable_hosts:
        raise DownloadError(f"{host} was not reachable earlier in this run ({_unreachable_hosts[host]})")
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code in {403, 407, 502, 503}:  # a proxy's or a gateway's answer for the whole host
            _unreachable_hosts[host] = f"HTTP {error.code}"
        raise DownloadError(f"{url}: HTTP {error.code}") from error
    except OSError as error:
        _unreachable_hosts[host] = str(error)
        raise DownloadError(f"{host} cannot be reached: {error}") from error
    return response


def _fetch(url: str) -> bytes:
    with _open(url) as response:
        return response.read()


def _fetch_to(url: str, target: Path) -> str:
    digest = hashlib.sha256()
    try:
        with _open(url) as response, target.open("wb") as file:
            while chunk := response.read(1 << 20):
                digest.update(chunk)
                file.write(chunk)
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{url} broke off: {error}") from error
    return digest.hexdigest()


def _put(part: Path, release: Release, member: str, target: Path) -> None:
    if not release.member:
        part.chmod(0o755)
        part.rename(target)
        return
    unpacked = target.with_name(target.name + ".member")
    try:
        with tarfile.open(part) as archive:
            source = archive.extractfile(member)
            if source is None:
                raise DownloadError(f"{member} in {release.url} is not a file")
            with source, unpacked.open("wb") as file:
                shutil.copyfileobj(source, file)
        unpacked.chmod(0o755)
        unpacked.rename(target)
    except (KeyError, tarfile.TarError) as error:
        raise DownloadError(f"cannot unpack {member} from {release.url}: {error}") from error
    finally:
        unpacked.unlink(missing_ok=True)
