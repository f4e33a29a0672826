"""Executors: plain tasks, run here, in processes or on Ray; results as they finish."""

from mdtree.executors.config import HERE, Crew
from mdtree.executors.dispatch import run
from mdtree.executors.pool import Done, News, Team
from mdtree.executors.scheduler import Foreman

__all__ = ["HERE", "Crew", "Done", "Foreman", "News", "Team", "run"]
