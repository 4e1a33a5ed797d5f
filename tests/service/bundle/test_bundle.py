"""Reading a bundle with all its files, and writing one whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.bundle import Bundle, BundleError, Manifest, Quality, read_bundle, write_bundle
from service.bundle.bundle import MANIFEST_MAX_BYTES
from tests.bundles import write_tiny_classifier


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_tiny_classifier(tmp_path / "made")


def files_of(bundle: Bundle) -> dict[str, Path]:
    return {name: bundle.file(name) for name in bundle.manifest.files}


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# -- reading


def test_a_whole_bundle_is_read(bundle: Bundle) -> None:
    found = read_bundle(bundle.folder)

    assert found == bundle
    assert found.manifest.ref == "tiny:1"
    assert found.digest == hashlib.sha256(bundle.file("manifest.json").read_bytes()).hexdigest()
    assert found.file("classify.onnx").is_file()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", ["classify.onnx", "golden.npz"])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (Path.unlink, "{name} is missing"),
        (cut, "{name} has {less} bytes where the manifest says {size}"),
        (flip, "{name} is not the file that was exported: its sha256 differs"),
        (replace_by_a_folder, "{name} cannot be read: Is a directory"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(
    bundle: Bundle, name: str, damage: Callable[[Path], object], reason: str
) -> None:
    size = bundle.manifest.files[name].size_bytes
    damage(bundle.file(name))

    with pytest.raises(BundleError) as error:
        read_bundle(bundle.folder)

    assert str(error.value) == reason.format(name=name, size=size, less=size - 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "manifest.json: the document: Invalid JSON: EOF while parsing"),
        ("{", "manifest.json: the document: Invalid JSON"),
        ("[]", "manifest.json: the document: Input should be an object"),
        ("{}", "manifest.json: name: Field required (and 6 more)"),
        ("[" * 10_000, "manifest.json: the document: Invalid JSON: recursion limit"),
    ],
)
def test_a_manifest_that_is_none_is_told_in_a_sentence(
    bundle: Bundle, text: str, reason: str
) -> None:
    bundle.file("manifest.json").write_text(text)

    with pytest.raises(BundleError) as error:
        read_bundle(bundle.folder)

    assert str(error.value).startswith(reason)
    assert "\n" not in str(error.value)


def test_a_manifest_that_is_no_text_is_refused(bundle: Bundle) -> None:
    bundle.file("manifest.json").write_bytes(b"\xff\xfe{}")

    with pytest.raises(BundleError, match=r"^manifest\.json: the document: "):
        read_bundle(bundle.folder)


def test_a_manifest_of_any_size_is_not_read_into_memory(bundle: Bundle) -> None:
    with bundle.file("manifest.json").open("r+b") as file:
        file.truncate(MANIFEST_MAX_BYTES + 1)

    with pytest.raises(BundleError, match=r"^manifest.json is larger than 16 MiB$"):
        read_bundle(bundle.folder)


def test_a_folder_without_a_manifest_says_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"^there is no manifest.json$"):
        read_bundle(tmp_path)


def test_no_reason_names_a_place_on_this_machine(bundle: Bundle) -> None:
    replace_by_a_folder(bundle.file("manifest.json"))

    with pytest.raises(BundleError) as error:
        read_bundle(bundle.folder)

    assert str(error.value) == "manifest.json cannot be read: Is a directory"


# -- writing


def test_what_is_written_is_what_is_read(bundle: Bundle, tmp_path: Path) -> None:
    written = write_bundle(tmp_path / "to", bundle.manifest, files_of(bundle))

    assert written.folder == tmp_path / "to" / "tiny" / "1"
    assert written == read_bundle(written.folder)
    assert written.manifest == bundle.manifest
    assert everything_in(tmp_path / "to") == [
        "tiny/1/classify.onnx",
        "tiny/1/golden.npz",
        "tiny/1/manifest.json",
    ]


def test_the_digests_are_those_of_the_files_whatever_the_manifest_said(
    bundle: Bundle, tmp_path: Path
) -> None:
    flip(bundle.file("golden.npz"))

    written = write_bundle(tmp_path / "to", bundle.manifest, files_of(bundle))

    assert written.manifest.files["golden.npz"] != bundle.manifest.files["golden.npz"]
    read_bundle(written.folder)


def test_files_that_no_graph_names_travel_along(bundle: Bundle, tmp_path: Path) -> None:
    card = tmp_path / "card"
    card.write_text("# Tiny")

    written = write_bundle(tmp_path / "to", bundle.manifest, files_of(bundle) | {"README.md": card})

    assert "README.md" in written.manifest.files


def test_labels_in_any_script_survive(tmp_path: Path) -> None:
    bundle = write_tiny_classifier(tmp_path / "made")
    labels = [label.model_copy(update={"name": "赤 – rød"}) for label in bundle.manifest.labels]
    manifest = bundle.manifest.model_copy(update={"labels": tuple(labels)})

    written = write_bundle(tmp_path / "to", manifest, files_of(bundle))

    assert read_bundle(written.folder).manifest.labels[0].name == "赤 – rød"


def test_a_version_is_written_once(bundle: Bundle, tmp_path: Path) -> None:
    repository = bundle.folder.parent.parent
    before = bundle.file("manifest.json").read_bytes()

    with pytest.raises(FileExistsError, match="tiny:1 exists already"):
        write_bundle(repository, bundle.manifest, files_of(bundle))

    assert bundle.file("manifest.json").read_bytes() == before


def test_of_two_writers_of_one_version_the_slower_is_refused(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "to"
    rename = os.rename

    def meanwhile_another_writes(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "rename", rename)
        write_bundle(repository, bundle.manifest, files_of(bundle))
        rename(source, target)

    monkeypatch.setattr(os, "rename", meanwhile_another_writes)
    with pytest.raises(FileExistsError, match="tiny:1 exists already"):
        write_bundle(repository, bundle.manifest, files_of(bundle))

    assert [path.name for path in (repository / "tiny").iterdir()] == ["1"]
    read_bundle(repository / "tiny" / "1")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
@pytest.mark.parametrize(("module", "function"), [(shutil, "copyfile"), (os, "rename")])
def test_a_writer_that_breaks_off_leaves_nothing(
    bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    function: str,
    error: BaseException,
) -> None:
    def breaks_off(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(module, function, breaks_off)
        with pytest.raises(type(error)):
            write_bundle(tmp_path / "to", bundle.manifest, files_of(bundle))

    assert everything_in(tmp_path / "to") == []
    write_bundle(tmp_path / "to", bundle.manifest, files_of(bundle))


def test_a_manifest_that_names_a_file_which_is_not_given_is_not_written(
    bundle: Bundle, tmp_path: Path
) -> None:
    files = files_of(bundle)
    del files["golden.npz"]

    with pytest.raises(ValidationError, match=re.escape("files without a sha256: golden.npz")):
        write_bundle(tmp_path / "to", bundle.manifest, files)

    assert everything_in(tmp_path / "to") == []


def test_a_file_name_that_leads_elsewhere_writes_nothing_there(
    bundle: Bundle, tmp_path: Path
) -> None:
    files = files_of(bundle) | {"../../evil": bundle.file("golden.npz")}

    with pytest.raises(ValidationError, match="should match pattern"):
        write_bundle(tmp_path / "to", bundle.manifest, files)

    assert everything_in(tmp_path / "to") == []


def test_a_manifest_that_could_not_be_read_again_takes_no_version(
    bundle: Bundle, tmp_path: Path
) -> None:
    # Built without validation, as a careless exporter might: NaN becomes null in JSON.
    quality = Quality.model_construct(metric="top1", value=float("nan"), data="test", command="")
    manifest = Manifest.model_construct(**{**dict(bundle.manifest), "quality": (quality,)})

    with pytest.raises(ValidationError, match="finite"):
        write_bundle(tmp_path / "to", manifest, files_of(bundle))

    assert everything_in(tmp_path / "to") == []


def test_other_users_may_read_what_is_written(bundle: Bundle) -> None:
    assert bundle.folder.stat().st_mode & 0o777 == 0o755


def test_the_manifest_is_fit_to_be_read_by_people(bundle: Bundle) -> None:
    lines = bundle.file("manifest.json").read_text().splitlines()

    assert lines[:4] == ["{", '  "schema_version": 1,', '  "name": "tiny",', '  "version": 1,']
