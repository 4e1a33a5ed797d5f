from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from models.training.journal import NoJournal, TensorBoardJournal


def test_curves_are_read_back_from_the_event_file(tmp_path: Path) -> None:
    journal = TensorBoardJournal(tmp_path)
    journal.write(1, "train", {"loss": 2.0})
    journal.write(2, "train", {"loss": 1.0, "lr": 0.5})
    journal.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("train/loss")] == [(1, 2.0), (2, 1.0)]
    assert events.Scalars("train/lr")[0].value == 0.5


def test_no_journal_takes_everything() -> None:
    journal = NoJournal()
    journal.write(1, "train", {"loss": 2.0})
    journal.close()
