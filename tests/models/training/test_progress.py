import io

from rich.console import Console

from models.training.progress import BarProgress, LineProgress, NoProgress, show_progress


def test_a_log_gets_lines_and_not_too_many() -> None:
    stream = io.StringIO()
    progress = show_progress(Console(file=stream, width=200))
    assert isinstance(progress, LineProgress)
    progress.start(0.0)
    for step in range(100):
        progress.update(step, step / 100, 12.0, "loss 1")
    progress.tell("validated")
    progress.stop()
    assert stream.getvalue() == "validated\n"


def test_lines_tell_step_share_rate_and_figures() -> None:
    stream = io.StringIO()
    progress = LineProgress(Console(file=stream, width=200), interval_s=0.0)
    progress.start(0.0)
    progress.update(7, 0.25, 12.34, "loss 0.5")
    assert stream.getvalue().split() == ["step", "7", "25.0%", "12.3", "images/s", "loss", "0.5"]


def test_a_terminal_gets_a_bar_with_rate_and_arrival() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=200)
    progress = show_progress(console)
    assert isinstance(progress, BarProgress)
    progress.start(0.1)
    progress.update(30, 0.6, 99.0, "loss 0.5")
    progress.tell("validated")
    progress.stop()
    shown = stream.getvalue()
    assert "step 30" in shown and "99.0 images/s" in shown and "60.0 %" in shown
    assert "validated" in shown


def test_nothing_is_shown_elsewhere() -> None:
    progress = NoProgress()
    progress.start(0.0)
    progress.update(1, 0.5, 1.0, "")
    progress.tell("x")
    progress.stop()
