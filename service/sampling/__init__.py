"""Noise schedules, and samplers as tables of numbers: all that a painter's steps need beside it.

It is numpy alone, so that the server and training share it.
"""

from service.sampling.plan import SAMPLERS, Plan, plan
from service.sampling.schedule import SCHEDULES, NoiseSchedule, schedule_of

__all__ = ["SAMPLERS", "SCHEDULES", "NoiseSchedule", "Plan", "plan", "schedule_of"]
