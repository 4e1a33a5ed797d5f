"""The cache of plans: hits, what is stale or foreign or broken, and many writers at once."""

from __future__ import annotations

import concurrent.futures
import json
import threading
from pathlib import Path

import pytest

from service.engine.plans.cache import FACTS_FILE, PLAN_FILE, Found, PlanCache
from service.engine.plans.key import PlanKey, Profile, Target
from service.engine.plans.tensorrt import PlanError

HERE = Target(gpu="NVIDIA H100 80GB HBM3", sm="90", library="tensorrt", version="10.16.1.11")
KEY = PlanKey(
    graph_sha256="ab" * 32, target=HERE, precision="tf32", profile=Profile(best=8, most=64)
)


def store(cache: PlanCache, key: PlanKey = KEY, plan: bytes = b"a plan", **facts: str) -> Found:
    return cache.store(
        key, plan, graph="tiny:1/classify", build_s=1.5, optimization_level=3, **facts
    )


def changed(**parts: object) -> PlanKey:
    return PlanKey.model_validate({**KEY.model_dump(), **parts})


def on(**parts: str) -> PlanKey:
    return changed(target={**HERE.model_dump(), **parts})


def test_a_plan_is_found_again_by_another_process(tmp_path: Path) -> None:
    written = store(PlanCache(tmp_path))

    found = PlanCache(tmp_path).find(KEY)

    assert found.read() == b"a plan"
    assert found.facts == written.facts
    assert found.facts.key == KEY


def test_its_folder_says_what_it_is_for(tmp_path: Path) -> None:
    folder = store(PlanCache(tmp_path)).folder

    assert folder.parent.name == "ab" * 8
    assert folder.name.startswith("NVIDIA-H100-80GB-HBM3-sm90-tensorrt-10.16.1.11-tf32-b8-64-")


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (
            on(gpu="NVIDIA L4", sm="89"),
            r"one for NVIDIA H100 80GB HBM3 \(sm 90\), here is NVIDIA L4",
        ),
        (
            on(gpu="NVIDIA H100 PCIe"),
            r"one for NVIDIA H100 80GB HBM3 \(sm 90\), here is NVIDIA H100 P",
        ),
        (on(version="10.17.0.3"), r"one by tensorrt 10\.16\.1\.11, here is tensorrt 10\.17\.0\.3"),
        (on(library="tensorrt_rtx"), "one by tensorrt 10.16.1.11, here is tensorrt_rtx"),
        (changed(precision="fp32"), "one in tf32, not fp32"),
        (changed(profile=Profile(best=8, most=32)), "one for batches of 1 to 64, best at 8, not b"),
        (changed(graph_sha256="cd" * 32), r"no plan was built for NVIDIA H100 [^;]*$"),
    ],
)
def test_a_plan_of_something_else_is_passed_over_with_the_reason(
    tmp_path: Path, wanted: PlanKey, reason: str
) -> None:
    cache = PlanCache(tmp_path)
    store(cache)

    with pytest.raises(PlanError, match=reason):
        cache.find(wanted)


def test_a_folder_that_does_not_hold_what_its_name_says_is_not_used(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    facts_file = store(cache).folder / FACTS_FILE
    facts = json.loads(facts_file.read_text())
    facts["key"]["target"]["version"] = "9.9"
    facts_file.write_text(json.dumps(facts))

    with pytest.raises(PlanError, match="of another key"):
        cache.find(KEY)


def test_a_plan_cut_short_is_seen_before_it_is_read(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    (store(cache).folder / PLAN_FILE).write_bytes(b"a pl")

    with pytest.raises(PlanError, match="4 of its 6 bytes"):
        cache.find(KEY)
    (entry,) = cache.entries()
    with pytest.raises(PlanError, match="4 of its 6 bytes"):
        entry.read()


def test_a_plan_with_a_flipped_bit_is_not_given_out(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    (store(cache).folder / PLAN_FILE).write_bytes(b"a plaN")

    with pytest.raises(PlanError, match="sha256 differs"):
        cache.find(KEY).read()


@pytest.mark.parametrize(
    ("sidecar", "reason"),
    [
        (None, r"it has no plan\.json"),
        (b"{", r"plan\.json: "),
        (b'{"schema_version": 2}', r"plan\.json: "),
        (b"\x80\x04\x95", r"plan\.json: "),  # a pickle
    ],
)
def test_a_sidecar_that_is_not_one_is_a_reason(
    tmp_path: Path, sidecar: bytes | None, reason: str
) -> None:
    cache = PlanCache(tmp_path)
    facts_file = store(cache).folder / FACTS_FILE
    if sidecar is None:
        facts_file.unlink()
    else:
        facts_file.write_bytes(sidecar)

    with pytest.raises(PlanError, match=reason):
        cache.find(KEY)
    assert [entry.facts for entry in cache.entries()] == [None]


def test_what_was_built_first_stays(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    store(cache, plan=b"the first")

    assert store(cache, plan=b"the second").read() == b"the first"
    assert cache.find(KEY).read() == b"the first"


def test_what_is_broken_is_replaced(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    (store(cache).folder / PLAN_FILE).write_bytes(b"")

    store(cache, plan=b"a new one")

    assert cache.find(KEY).read() == b"a new one"
    assert leftovers(tmp_path) == []


def test_a_refused_plan_is_remembered_until_a_better_one_comes(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    store(cache, refused="it drifts by 0.3")

    with pytest.raises(PlanError, match=r"it drifts by 0\.3"):
        cache.find(KEY)
    store(cache, plan=b"a better one")

    assert cache.find(KEY).read() == b"a better one"


def test_of_many_writers_one_wins_and_all_read_a_whole_plan(tmp_path: Path) -> None:
    writers = 8
    together = threading.Barrier(writers)

    def write(index: int) -> bytes:
        cache = PlanCache(tmp_path)
        together.wait()
        store(cache, plan=bytes([index]) * 100_000)
        return cache.find(KEY).read()

    with concurrent.futures.ThreadPoolExecutor(writers) as pool:
        read = list(pool.map(write, range(writers)))

    assert len(set(read)) == 1
    assert len(read[0]) == 100_000
    assert len(list(PlanCache(tmp_path).entries())) == 1
    assert leftovers(tmp_path) == []


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)

    with pytest.raises(OSError, match="No space"):
        store(PlanCache(tmp_path))

    assert list(PlanCache(tmp_path).entries()) == []
    assert leftovers(tmp_path) == []


def test_timings_are_of_one_target_and_the_last_ones_stay(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path / "not yet there")
    assert cache.timings(HERE) == b""

    cache.store_timings(HERE, b"first")
    cache.store_timings(HERE, b"second")

    assert PlanCache(tmp_path / "not yet there").timings(HERE) == b"second"
    assert cache.timings(on(version="11.0").target) == b""
    assert list(cache.entries()) == []


def leftovers(root: Path) -> list[Path]:
    return [path for path in root.rglob(".*") if path.is_dir()]
