"""Where bundles lie: a folder, or any URL that fsspec opens, as <model>/<version>/."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import fsspec

from service.bundle.bundle import BundleError


@dataclass(frozen=True, order=True)
class BundleRef:
    """One version of one model in a repository, not yet read."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


class FolderRepository:
    """A folder on this machine. Versions are whole numbers; anything else is passed over."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def list(self) -> list[BundleRef]:
        if not self.root.is_dir():
            raise BundleError(f"the repository {self.root} is not a folder")
        return sorted(
            BundleRef(version.parent.name, int(version.name))
            for version in self.root.glob("*/*")
            if version.is_dir() and version.name.isascii() and version.name.isdigit()
        )

    def fetch(self, ref: BundleRef) -> Path:
        """The folder of this version."""
        return self.root / ref.name / str(ref.version)


class RemoteRepository:
    """A URL (s3://, gs://, https://, memory:// …), copied version by version to a local cache.

    The cache is keyed by the URL; since a version never changes, a copy is never refreshed.
    """

    def __init__(self, url: str, cache: Path) -> None:
        self.url = url.rstrip("/")
        self._fs, self._root = fsspec.core.url_to_fs(self.url)
        self._local = FolderRepository(cache / hashlib.sha256(self.url.encode()).hexdigest()[:16])

    def list(self) -> list[BundleRef]:
        try:
            paths = self._fs.glob(f"{self._root}/*/*/manifest.json")
        except OSError as error:
            raise BundleError(f"the repository {self.url} cannot be listed: {error}") from None
        parts = [str(path).split("/")[-3:-1] for path in paths]
        return sorted(BundleRef(name, int(version)) for name, version in parts if version.isdigit())

    def fetch(self, ref: BundleRef) -> Path:
        """The folder with the local copy of this version, made now if there is none."""
        target = self._local.fetch(ref)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(prefix=".fetching-", dir=target.parent))
            try:
                self._fs.get(
                    f"{self._root}/{ref.name}/{ref.version}/", f"{staging}/", recursive=True
                )
                staging.rename(target)
            except OSError as error:
                raise BundleError(f"{ref} cannot be fetched from {self.url}: {error}") from None
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        return target


Repository = FolderRepository | RemoteRepository


def open_repository(location: str, cache: Path) -> Repository:
    """A path or a URL, as typed in the settings."""
    scheme = urlsplit(location).scheme
    # One letter is a drive, not a scheme.
    return (
        RemoteRepository(location, cache) if len(scheme) > 1 else FolderRepository(Path(location))
    )
