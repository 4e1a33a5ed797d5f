"""Where bundles lie: a folder, or any URL that fsspec opens, as <model>/<version>/."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import fsspec

from service.bundle.bundle import BundleError, read_bundle, read_manifest
from service.bundle.manifest import MANIFEST_FILE


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
            if _is_version(version.name) and version.is_dir()
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
        try:
            self._fs, self._root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:  # a scheme that is not installed, or not known
            raise BundleError(f"the repository {self.url} cannot be opened: {error}") from None
        self._local = FolderRepository(cache / hashlib.sha256(self.url.encode()).hexdigest()[:16])

    def list(self) -> list[BundleRef]:
        try:
            self._fs.invalidate_cache()  # or a version that came since would never be seen
            paths = self._fs.glob(f"{self._root}/*/*/{MANIFEST_FILE}")
        except Exception as error:  # each filesystem has errors of its own
            raise BundleError(f"the repository {self.url} cannot be listed: {error}") from None
        parts = [str(path).split("/")[-3:-1] for path in paths]
        return sorted(
            BundleRef(name, int(version)) for name, version in parts if _is_version(version)
        )

    def fetch(self, ref: BundleRef) -> Path:
        """The folder with the cached copy of this version, made now if there is none."""
        return self.copy(ref, self._local)

    def copy(self, ref: BundleRef, into: FolderRepository) -> Path:
        """The folder of this version in another repository, copied now if it is not there.

        Only a copy whose hashes are right is kept, or one broken off would stay for ever.
        """
        target = into.fetch(ref)
        try:
            if not target.exists():
                self._copy(ref, target)
        except Exception as error:  # each filesystem has errors of its own
            raise BundleError(f"{ref} cannot be fetched from {self.url}: {error}") from None
        return target

    def _copy(self, ref: BundleRef, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".fetching-", dir=target.parent))
        try:
            # File by file, as the manifest names them: not every filesystem can list a folder, and
            # what is no part of the bundle need not come.
            self._get(ref, MANIFEST_FILE, staging)
            for name in read_manifest(staging)[0].files:
                self._get(ref, name, staging)
            read_bundle(staging)
            staging.chmod(0o755)
            staging.rename(target)
        except OSError:
            if not target.exists():  # else another process was faster
                raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _get(self, ref: BundleRef, name: str, folder: Path) -> None:
        self._fs.get_file(f"{self._root}/{ref.name}/{ref.version}/{name}", str(folder / name))


def _is_version(text: str) -> bool:
    return re.fullmatch("[1-9][0-9]*", text) is not None


Repository = FolderRepository | RemoteRepository


def open_repository(location: str, cache: Path) -> Repository:
    """A path or a URL, as typed in the settings."""
    scheme = urlsplit(location).scheme
    # One letter is a drive, not a scheme.
    return (
        RemoteRepository(location, cache) if len(scheme) > 1 else FolderRepository(Path(location))
    )
