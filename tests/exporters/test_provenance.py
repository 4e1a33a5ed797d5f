import sys

import pytest

from exporters.provenance import describe_export, git_commit, without_folders


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("panoptes train classifier tiny", "panoptes train classifier tiny"),
        ("panoptes export /data/runs/x/best --name x", "panoptes export best --name x"),
        ("panoptes export --out=/data/x --n=1", "panoptes export --out=x --n=1"),
        ("run 'two words' runs/x", "run 'two words' runs/x"),
        ("", ""),
    ],
)
def test_folders_of_this_machine_are_not_told(typed: str, told: str):
    assert without_folders(typed) == told


def test_the_commands_are_told_from_first_to_last(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/panoptes", "export", "classifier", "/x/best"])
    known = {"command": "panoptes train classifier tiny", "seed": 1}
    origin = describe_export({"provenance": known})
    assert origin.command == "panoptes train classifier tiny && panoptes export classifier best"
    assert origin.created.tzinfo is not None
    assert origin.commit == git_commit()
