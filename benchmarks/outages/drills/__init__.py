"""The drills, in the order in which they are played."""

from __future__ import annotations

from benchmarks.outages.drills import brownout, herd, outage, storm
from benchmarks.outages.setting import Drill

DRILLS: tuple[Drill, ...] = (outage.DRILL, brownout.DRILL, storm.DRILL, herd.DRILL)
