"""What a person sees of a run: a bar on a terminal, a line now and then in a log."""

import time
from collections.abc import Mapping
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class RunProgress(Protocol):
    """Shows how far a run is, in fractions of the whole."""

    def start(self, fraction: float) -> None: ...

    def update(self, step: int, fraction: float, rate: float, text: str) -> None: ...

    def tell(self, text: str) -> None: ...

    def stop(self) -> None: ...


class NoProgress:
    """For processes other than the first, and for tests."""

    def start(self, fraction: float) -> None:
        pass

    def update(self, step: int, fraction: float, rate: float, text: str) -> None:
        pass

    def tell(self, text: str) -> None:
        pass

    def stop(self) -> None:
        pass


class BarProgress:
    """A bar with rate and estimated time of arrival."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("step {task.fields[step]}"),
            BarColumn(),
            TextColumn("{task.percentage:>5.1f} %"),
            TextColumn("[cyan]{task.fields[rate]:.1f} images/s"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
            console=console,
        )
        self._task = self._bar.add_task("train", total=1.0, step=0, rate=0.0, text="")

    def start(self, fraction: float) -> None:
        self._bar.update(self._task, completed=fraction)
        self._bar.start()

    def update(self, step: int, fraction: float, rate: float, text: str) -> None:
        self._bar.update(self._task, completed=fraction, step=step, rate=rate, text=text)

    def tell(self, text: str) -> None:
        self._bar.console.print(text, highlight=False)

    def stop(self) -> None:
        self._bar.stop()


class LineProgress:
    """Plain lines, at most one every `interval_s` beside what must be told."""

    def __init__(self, console: Console, interval_s: float = 20.0) -> None:
        self._console = console
        self._interval_s = interval_s
        self._last_s = -interval_s

    def start(self, fraction: float) -> None:
        self._last_s = time.monotonic()

    def update(self, step: int, fraction: float, rate: float, text: str) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s >= self._interval_s:
            self._last_s = now_s
            self.tell(f"step {step}  {fraction:6.1%}  {rate:.1f} images/s  {text}")

    def tell(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def stop(self) -> None:
        pass


def show_progress(console: Console) -> RunProgress:
    """A bar where there is a terminal to draw it on."""
    return BarProgress(console) if console.is_terminal else LineProgress(console)


def format_figures(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
