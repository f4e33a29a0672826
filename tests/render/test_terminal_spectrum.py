"""The text of a report on weights: names in files are those of strangers."""

from __future__ import annotations

import csv

import torch

from mdtree import weights
from mdtree.render.terminal_spectrum import report_text
from mdtree.rows import write_lines
from mdtree.spectra import Ranking, WeightsReport

EVIL = "\x1b[31mred\nlie"


def network(scale=1.0):
    torch.manual_seed(0)
    tensors = {f"{EVIL}.{n}.weight": torch.randn(24, 16) for n in range(12)}
    tensors[f"{EVIL}.3.weight"] *= 1e-6 * scale
    return {
        **tensors,
        f"{EVIL}.small.weight": torch.ones(3, 3),
        f"{EVIL}.bias": torch.ones(3),
    }


def is_safe(text):
    return "\x1b" not in text and not any(line.startswith("lie") for line in text.splitlines())


def test_names_of_layers_cannot_steer_the_terminal_or_begin_a_line():
    report = weights(network())
    text = report_text(report, everything=True)
    for part in ("Correlation Flow", "possible scale collapse", "not analysed", "no alpha"):
        assert part in text
    flow = [line for line in text.splitlines() if "·" in line]
    assert flow[0].startswith(r"  \x1b[31mred\nlie.0.weight  ")
    assert is_safe(text)


def test_names_that_are_compared_or_ranked_or_not_read_are_escaped_too():
    assert is_safe(report_text(weights(network(), against=network(2.0)), everything=True))
    ranking = Ranking(number="alpha", family=EVIL, models=3, tau=1.0, p_value=0.1, r2=1.0, rmse=0.0)
    assert is_safe(report_text(WeightsReport(rankings=(ranking,))))
    analysis = weights(network()).analysis
    report = WeightsReport(checkpoints={EVIL: analysis}, failures={EVIL: EVIL}, notes=(EVIL,))
    assert is_safe(report_text(report))


def test_a_table_spells_control_characters_out_and_runs_no_formula(tmp_path):
    out = tmp_path / "layers.csv"
    write_lines([{"layer": EVIL, "alpha": 2.5}, {"layer": "\t=1+1", "alpha": None}], out)
    assert list(csv.reader(out.open(newline=""))) == [
        ["layer", "alpha"],
        [r"\x1b[31mred\nlie", "2.5"],
        [r"\t=1+1", ""],
    ]
