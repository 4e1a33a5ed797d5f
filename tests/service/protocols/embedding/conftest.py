from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bundles import write_tiny_classifier
from tests.serving import Running, running
from tests.towers import write_tiny_clip


@pytest.fixture(scope="package")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server with two towers and a classifier, for tests that change nothing in it."""
    repository = tmp_path_factory.mktemp("repository")
    write_tiny_clip(repository)
    write_tiny_classifier(repository)
    with running(repository, max_texts=40, max_images=4, max_text_chars=200) as server:
        yield server
