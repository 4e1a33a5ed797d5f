import pytest
import torch

from models.training.loading import Passes, load_steps, to_device
from models.training.task import Batch, Share


class Numbers:
    """A batch of 8 numbers that tell their step."""

    def __len__(self) -> int:
        return 80

    def batch(self, step: int, share: Share) -> Batch:
        return torch.arange(step * 8, step * 8 + 8)[share.of(8)]


@pytest.mark.parametrize("workers", [0, 2])
def test_processes_and_passes_part_each_step_s_batch(workers: int) -> None:
    found: dict[int, list[int]] = {3: [], 4: []}
    for index in range(2):
        passes = Passes(Numbers(), Share(index, 2), accumulate=2)
        steps = load_steps(passes, range(3, 5), workers=workers, pinned=False)
        for step, parts in zip(found, steps, strict=True):
            assert [len(part) for part in parts] == [2, 2]
            found[step] += torch.cat(parts).tolist()
    assert {step: sorted(numbers) for step, numbers in found.items()} == {
        3: list(range(24, 32)),
        4: list(range(32, 40)),
    }


def test_tensors_move_wherever_they_are_nested() -> None:
    batch = {"a": torch.zeros(1), "b": [torch.zeros(2), (torch.zeros(3), "text")], "c": 4}
    moved = to_device(batch, torch.device("meta"))
    assert moved["a"].is_meta and moved["b"][0].is_meta and moved["b"][1][0].is_meta
    assert isinstance(moved["b"][1], tuple) and moved["b"][1][1] == "text" and moved["c"] == 4
