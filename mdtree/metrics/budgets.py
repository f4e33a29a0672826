"""Budgets: what a protocol spends on a metric, passed in so that tests can pass a smaller one."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = [
    "ConnectivityBudget",
    "HessianBudget",
    "PaperConnectivity",
    "PaperHessian",
    "StandardConnectivity",
    "StandardHessian",
    "SurfaceBudget",
]


@dataclass(frozen=True, kw_only=True)
class StandardConnectivity:
    """What standard-1 spends on a pair."""

    steps: int = 600
    learning_rate: float = 0.1
    batch_size: int = 128
    items: int = 1024  # of the training set: errors along the path
    statistics: int = 512  # of them: BatchNorm
    check_items: int = 256
    check_every: int = 75  # with this patience, no curve stops before half of its steps
    patience: int = 3
    refined: int = 2  # times two points


@dataclass(frozen=True, kw_only=True)
class PaperConnectivity:
    """What paper-1 spends on a pair."""

    epochs: int = 50
    batch_size: int = 128

    def steps(self, full_items: int) -> int:
        """Count the steps of the epochs over the whole training set."""
        return self.epochs * max(full_items // self.batch_size, 1)


@dataclass(frozen=True, kw_only=True)
class ConnectivityBudget:
    """The budgets of all protocols."""

    standard: StandardConnectivity = StandardConnectivity()
    paper: PaperConnectivity = PaperConnectivity()


@dataclass(frozen=True, kw_only=True)
class StandardHessian:
    """What standard-1 spends on a member, at most."""

    items: int = 1024
    steps: int = 60  # of Lanczos, at most
    least_steps: int = 8
    tolerance: float = 0.01  # of the largest eigenvalue
    stderr: float = 0.05  # of the trace
    least_probes: int = 8
    probes: int = 96  # at most
    batch_size: int = 256  # items whose graph is alive at a time
    part: int = 32  # items whose curvature is compared for the standard error of the eigenvalue


@dataclass(frozen=True, kw_only=True)
class PaperHessian:
    """What paper-1 spends on a member, at most."""

    items: int = 200
    iterations: int = 100  # of the power iteration, and probes


@dataclass(frozen=True, kw_only=True)
class HessianBudget:
    """The budgets of all protocols."""

    standard: StandardHessian = StandardHessian()
    paper: PaperHessian = PaperHessian()

    def times(self, limit: int) -> HessianBudget:
        """Let methods take more steps and probes before they stop; tolerances stay."""
        standard, paper = self.standard, self.paper
        return HessianBudget(
            standard=replace(
                standard, steps=limit * standard.steps, probes=limit * standard.probes
            ),
            paper=replace(paper, iterations=limit * paper.iterations),
        )


@dataclass(frozen=True, kw_only=True)
class SurfaceBudget:
    """What both protocols spend on a group."""

    side: int = 15  # points along a side of the grid
    margin: float = 1 / 3  # around the members, as a share of their extent
    items: int = 512  # of the training set
    statistics: int = 256  # of them: BatchNorm
    curve: ConnectivityBudget | None = ConnectivityBudget()  # of the curve; None: there is none
