"""The bar that tells how far a rendering is, how fast it goes and when it will be done."""

from types import TracebackType

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class RenderProgress:
    """A progress bar over scenes, or nothing at all when it is not to be shown."""

    def __init__(self, scenes: int, *, shown: bool) -> None:
        self._bar = Progress(
            TextColumn("[bold]rendering"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            disable=not shown,
        )
        self._task = self._bar.add_task("scenes", total=scenes)

    def __enter__(self) -> "RenderProgress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def advance(self, scenes: int) -> None:
        self._bar.advance(self._task, scenes)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} scenes/s", style="cyan")
