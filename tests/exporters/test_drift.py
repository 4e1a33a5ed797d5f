import pytest

from exporters.drift import FLOOR, MARGIN, golden_tolerance


def test_the_floor_holds_where_nothing_drifted():
    assert golden_tolerance("fp32", 0.0, 1.0) == FLOOR["fp32"]
    assert golden_tolerance("fp16", 1e-5, 0.2) == FLOOR["fp16"]


def test_the_measured_drift_has_its_margin():
    assert golden_tolerance("int8", 0.0273, 1.0) == pytest.approx(0.11)
    assert golden_tolerance("int8", 0.0273, 1.0) >= MARGIN * 0.0273


def test_large_outputs_are_allowed_more():
    assert golden_tolerance("fp32", 0.0, 640.0) == pytest.approx(1.3)


@pytest.mark.parametrize("drift", [1e-6, 3.3e-3, 0.1, 0.99, 7.7])
def test_rounding_only_ever_adds(drift: float):
    for magnitude in (0.5, 1.0, 33.0):
        tolerance = golden_tolerance("fp16", drift, magnitude)
        wanted = max(MARGIN * drift, FLOOR["fp16"] * max(1.0, magnitude))
        assert wanted * (1 - 1e-6) <= tolerance <= 1.11 * wanted
