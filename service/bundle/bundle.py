"""One bundle on disk: reading it with every hash checked, and writing it once."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from service.bundle.manifest import MANIFEST_FILE, FileDigest, Manifest

MANIFEST_MAX_BYTES = 16 << 20


class BundleError(Exception):
    """The bundle cannot be served; the message is the reason, fit to be shown in `/models`."""


@dataclass(frozen=True)
class Bundle:
    """A folder whose files are all there and whole."""

    folder: Path
    manifest: Manifest
    digest: str
    """sha256 of manifest.json, which itself holds the hash of every other file."""

    def file(self, name: str) -> Path:
        return self.folder / name


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """The manifest and its digest; says in a sentence what is wrong with it."""
    path = folder / MANIFEST_FILE
    try:
        with path.open("rb") as file:
            data = file.read(MANIFEST_MAX_BYTES + 1)
    except FileNotFoundError:
        raise BundleError(f"there is no {MANIFEST_FILE}") from None
    except OSError as error:
        raise BundleError(f"{MANIFEST_FILE} cannot be read: {error.strerror}") from None
    if len(data) > MANIFEST_MAX_BYTES:
        raise BundleError(f"{MANIFEST_FILE} is larger than {MANIFEST_MAX_BYTES >> 20} MiB")
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise BundleError(f"{MANIFEST_FILE}: {where}: {first['msg']}{more}") from None
    return manifest, hashlib.sha256(data).hexdigest()


def read_bundle(folder: Path) -> Bundle:
    """The bundle in `folder`, its hashes checked; BundleError otherwise."""
    manifest, digest = read_manifest(folder)
    for name, expected in manifest.files.items():
        try:
            found = digest_of(folder / name)
        except FileNotFoundError:
            raise BundleError(f"{name} is missing") from None
        except OSError as error:
            raise BundleError(f"{name} cannot be read: {error.strerror}") from None
        if found.size_bytes != expected.size_bytes:
            raise BundleError(
                f"{name} has {found.size_bytes} bytes where the manifest says {expected.size_bytes}"
            )
        if found.sha256 != expected.sha256:
            raise BundleError(f"{name} is not the file that was exported: its sha256 differs")
    return Bundle(folder, manifest, digest)


def write_bundle(repository: Path, manifest: Manifest, files: Mapping[str, Path]) -> Bundle:
    """Put a new version into a folder repository, whole or not at all.

    `files` maps the bundle's file names to where they lie now; `manifest.files` is filled in
    here. A version is immutable: writing one that exists raises FileExistsError.
    """
    target = repository / manifest.name / str(manifest.version)
    if target.exists():
        raise FileExistsError(f"{manifest.ref} exists already in {repository}")
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=target.parent))
    try:
        digests = {name: digest_of(source) for name, source in files.items()}
        # Validated anew, before any name is used as a path: a manifest that names a file which
        # was not given must not be written, nor a file outside the folder.
        whole = Manifest.model_validate({**manifest.model_dump(), "files": digests})
        for name, source in files.items():
            shutil.copyfile(source, staging / name)
        text = whole.model_dump_json(indent=2) + "\n"
        (staging / MANIFEST_FILE).write_text(text, encoding="utf-8")
        written = read_bundle(staging)
        staging.chmod(0o755)
        try:
            os.rename(staging, target)
        except OSError:
            if target.exists():  # another writer was faster
                raise FileExistsError(f"{manifest.ref} exists already in {repository}") from None
            raise
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return replace(written, folder=target)


def digest_of(path: Path) -> FileDigest:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return FileDigest(sha256=sha256, size_bytes=file.tell())
