"""Where bundles lie: folders, and URLs that are copied version by version."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from service.bundle import BundleError, BundleRef, open_repository, read_bundle
from service.bundle.repository import FolderRepository, RemoteRepository
from tests.bundles import write_iterative, write_tiny_classifier


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "models"
    write_tiny_classifier(root, version=2)
    write_tiny_classifier(root, version=10)
    write_iterative(root)
    return root


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    """The same repository in the memory of this process."""
    place = f"/models-{uuid.uuid4().hex}"
    fsspec.filesystem("memory").put(f"{folder}/", f"{place}/", recursive=True)
    yield f"memory:/{place}"
    fsspec.filesystem("memory").rm(place, recursive=True)


ALL = [BundleRef("iterative", 1), BundleRef("tiny", 2), BundleRef("tiny", 10)]
NO_VERSIONS = ["latest", ".writing-x1", "01", "0", "-1", "1.0", "²", "٣", "1 "]


# -- a folder


def test_a_path_is_a_folder_and_its_versions_are_in_order_of_number(
    folder: Path, tmp_path: Path
) -> None:
    repository = open_repository(str(folder), tmp_path / "cache")

    assert isinstance(repository, FolderRepository)
    assert repository.list() == ALL
    assert read_bundle(repository.fetch(ALL[1])).manifest.ref == str(ALL[1]) == "tiny:2"


@pytest.mark.parametrize("name", NO_VERSIONS)
def test_a_folder_that_is_no_version_is_passed_over(folder: Path, name: str) -> None:
    (folder / "tiny" / name).mkdir()

    assert FolderRepository(folder).list() == ALL


def test_files_beside_the_models_and_the_versions_are_passed_over(folder: Path) -> None:
    (folder / "README.md").touch()
    (folder / "tiny" / "3").touch()

    assert FolderRepository(folder).list() == ALL


def test_a_version_that_is_half_there_is_listed_and_tells_what_it_lacks(folder: Path) -> None:
    (folder / "tiny" / "3").mkdir()
    repository = FolderRepository(folder)

    assert BundleRef("tiny", 3) in repository.list()
    with pytest.raises(BundleError, match=r"there is no manifest\.json"):
        read_bundle(repository.fetch(BundleRef("tiny", 3)))


def test_an_empty_folder_has_no_models_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    assert FolderRepository(tmp_path).list() == []
    with pytest.raises(BundleError, match="nowhere is not a folder"):
        FolderRepository(tmp_path / "nowhere").list()


# -- a URL


def test_a_url_lists_what_a_folder_lists(url: str, tmp_path: Path) -> None:
    repository = open_repository(url, tmp_path / "cache")

    assert isinstance(repository, RemoteRepository)
    assert repository.list() == ALL
    assert not (tmp_path / "cache").exists(), "nothing is copied before it is wanted"


def test_a_version_is_copied_whole_and_once(url: str, tmp_path: Path) -> None:
    repository = open_repository(url, tmp_path / "cache")
    first = repository.fetch(ALL[0])

    assert read_bundle(first).manifest.ref == "iterative:1"
    fsspec.filesystem("memory").rm(url.removeprefix("memory:/") + "/iterative", recursive=True)
    assert repository.fetch(ALL[0]) == first, "a copy needs the repository no more"
    assert [path.name for path in first.parent.iterdir()] == ["1"]


def test_two_repositories_do_not_share_a_copy(url: str, folder: Path, tmp_path: Path) -> None:
    one = open_repository(url, tmp_path / "cache").fetch(ALL[0])
    other = open_repository(folder.as_uri(), tmp_path / "cache").fetch(ALL[0])

    assert one != other
    assert read_bundle(one).digest == read_bundle(other).digest


@pytest.mark.parametrize("name", NO_VERSIONS)
def test_what_is_no_version_at_a_url_is_passed_over(url: str, tmp_path: Path, name: str) -> None:
    place = url.removeprefix("memory:/")
    fsspec.filesystem("memory").pipe(f"{place}/tiny/{name}/manifest.json", b"{}")

    assert open_repository(url, tmp_path / "cache").list() == ALL


def test_a_version_that_came_later_is_seen(url: str, tmp_path: Path) -> None:
    repository = open_repository(url, tmp_path / "cache")
    repository.list()
    place = url.removeprefix("memory:/")
    fsspec.filesystem("memory").pipe(f"{place}/tiny/11/manifest.json", b"{}")

    assert BundleRef("tiny", 11) in repository.list()


def test_a_copy_that_is_not_whole_is_not_kept(url: str, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    graph = url.removeprefix("memory:/") + "/iterative/1/step.onnx"
    whole = memory.cat(graph)
    memory.pipe(graph, whole[:-1])
    repository = open_repository(url, tmp_path / "cache")

    with pytest.raises(BundleError, match=r"iterative:1 cannot be fetched .* step\.onnx has \d+"):
        repository.fetch(ALL[0])

    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
    memory.pipe(graph, whole)
    assert read_bundle(repository.fetch(ALL[0])).manifest.ref == "iterative:1"


def test_a_copy_that_another_process_made_meanwhile_is_used(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = open_repository(url, tmp_path / "cache")
    rename = Path.rename

    def meanwhile_another_fetches(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        open_repository(url, tmp_path / "cache").fetch(ALL[0])
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", meanwhile_another_fetches)
    fetched = repository.fetch(ALL[0])

    assert read_bundle(fetched).manifest.ref == "iterative:1"
    assert [path.name for path in fetched.parent.iterdir()] == ["1"]


def test_a_version_that_is_not_there_cannot_be_fetched(url: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="tiny:99 cannot be fetched from memory://"):
        open_repository(url, tmp_path / "cache").fetch(BundleRef("tiny", 99))


def test_a_cache_that_cannot_be_written_is_a_reason(url: str, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()

    with pytest.raises(BundleError, match="tiny:2 cannot be fetched"):
        open_repository(url, tmp_path / "cache").fetch(ALL[1])


@pytest.mark.parametrize("location", ["nothing-known://models", "memory-of-old://x"])
def test_a_scheme_that_is_not_known_is_a_reason(location: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=f"the repository {location} cannot be opened: "):
        open_repository(location, tmp_path / "cache")


def test_a_letter_and_a_colon_is_a_drive() -> None:
    assert isinstance(open_repository("C:\\models", Path("cache")), FolderRepository)
