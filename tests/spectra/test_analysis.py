from __future__ import annotations

import dataclasses
import statistics
import threading

import numpy as np
import pytest
import torch
from torch import nn

from mdtree.checkpoints import in_memory_tensors
from mdtree.models import cnn
from mdtree.spectra import (
    AVERAGED,
    Analysis,
    Figures,
    Layer,
    Rules,
    State,
    analyse_all,
    changes,
    flow_of,
    hints,
)
from mdtree.spectra import analysis as analysis_module


def layer(name="x", *, kind="linear", state=State.USUAL, sizes=(64, 64), trap=False, **figures):
    return Layer(
        name=name, kind=kind, sizes=sizes, slices=1, figures=Figures(**figures), state=state,
        trap=trap,
    )  # fmt: skip


def analysed(module, **kwargs):
    return analyse_all(in_memory_tensors(module.state_dict()), Rules(), **kwargs)


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(40, 16)
        self.first, self.last = nn.Linear(16, 32), nn.Linear(32, 16)


def test_means_and_medians_are_over_layers_and_embeddings_are_left_out():
    analysis = analysed(Words())
    assert [x.name for x in analysis.averaged] == ["first.weight", "last.weight"]
    for name in AVERAGED:
        values = [getattr(x.figures, name) for x in analysis.layers[1:]]
        assert analysis.mean(name) == statistics.fmean(values)
        assert analysis.median(name) == statistics.median(values)
    with_them = analysed(Words(), embeddings=True)
    assert len(with_them.averaged) == 3
    assert with_them.mean("stable_rank") != analysis.mean("stable_rank")


def test_layers_stand_in_the_order_of_the_file_whatever_the_number_of_threads():
    module = cnn(width=8)
    one, three = analysed(module, threads=1), analysed(module, threads=3)
    assert one == three
    names = [name for name, tensor in cnn(width=8).state_dict().items() if tensor.dim() > 1]
    assert [x.name for x in one.layers] == names


def test_the_threads_of_the_caller_are_as_they_were(monkeypatch):
    seen = set()
    original = analysis_module.analyse

    def watched(*args, **kwargs):
        seen.add((threading.get_ident(), torch.get_num_threads()))
        return original(*args, **kwargs)

    monkeypatch.setattr(analysis_module, "analyse", watched)
    before = torch.get_num_threads()
    analysed(cnn(width=8), threads=2)
    assert {threads for _, threads in seen} == {1}
    assert torch.get_num_threads() == before


def test_a_layer_that_is_not_finite_is_one_row_and_not_the_end():
    module = Words()
    with torch.no_grad():
        module.first.weight[0, 0] = torch.nan
    analysis = analysed(module)
    assert analysis.layers[1].state is State.NONE
    assert analysis.layers[1].reason == "1 of 512 numbers are not finite"
    assert analysis.mean("alpha") == analysis.layers[2].figures.alpha


def test_shares_count_layers_and_a_trap_counts_in_every_state():
    layers = (
        layer(state=State.RANDOM),
        layer(state=State.TRAP, trap=True),
        layer(state=State.USUAL, trap=True),
        layer(state=State.RANDOM, kind="embedding"),
    )
    analysis = Analysis(layers=layers, skipped=(), rules=Rules())
    assert (analysis.random_like, analysis.traps) == (1 / 3, 2 / 3)
    with_them = dataclasses.replace(analysis, embeddings=True)
    assert (with_them.random_like, with_them.traps) == (0.5, 0.5)


def test_nothing_at_all_has_no_means():
    analysis = analyse_all(in_memory_tensors({"bias": torch.ones(3)}), Rules())
    assert (analysis.layers, analysis.mean("alpha")) == ((), None)
    assert (analysis.random_like, analysis.traps) == (None, None)
    assert len(analysis.skipped) == 1


def flow(alphas):
    return flow_of(tuple(layer(alpha=alpha) for alpha in alphas))


def test_the_slope_of_a_straight_line_is_that_line_s():
    drift = flow(np.linspace(2, 5, 9))
    assert drift.slope == pytest.approx(3)
    assert (drift.low, drift.high) == pytest.approx((3, 3))
    assert drift.shape == "rises with depth"
    assert drift.spread == pytest.approx(1.5)
    assert drift.above == 0
    assert flow(np.linspace(5, 2, 9)).shape == "falls with depth"


def test_one_outlying_layer_changes_no_slope():
    alphas = [3.0, 3.1, 2.9, 3.0, 25.0, 3.1, 2.9, 3.0, 3.0]
    drift = flow(alphas)
    assert abs(drift.slope) < 0.3
    assert drift.shape == "no drift"
    assert drift.above == pytest.approx(1 / 9)


def test_layers_without_an_alpha_are_passed_over_and_three_are_too_few():
    assert flow([2.0, None, 3.0, None, 4.0]) is None
    assert flow([2.0, None, 3.0, 4.0, 5.0]).layers == 4


def pair(count=8, **shifts):
    """Two checkpoints of layers of many sizes, all grown by 0.3 but for the shifted."""
    before, after = [], []
    for number in range(count):
        norm, top = 1 + 0.2 * number, 0.5 + 0.1 * number
        shift = shifts.get(f"x{number}", 0.3)
        before.append(layer(f"x{number}", log_norm=norm, log_spectral_norm=top, alpha=3.0))
        after.append(
            layer(f"x{number}", log_norm=norm + shift, log_spectral_norm=top + shift, alpha=3.25)
        )
    return before, after


def test_layers_that_all_change_alike_have_not_collapsed():
    compared = changes(*pair())
    assert not any(change.collapsed for change in compared)
    assert [change.log_norm for change in compared] == pytest.approx([0.3] * 8)
    assert {change.alpha for change in compared} == {0.25}


@pytest.mark.parametrize("shift", [-1.0, 2.0])
def test_the_layer_that_changes_unlike_the_others_is_told(shift):
    compared = changes(*pair(x3=shift))
    assert [change.name for change in compared if change.collapsed] == ["x3"]
    assert compared[3].z_norm == pytest.approx((shift - 0.3) / 0.05)


def test_layers_that_did_not_change_are_not_compared_with_those_of_an_adapter():
    unchanged = {f"x{number}": 0.0 for number in range(5)}
    compared = changes(*pair(10, **unchanged))
    assert not any(change.collapsed for change in compared)
    assert {change.z_norm for change in compared[:5]} == {0.0}
    compared = changes(*pair(10, **unchanged, x7=-1.0))
    assert [change.name for change in compared if change.collapsed] == ["x7"]
    assert compared[7].z_norm == pytest.approx((-1.0 - 0.3) / 0.05)


def test_the_only_layer_that_changed_is_compared_with_those_that_did_not():
    shifts = {f"x{number}": 0.0 for number in range(1, 8)}
    compared = changes(*pair(**shifts, x0=-0.5))
    assert [change.name for change in compared if change.collapsed] == ["x0"]
    assert compared[0].z_norm == pytest.approx(-0.5 / 0.05)


def test_a_layer_whose_norms_and_alpha_are_as_before_did_not_change():
    before, after = pair(2)
    (same, *_), (grown, *_) = changes(before, before), changes(before, after)
    assert (same.changed, grown.changed) == (False, True)


def test_only_layers_of_one_name_and_size_are_compared():
    before, after = pair(3)
    after[1] = layer("x1", sizes=(2, 3), log_norm=1.0, log_spectral_norm=1.0)
    after[2] = layer("x2", state=State.NONE)
    assert [change.name for change in changes(before, after)] == ["x0"]
    assert changes(before, []) == ()
    assert changes([layer("x0", log_norm=1.0, log_spectral_norm=1.0)], after)[0].alpha is None


def test_a_hint_needs_others_of_the_kind_and_a_layer_far_below_them():
    tops = [1.0, 1.1, 0.9, 1.0, -2.0]
    made = [layer(f"x{n}", log_norm=1.0, log_spectral_norm=top) for n, top in enumerate(tops)]
    assert [hint.name for hint in hints(made)] == ["x4"]
    assert hints(made[1:4]) == ()
    others = [layer(f"y{n}", kind="conv2d", log_norm=1.0, log_spectral_norm=-2.0) for n in range(5)]
    assert [hint.name for hint in hints([*made, *others])] == ["x4"]
