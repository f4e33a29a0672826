"""The size of the page: evidence folds into pages beside it where many groups would make it large.

The worst case has all that mdtree measures of each group, and the trajectories of runs.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import replace
from itertools import pairwise, product

import pytest

from mdtree.diagnosis import NextStep, headline
from mdtree.exceptions import OutputError
from mdtree.render.page import LARGEST, Beside, report_page, report_pages
from mdtree.render.page_file import write_page
from mdtree.rows import Detail, Measured
from tests.support.pages import folded_from
from tests.support.reports import (
    HOSTILE,
    detail,
    diagnoser,
    grid,
    judged,
    parsed,
    tree,
    whole_row,
)
from tests.support.steps import step_row

TREES = {"ours": tree()}
GROUPS = 200
STEPS = 10  # of each of 20 runs
FEW = 12  # groups that fold where pages do so from SMALL bytes on, while two of them do not
SMALL = 150_000
BESIDE = Beside(page="../report.html", folder="report-details")
KEPT_OUT = ("Landscape and weights", "Measurements", "Checks")


def surface(count):
    places = [(4 * n / (count - 1)) - 2 for n in range(count)]
    return detail(
        "x",
        "y",
        "train_loss",
        "train_error",
        lines=[
            (x, y, 0.1 + x**2 + math.sin(3 * y) ** 2, 40 * abs(math.sin(x * y)))
            for x, y in product(places, repeat=2)
        ],
    )


MEMBERS = tuple(f"seed-{seed}" for seed in range(5))


@functools.cache
def evidence():
    """Give details that are as long as mdtree makes them, or longer."""
    way = [(t / 60, 5 + math.sin(t), 0.3 + math.cos(t) / 9) for t in range(61)]
    pairs = [f"{a} - {b}" for a, b in pairwise(MEMBERS)]
    path = detail(
        "pair", "t", "train_error", "train_loss", lines=[(p, *x) for p in pairs for x in way]
    )
    nodes = [(m, n**2 / 40 - 1, 1 / (n + 1)) for m in MEMBERS for n in range(60)]
    layers = [f"stage.{n}.conv" for n in range(40)]
    history = Detail(
        columns={
            "run": (0.0,) * 300,
            "epoch": tuple(n * STEPS / 300 for n in range(300)),
            "test_accuracy": tuple(50 + 20 * math.sin(n) for n in range(300)),
            "train_loss": tuple(1 + math.cos(n) for n in range(300)),
        }
    )
    return {
        "curve": path,
        "line": path,
        "surface": surface(25),
        "hessian_density": detail("member", "eigenvalue", "weight", lines=nodes),
        "layers": detail(
            "row", "column", "cka", lines=[(a, b, 0.5) for a in layers for b in layers]
        ),
        "history": history,
    }


def heaviest_row(number):
    """Give a step of a run with every detail."""
    run, epoch = divmod(number, STEPS)
    row = whole_row(members=MEMBERS)
    step = step_row(f"run {run}", f"epoch-{epoch}", 30.0 - epoch, stderr=1.0, epoch=epoch)
    numbers = ("alpha", "alpha_hat", "log_norm", "stable_rank", "random_like")
    known = {name: Measured(value=1.0 + epoch, stderr=0.3) for name in numbers}
    return replace(
        row,
        group=step.group,
        details={**row.details, **step.details, **evidence()},
        quantities={**row.quantities, **known, **step.quantities},
    )


@pytest.fixture(scope="module")
def worst():
    rows = [heaviest_row(number) for number in range(GROUPS)]
    verdict = judged(rows[0])
    return [replace(verdict, group=row.group) for row in rows], rows


@pytest.fixture(scope="module")
def folded(worst):
    page, beside = report_pages(*worst, TREES, beside=BESIDE)
    return page, [next(beside) for _ in range(3)]


def test_the_worst_case_is_below_two_megabytes(worst, folded):
    page, _ = folded
    assert len(page.encode()) < LARGEST == 2_000_000
    read = parsed(page)
    assert len(read.find("article")) == GROUPS
    assert len(read.find("section", class_="training")) == 20
    sentences = [article.one("p", class_="headline").text for article in read.find("article")]
    assert sentences == [headline(verdict) for verdict in worst[0]]
    assert len(read.find(role="status", aria_label="verdict")) == GROUPS
    assert not [title for title in KEPT_OUT if title in read.text]


def test_each_group_and_each_run_leads_to_the_page_that_holds_its_evidence(worst):
    """Of many runs, of which only the first 10 groups are shown."""
    page, others = report_pages(*worst, TREES, most=10, beside=BESIDE)
    beside = dict(others)
    links = [link["href"] for link in parsed(page).find("a")]
    away = [link for link in links if not link.startswith("#")]
    assert len(beside) == 10 + 20
    assert sorted(away) == sorted(f"report-details/{name}" for name in beside)
    run = parsed(beside["training-2.html"])
    assert run.one("section", class_="training").one("h2").text.startswith("Trajectory of run 1:")
    assert run.find("article") == []
    assert run.one("header").find("a")[0]["href"] == "../report.html"


def test_the_pictures_of_two_runs_stay_where_the_groups_are_folded(worst):
    verdicts, rows = (part[:5] + part[STEPS : STEPS + 5] for part in worst)
    page, others = report_pages(verdicts, rows, TREES, beside=BESIDE)
    assert [name for name, _ in others] == [f"group-{n}.html" for n in range(1, 11)]
    runs = parsed(page).find("section", class_="training")
    assert [len(run.find("svg", class_="plot")) > 2 for run in runs] == [True, True]


def test_a_page_beside_holds_all_of_its_group_and_leads_back(worst, folded):
    _, beside = folded
    for number, (name, text) in enumerate(beside, start=1):
        assert name == f"group-{number}.html"
        page = parsed(text)
        (article,) = page.find("article")
        assert article.one("h2").text == worst[1][number - 1].group
        assert [title for title in KEPT_OUT if title not in article.text] == []
        assert "Checked and fine:" in article.text
        back = page.one("header").find("a")[0]
        assert (back["href"], back.text) == (f"../report.html#group-{number}", "All groups")
        assert page.find("section", class_="training") == []
        assert len(text.encode()) < LARGEST
    links = [link["href"] for link in page.find("a")]
    ids = {element["id"] for element in page.find() if "id" in element.attributes}
    assert {link[1:] for link in links if link.startswith("#")} <= ids


def test_in_one_piece_the_page_says_that_evidence_is_left_out(worst):
    page = report_page(*worst, TREES)
    assert len(page.encode()) < LARGEST
    assert page.count("are left out, so that the page stays small") >= GROUPS
    assert all(link["href"].startswith("#") for link in parsed(page).find("a"))


def test_few_groups_are_one_file_with_all_of_their_evidence(worst):
    verdicts, rows = (part[:3] for part in worst)
    page, beside = report_pages(verdicts, rows, TREES, beside=BESIDE)
    assert list(beside) == []
    assert len(page.encode()) < LARGEST
    assert page.count("<h3>Landscape and weights</h3>") == 3


def test_two_hundred_groups_of_a_table_are_one_file(tmp_path):
    """What rows without details need fits."""
    rows = [replace(grid()[0], group=f"group {number}", details={}) for number in range(100)]
    verdicts = [replace(judged(grid()[0]), group=row.group) for row in rows]
    page, beside = report_pages(verdicts, rows, TREES, beside=BESIDE)
    assert len(page.encode()) < LARGEST
    assert list(beside) == []
    assert page.count("The others are fine or were not checked") == 100


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text_on_a_folded_page_and_beside_it(name):
    rows = [replace(whole_row(f"{name}{n}", (name, "b")), facts={name: name}) for n in range(FEW)]
    verdicts = [
        replace(
            judged(grid()[0]),
            group=row.group,
            mode="unsure",
            likely=name,
            next_step=NextStep(kind="keep", says=name),
        )
        for row in rows
    ]
    with folded_from(SMALL):
        page, beside = report_pages(verdicts, rows, TREES, beside=BESIDE)
    first = next(beside)
    assert first[0] == "group-1.html"
    for text in (page, first[1]):
        read = parsed(text)
        assert not {element.tag for element in read.find()} & {"script", "img", "iframe"}
        for element in read.find():
            assert not [key for key in element.attributes if key.startswith("on") or key == "style"]
            link = element.attributes.get("href", "#")
            assert re.fullmatch(
                r"#[\w-]*|data:,|report-details/.*\.html|\.\./report\.html#.*", link
            )


@pytest.fixture(scope="module")
def pictured():
    """Judge groups with pictures."""
    rows = [whole_row(f"group {number}") for number in range(FEW)]
    return [replace(judged(grid()[0]), group=row.group) for row in rows], rows


def writer(folder, verdicts, rows):
    def write(name="report.html", count=FEW):
        path = folder / name
        with folded_from(SMALL):
            write_page(path, verdicts[:count], rows[:count], diagnoser())
        return path

    return write


@pytest.fixture(scope="module")
def kept_pages(pictured):
    """Make each page of them once: what is written where is no matter of what is on it."""

    @functools.cache
    def pages(count, beside):
        shown = [part[:count] for part in pictured]
        page, others = report_pages(*shown, {diagnoser().name: diagnoser().saved}, beside=beside)
        return page, tuple(others)

    return lambda verdicts, _rows, _trees, *, beside: pages(len(verdicts), beside)


@pytest.fixture
def write(tmp_path, pictured, kept_pages, monkeypatch):
    """Write a page of groups with pictures."""
    monkeypatch.setattr("mdtree.render.page.report_pages", kept_pages)
    return writer(tmp_path, *pictured)


def test_the_files_beside_a_page_lie_in_a_folder_of_its_name(pictured, tmp_path):
    write = writer(tmp_path, *pictured)
    path = write("my report #1.html")
    folder = tmp_path / "my report #1-details"
    assert {file.name for file in folder.iterdir()} == {
        f"group-{n}.html" for n in range(1, FEW + 1)
    }
    text = path.read_text()
    assert 'href="my%20report%20%231-details/group-12.html"' in text
    back = (folder / "group-12.html").read_text()
    assert 'href="../my%20report%20%231.html#group-12"' in back
    assert write("my report #1.html").read_text() == text  # written again, over the earlier one


def test_a_small_page_has_no_folder(write, tmp_path):
    write(count=2)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("place", ["report-details", "report-details/group-1.html"])
def test_no_link_is_followed_that_the_user_did_not_name(write, tmp_path, place):
    target = tmp_path / "elsewhere"
    target.mkdir()
    link = tmp_path / place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target if place == "report-details" else target / "file")
    with pytest.raises(OutputError, match=r"is a link to .*--html"):
        write()
    assert list(target.iterdir()) == []
    assert not (tmp_path / "report.html").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(write, tmp_path):
    (tmp_path / "report-details").write_text("mine")
    with pytest.raises(OutputError, match="report-details"):
        write()
    assert (tmp_path / "report-details").read_text() == "mine"


def test_a_foreign_file_beside_a_large_page_stays(write, tmp_path):
    folder = tmp_path / "report-details"
    folder.mkdir()
    (folder / "group-3.html").write_text("<!doctype html><p>mine</p>")
    with pytest.raises(
        OutputError, match=r"group-3\.html is not a part of an earlier page of this"
    ):
        write()
    assert (folder / "group-3.html").read_text() == "<!doctype html><p>mine</p>"
    assert not (tmp_path / "report.html").exists()


def test_parts_of_an_earlier_page_go_and_what_is_not_ours_stays(write, tmp_path):
    folder = tmp_path / "report-details"
    write()
    (folder / "notes.html").write_text("mine")
    first = (folder / "group-1.html").read_text().splitlines()[0]
    assert first == "<!-- by mdtree, a part of report.html -->"
    (folder / "group-99.html").write_text((folder / "group-1.html").read_text())
    write()
    assert not (folder / "group-99.html").exists()
    write(count=2)
    assert [path.name for path in folder.iterdir()] == ["notes.html"]
    (folder / "notes.html").unlink()
    write()
    write(count=2)
    assert not folder.exists()


def test_a_page_of_another_ending_does_not_take_the_parts_of_the_first(write, tmp_path):
    write()
    with pytest.raises(OutputError, match="is not a part of an earlier page of this name"):
        write("report.htm")
    assert not (tmp_path / "report.htm").exists()


def test_what_is_no_page_is_refused_before_anything_is_written_beside_it(write, tmp_path):
    (tmp_path / "report.html").write_text("my notes")
    with pytest.raises(OutputError, match="does not contain a page"):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
