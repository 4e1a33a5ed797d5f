from models.training.task import Goal


def test_more_is_better_or_less_is() -> None:
    most, least = Goal("top1"), Goal("error", "min")
    assert most.reaches(0.6, 0.5) and not most.reaches(0.4, 0.5)
    assert least.reaches(0.4, 0.5) and not least.reaches(0.6, 0.5)


def test_of_two_equals_the_later_is_kept() -> None:
    assert Goal("top1").reaches(0.5, 0.5) and Goal("error", "min").reaches(0.5, 0.5)


def test_what_is_no_number_never_becomes_the_best() -> None:
    assert Goal("top1").reaches(0.0, None)
    assert not Goal("top1").reaches(float("nan"), None)
    assert not Goal("top1").reaches(float("nan"), 0.5)
