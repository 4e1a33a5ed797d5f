from collections.abc import Iterator

import pytest

from tests.bundles import write_tiny_classifier
from tests.serving import Running, running


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server with one tiny classifier, for tests that change nothing in it."""
    repository = tmp_path_factory.mktemp("repository")
    write_tiny_classifier(repository)
    with running(repository) as started:
        yield started
