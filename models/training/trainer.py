"""The training loop. It knows optimisers, averages and checkpoints, and nothing of any family."""

import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from models.training.budget import Budget, StopSignals
from models.training.checkpoint import write_checkpoint
from models.training.journal import Journal, NoJournal
from models.training.loading import Passes, load_steps, to_device
from models.training.optimizers import build_optimizer, set_learning_rate
from models.training.plain import RecipeError
from models.training.progress import NoProgress, RunProgress, format_figures
from models.training.recipe import TrainingSpec
from models.training.sampling import mix_seed
from models.training.schedules import schedule_factor
from models.training.state import load_state, restore_optimizer, save_state
from models.training.task import Batch, Place, Share, Task
from models.training.transfer import freeze, keep_frozen_in_eval, learning_rate_multipliers
from models.training.weight_average import WeightAverage

BEST, LAST = "best", "last"


class TrainingDiverged(RuntimeError):
    """The loss is no longer finite."""


@dataclass(frozen=True)
class RunSummary:
    """How a run ended. `finished` is false when a signal stopped it and `resume` would go on."""

    step: int
    finished: bool
    elapsed_s: float
    metrics: Mapping[str, float]
    best: float | None


class Trainer:
    """One run of one task into one folder.

    The folder gets `state.safetensors` (to resume from) and the checkpoints `last` and `best`,
    whose weights are the moving average where the spec asks for one. `document` goes into their
    `spec.json` beside what the task says.
    """

    def __init__(
        self,
        task: Task,
        spec: TrainingSpec,
        folder: Path,
        *,
        document: Mapping[str, Any],
        budget: Budget | None = None,
        progress: RunProgress | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.task = task
        self.spec = spec
        self.folder = folder
        self.document = document
        self.budget = budget or Budget(spec.total_steps(len(task.data)))
        # Without an accelerator the processes talk over gloo, which accelerate takes only if told.
        self._accelerator = Accelerator(
            mixed_precision="no" if spec.precision == "fp32" else spec.precision,
            cpu=not torch.accelerator.is_available(),
        )
        shares = self._accelerator.num_processes * spec.accumulate
        if spec.batch_size % shares:
            raise RecipeError(f"batch_size {spec.batch_size} does not divide into {shares} shares")
        first = self._accelerator.is_main_process
        self._progress: RunProgress = progress if progress and first else NoProgress()
        self._journal: Journal = journal if journal and first else NoJournal()
        self._prepare()
        self._step = 0
        self._best: float | None = None
        self._metrics: dict[str, float] = {}
        self._validated_at = -1

    def run(self, *, resume: bool = False) -> RunSummary:
        """Train until the budget is spent or a signal comes."""
        spent_s = self._restore() if resume else 0.0
        self.budget.start(spent_s)
        self._progress.start(self.budget.progress(self._step))
        try:
            with StopSignals() as signals:
                finished = self._loop(signals)
            if finished and self._validated_at != self._step:
                self._validate()
            self._save()
        finally:
            self._progress.stop()
            self._journal.close()
        return RunSummary(self._step, finished, self.budget.elapsed_s, self._metrics, self._best)

    def _prepare(self) -> None:
        spec, network = self.spec, self.task.network
        network.to(self._accelerator.device)
        if spec.channels_last:
            network.to(memory_format=torch.channels_last)
        freeze(network, spec.transfer)
        multipliers = learning_rate_multipliers(network, spec.transfer)
        optimizer = build_optimizer(spec.optimizer, network, multipliers)
        self._average = WeightAverage(network, spec.ema_decay) if spec.ema_decay else None
        self._network, self._optimizer = self._accelerator.prepare(network, optimizer)

    def _loop(self, signals: StopSignals) -> bool:
        """Whether the run came to its end, rather than being stopped."""
        window = _Window()
        for batches in self._batches():
            fraction, stopped = self._agree(self.budget.progress(self._step), signals)
            if fraction >= 1:
                return True
            if stopped:
                self._progress.tell(f"stopped at step {self._step}; resume to go on")
                return False
            window.add(self._train_step(batches, fraction), self.spec.batch_size)
            if self._is_due(self.spec.log_every):
                self._log(window, fraction)
                window = _Window()
            if self._is_due(self.spec.validate_every):
                self._validate()
            if self._is_due(self.spec.save_every):
                self._save()
        return True

    def _train_step(self, batches: list[Batch], fraction: float) -> dict[str, Tensor]:
        spec, optimizer = self.spec, self._optimizer
        torch.manual_seed(mix_seed(spec.seed, self._step, self._accelerator.process_index))
        lr = spec.optimizer.lr * schedule_factor(spec.schedule, fraction)
        set_learning_rate(optimizer, lr)
        self._network.train()
        keep_frozen_in_eval(self._network)
        figures: dict[str, Tensor] = {}
        for index, batch in enumerate(batches):
            is_last = index == len(batches) - 1
            waiting = nullcontext() if is_last else self._accelerator.no_sync(self._network)
            with waiting:
                losses = self.task.loss(self._network, to_device(batch, self._accelerator.device))
                self._accelerator.backward(losses["loss"] / len(batches))
            for name, value in losses.items():
                figures[name] = figures.get(name, 0) + value.detach() / len(batches)
        if spec.clip_norm:
            norm = self._accelerator.clip_grad_norm_(self._network.parameters(), spec.clip_norm)
            figures["gradient_norm"] = torch.as_tensor(norm).detach()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if self._average is not None:
            self._average.update(self.task.network)
        self._step += 1
        return figures

    def _batches(self) -> Iterator[list[Batch]]:
        """For each step from this one on, the passes that this process makes."""
        return load_steps(
            Passes(self.task.data, self._share, self.spec.accumulate),
            range(self._step, self.budget.steps),
            workers=self.spec.workers,
            pinned=self._accelerator.device.type == "cuda",
        )

    @property
    def _share(self) -> Share:
        return Share(self._accelerator.process_index, self._accelerator.num_processes)

    def _agree(self, fraction: float, signals: StopSignals) -> tuple[float, bool]:
        """The furthest progress of any process, and whether any was told to stop."""
        stopped = signals.received is not None
        if self._accelerator.num_processes == 1:
            return fraction, stopped
        mine = torch.tensor([[fraction, float(stopped)]], device=self._accelerator.device)
        everyone = self._accelerator.gather(mine)  # [P, 2]
        return float(everyone[:, 0].max()), bool(everyone[:, 1].any())

    def _is_due(self, every: int) -> bool:
        return every > 0 and self._step % every == 0

    def _log(self, window: "_Window", fraction: float) -> None:
        figures = window.means()
        if not torch.isfinite(torch.tensor(figures["loss"])):
            raise TrainingDiverged(
                f"the loss is {figures['loss']} at step {self._step}: lower the learning rate, "
                "or clip the gradients"
            )
        figures["lr"] = self._optimizer.param_groups[0]["lr"]
        rate = window.samples_per_s()
        self._journal.write(self._step, "train", figures | {"images_per_s": rate})
        self._progress.update(self._step, fraction, rate, format_figures(figures))

    @property
    def _evaluated(self) -> nn.Module:
        return self.task.network if self._average is None else self._average.network

    def _validate(self) -> None:
        accelerator = self._accelerator
        place = Place(
            accelerator.device,
            self._share,
            lambda tensor: accelerator.reduce(tensor, "sum"),
        )
        self._evaluated.eval()
        with torch.inference_mode(), accelerator.autocast():
            self._metrics = self.task.evaluate(self._evaluated, place)
        self._validated_at = self._step
        self._journal.write(self._step, "val", self._metrics)
        self._progress.tell(f"step {self._step}: {format_figures(self._metrics)}")
        value = self._metrics[self.task.goal.metric]
        improved = self.task.goal.reaches(value, self._best)
        self._best = value if improved else self._best
        if accelerator.is_main_process:
            for name in (LAST, BEST) if improved else (LAST,):
                self._write_checkpoint(self.folder / name)
        accelerator.wait_for_everyone()

    def _write_checkpoint(self, folder: Path) -> None:
        state = self._evaluated.state_dict()
        weights = {name: tensor for name, tensor in state.items() if self.task.is_kept(name)}
        measured = {"metrics": self._metrics, "step": self._step}
        write_checkpoint(folder, weights, {**self.task.checkpoint(), **measured, **self.document})

    def _save(self) -> None:
        if not self._accelerator.is_main_process:
            return
        average, scaler = self._average, self._accelerator.scaler
        state = {
            "step": self._step,
            "elapsed_s": self.budget.elapsed_s,
            "best": self._best,
            "metrics": self._metrics,
            "recipe": self.document.get("recipe"),
            "network": dict(self.task.network.state_dict()),
            "optimizer": self._optimizer.state_dict(),
            "average": dict(average.network.state_dict()) if average else None,
            "average_updates": average.updates if average else 0,
            "scaler": scaler.state_dict() if scaler else None,
        }
        save_state(self.folder, state)

    def _restore(self) -> float:
        """Take the saved state; the seconds that the run had taken by then."""
        state = load_state(self.folder)
        if state["recipe"] != self.document.get("recipe"):
            raise RecipeError(f"{self.folder} was trained by another recipe; resume with the same")
        self.task.network.load_state_dict(state["network"])
        restore_optimizer(self._optimizer.optimizer, state["optimizer"])
        if self._average is not None:
            self._average.network.load_state_dict(state["average"])
            self._average.updates = state["average_updates"]
        if self._accelerator.scaler and state["scaler"]:
            self._accelerator.scaler.load_state_dict(state["scaler"])
        self._step, self._best = state["step"], state["best"]
        self._metrics = state["metrics"]
        elapsed_s: float = state["elapsed_s"]
        return elapsed_s


class _Window:
    """Losses since the last log line, summed on the device so that nobody waits for it."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._samples = 0
        self._started_s = time.monotonic()

    def add(self, figures: Mapping[str, Tensor], samples: int) -> None:
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, 0) + value
        self._steps += 1
        self._samples += samples

    def means(self) -> dict[str, float]:
        return {name: float(total) / self._steps for name, total in self._sums.items()}

    def samples_per_s(self) -> float:
        return self._samples / max(time.monotonic() - self._started_s, 1e-9)
