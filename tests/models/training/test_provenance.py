import datetime as dt
import re

import torch

from models.training.provenance import describe_run


def test_a_run_says_where_it_comes_from() -> None:
    told = describe_run(data="points", seed=3)
    assert told["data"] == "points" and told["seed"] == 3 and told["command"]
    assert re.fullmatch(r"([0-9a-f]{40}\+?)?", told["commit"])
    assert dt.datetime.fromisoformat(told["created"]).tzinfo is not None
    assert torch.__version__.startswith(told["versions"]["torch"])
