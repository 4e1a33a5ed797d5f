"""Pictures through the engine: the same in any company, sharing steps, leaving when told."""

from __future__ import annotations

import asyncio
import io
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from service.engine.device import Device
from service.engine.model import Model, load_model
from service.errors import BusyError
from service.generation import (
    GenerateOptions,
    Glimpse,
    Painting,
    Queued,
    order_of,
    painter_of,
    png_of,
)
from service.sampling import SAMPLERS, schedule_of
from service.settings import Settings
from service.text import TextCache
from tests.painters import PAINTER_DEFAULTS, clean_estimate, decoded, meaning, write_tiny_painter
from tests.service.engine.gated import GatedBackend
from tests.service.engine.scripted import Recorder, measured

Pixels = npt.NDArray[np.uint8]
PROMPTS = ("a red ball", "blue", "the green and the grey", "yellow ball", "a cyan and a magenta")


class Easel:
    """One model on a device with one worker, and the gate before its step graph."""

    def __init__(self, repository: Path, **of_the_model: Any) -> None:
        self.observer = Recorder()
        self.device = Device("cpu", workers=1, observer=self.observer)
        self.model: Model = load_model(
            write_tiny_painter(repository, **of_the_model), self.device, queue_capacity=256
        )
        self.texts = TextCache(1 << 20)
        self.device.start()

    def gate(self, role: str = "step") -> GatedBackend:
        lane = self.model.lanes[role]
        lane.backend = gate = GatedBackend(lane.backend, role)
        return gate

    def cost(self, role: str, seconds: float) -> None:
        """What each run of the graph is taken to cost, whatever the batch."""
        self.model.lanes[role].cost = measured(lambda batch: seconds, 1, 8)

    def painting(self, deadline: float = math.inf, **asked: Any) -> Painting:
        return self._painting(deadline, lambda event: None, asked, wants_previews=False)

    def watched(self, events: list[Queued | Glimpse], **asked: Any) -> Painting:
        return self._painting(math.inf, events.append, asked, wants_previews=True)

    def _painting(
        self,
        deadline: float,
        listener: Callable[[Queued | Glimpse], None],
        asked: dict[str, Any],
        *,
        wants_previews: bool,
    ) -> Painting:
        painter = painter_of(self.model)
        options = GenerateOptions.model_validate({"prompt": "a red ball", "seed": 1, **asked})
        order = order_of(options, painter.manifest, painter.sizes, Settings())
        return Painting(
            painter,
            order,
            deadline=deadline,
            texts=self.texts,
            write=lambda index, pixels: png_of(pixels, order.of_one(index), painter.digest),
            listener=listener if wants_previews else None,
            preview_every=options.preview_every,
        )

    def alone(self, **asked: Any) -> list[Pixels]:
        return pixels_of(asyncio.run(self.painting(**asked).paint()))


@pytest.fixture
def easel(tmp_path: Path) -> Iterator[Easel]:
    made = Easel(tmp_path)
    yield made
    made.device.stop()


def pixels_of(files: list[bytes]) -> list[Pixels]:
    return [np.asarray(Image.open(io.BytesIO(file))) for file in files]


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # lanes set no event
            await asyncio.sleep(0.001)


def anything(chance: random.Random) -> dict[str, Any]:
    sampler = chance.choice(SAMPLERS)
    return {
        "prompt": chance.choice(PROMPTS),
        "negative_prompt": chance.choice(("", "", "red", "white")),
        "steps": chance.randint(1, 20),
        "sampler": sampler,
        "guidance_scale": chance.uniform(0.5, 3.0),
        "eta": chance.random() if sampler == "ddim" else 0.0,
        "seed": chance.randrange(100),
        "n": chance.choice((1, 1, 2)),
    }


# -- what is painted


def paper_ddim(
    prompt: str, negative: str, *, steps: int, guidance: float, seed: int
) -> npt.NDArray[np.uint8]:
    """Song et al. 2020, equation 12 with sigma 0, on the times that end with the first of training:
    in double precision, with the network written down again."""
    schedule = schedule_of(PAINTER_DEFAULTS).alphas_cumprod
    philox = np.random.Philox(key=np.array([seed, 0], np.uint64))
    normal = np.random.Generator(philox).standard_normal((4, 8, 8), dtype=np.float32)
    x = normal[None].astype(np.float64)
    wanted, avoided = (meaning(text.split())[None] for text in (prompt, negative))
    times = [round(100 - i * 100 / steps) - 1 for i in range(steps)]
    for time, after in zip(times, [*times[1:], None], strict=True):
        abar, abar_after = schedule[time], 1.0 if after is None else schedule[after]
        clean = clean_estimate(x, wanted, avoided, guidance)
        epsilon = (x - math.sqrt(abar) * clean) / math.sqrt(1 - abar)
        x = math.sqrt(abar_after) * clean + math.sqrt(1 - abar_after) * epsilon
    return decoded(x)[0]


@pytest.mark.parametrize("steps", [1, 5, 20])
def test_ddim_paints_what_the_paper_says(steps: int, easel: Easel) -> None:
    (painted,) = easel.alone(
        prompt="a red ball",
        negative_prompt="green",
        steps=steps,
        sampler="ddim",
        guidance_scale=1.7,
        seed=11,
    )
    expected = paper_ddim("a red ball", "green", steps=steps, guidance=1.7, seed=11)
    assert expected.std() > 20, "a plain picture would prove nothing"
    np.testing.assert_allclose(painted.astype(int), expected.astype(int), atol=1)


def test_the_same_seed_paints_the_same_picture_alone_and_in_any_batch(easel: Easel) -> None:
    chance = random.Random(0)
    wishes = [anything(chance) for _ in range(24)]
    alone = [easel.alone(**wish) for wish in wishes]
    gate = easel.gate()

    async def together() -> list[list[bytes]]:
        painting = [asyncio.create_task(easel.painting(**wish).paint()) for wish in wishes]
        everyone = sum(wish["n"] for wish in wishes)
        await wait_until(lambda: easel.model.lanes["step"].pending == everyone)
        gate.open()
        return await asyncio.gather(*painting)

    shared = [pixels_of(files) for files in asyncio.run(together())]

    sizes = [size for _, size in gate.log]
    in_company = sum(size for size in sizes if size > 1)
    assert max(sizes) == 8 and in_company > sum(sizes) / 2, "they hardly met"
    for some, others in zip(alone, shared, strict=True):
        apart = np.abs(np.stack(some).astype(int) - np.stack(others).astype(int))
        assert (apart <= 1).mean() >= 0.999


def test_pictures_of_one_seed_differ_and_each_can_be_painted_again_alone(easel: Easel) -> None:
    several = easel.alone(seed=5, n=3)
    assert not np.array_equal(several[0], several[1])
    for index, one in enumerate(several):
        (again,) = easel.alone(seed=5, index=index)
        np.testing.assert_array_equal(one, again)


def test_the_prompt_the_guidance_and_the_seed_all_count(easel: Easel) -> None:
    usual = {"prompt": "blue", "guidance_scale": 1.0, "seed": 1}
    (first,) = easel.alone(**usual)
    for change in (
        {"prompt": "red"},
        {"negative_prompt": "grey white", "guidance_scale": 1.5},
        {"guidance_scale": 2.0},
        {"seed": 2},
        {"steps": 7},
    ):
        assert not np.array_equal(first, easel.alone(**(usual | change))[0]), change


# -- how steps are shared


def test_a_new_prompt_joins_at_the_next_step(easel: Easel) -> None:
    gate = easel.gate()

    async def both() -> None:
        early = asyncio.create_task(easel.painting(steps=4).paint())
        await asyncio.to_thread(gate.wait_until_entered)
        late = asyncio.create_task(easel.painting(steps=2, sampler="euler", seed=2).paint())
        await wait_until(lambda: easel.model.lanes["step"].queued == 1)
        gate.open()
        await asyncio.gather(early, late)

    asyncio.run(both())
    # One alone, both twice, and the first one's last.
    assert [size for _, size in gate.log] == [1, 2, 2, 1]


def test_a_prompt_is_read_once(easel: Easel) -> None:
    gate = easel.gate("text")
    gate.open()
    for seed in range(3):
        easel.alone(prompt="blue", negative_prompt="red", seed=seed)
    easel.alone(prompt="red", negative_prompt="green")

    assert [size for _, size in gate.log] == [2, 1]


def test_time_adds_up_over_the_graphs(easel: Easel) -> None:
    painting = easel.painting(n=2)
    asyncio.run(painting.paint())

    for timing in painting.timings:
        assert timing.run_s >= max(painting.run_s.values()) > 0
        assert timing.finish_s > 0 and timing.queue_s > 0
        assert timing.largest_batch == 2


# -- what is told on the way


def test_the_prediction_and_the_previews_are_told(easel: Easel) -> None:
    for role in ("text", "step", "decode"):
        easel.cost(role, 0.25)
    events: list[Queued | Glimpse] = []
    asyncio.run(easel.watched(events, steps=6, preview_every=2).paint())
    queued, *glimpses = events

    # The prompt and the empty one share a run.
    assert queued == Queued(predicted_s=pytest.approx(0.25 + 6 * 0.25 + 0.25))
    assert [(g.index, g.step) for g in glimpses if isinstance(g, Glimpse)] == [(0, 2), (0, 4)]
    for glimpse in glimpses:
        assert isinstance(glimpse, Glimpse) and glimpse.file is not None
        assert Image.open(io.BytesIO(glimpse.file)).size == (8, 8)


def test_the_last_preview_looks_like_the_picture(easel: Easel) -> None:
    events: list[Queued | Glimpse] = []
    (file,) = asyncio.run(easel.watched(events, steps=20, preview_every=19).paint())
    (glimpse,) = [event for event in events if isinstance(event, Glimpse)]
    assert glimpse.file is not None
    (shown,), (painted,) = pixels_of([glimpse.file]), pixels_of([file])

    apart = np.abs(shown.astype(int) - painted[::4, ::4])
    assert apart.mean() < 3 and painted.std() > 20


def test_a_model_without_a_preview_tells_how_far_it_is(tmp_path: Path) -> None:
    defaults = {name: value for name, value in PAINTER_DEFAULTS.items() if name != "preview"}
    easel = Easel(tmp_path, defaults=defaults)
    events: list[Queued | Glimpse] = []
    asyncio.run(easel.watched(events, steps=3, preview_every=1).paint())
    easel.device.stop()

    assert events[1:] == [Glimpse(0, 1, None), Glimpse(0, 2, None)]


# -- who may not come, and who leaves


def test_a_deadline_that_all_the_steps_cannot_meet_is_refused_before_the_text_is_read(
    easel: Easel,
) -> None:
    easel.cost("step", 10.0)
    soon = asyncio.run(_in(30.0))
    with pytest.raises(BusyError) as refused:
        asyncio.run(easel.painting(deadline=soon, prompt="never read", steps=6).paint())

    assert refused.value.retry_after_s == pytest.approx(60 * 1.25 - 30, abs=1)
    assert easel.observer.refusals == [("painter:1/text", 2, "deadline")]
    assert not easel.observer.admitted_jobs


async def _in(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def test_one_that_goes_away_frees_its_place_at_the_next_step(easel: Easel) -> None:
    gate = easel.gate()
    lane = easel.model.lanes["step"]

    async def leave() -> None:
        left = asyncio.create_task(easel.painting(steps=50).paint())
        await asyncio.to_thread(gate.wait_until_entered)
        stays = asyncio.create_task(easel.painting(steps=2, seed=2).paint())
        await wait_until(lambda: lane.queued == 1)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        gate.open()
        await stays

    asyncio.run(leave())
    assert [size for _, size in gate.log] == [1, 1, 1]
    assert easel.observer.outcomes["painter:1/step"] == ["cancelled", "answered"]
    assert lane.pending == 0
