"""What Monodepth2 publishes, read as it answers."""

from pathlib import Path

import pytest
import torch

from exporters.checkpoints.monodepth2 import read_monodepth2
from exporters.errors import CheckpointError
from tests.exporters.monodepth2 import SIZE, Decoder, Encoder, publish, published_depth


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Encoder, Decoder]:
    folder = tmp_path_factory.mktemp("mono+stereo_640x192")
    return folder, *publish(folder)


def test_it_answers_as_the_published_network(published: tuple[Path, Encoder, Decoder]) -> None:
    folder, encoder, decoder = published
    network, spec = read_monodepth2(folder)
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 256, (2, *SIZE, 3), dtype=torch.uint8, generator=generator)
    expected_m = published_depth(encoder, decoder, image)
    assert spec.input_size == SIZE and spec.metres is not None
    torch.testing.assert_close(spec.metres / network(image), expected_m, rtol=1e-3, atol=0)


def test_one_that_was_taught_without_stereo_knows_no_metres(tmp_path: Path) -> None:
    publish(tmp_path, stereo=False)
    assert read_monodepth2(tmp_path)[1].metres is None


def test_other_files_are_refused(published: tuple[Path, Encoder, Decoder], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"lacks encoder\.pth"):
        read_monodepth2(tmp_path)
    for name in ("encoder.pth", "depth.pth"):
        (tmp_path / name).write_bytes((published[0] / "depth.pth").read_bytes())
    with pytest.raises(CheckpointError, match="does not say its 'height'"):
        read_monodepth2(tmp_path)
    torch.save({"height": 64, "width": 96, "pose.0.weight": torch.zeros(1)}, tmp_path / "depth.pth")
    (tmp_path / "encoder.pth").write_bytes((published[0] / "encoder.pth").read_bytes())
    with pytest.raises(CheckpointError, match=r"monodepth2 has no .*pose\.0\.weight"):
        read_monodepth2(tmp_path)
