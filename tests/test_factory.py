"""Factories: what a recipe may name, what is run by naming it, and how wrong calls are reported."""

from __future__ import annotations

import importlib
import inspect
import sys

import pytest
import torch

from mdtree.exceptions import MdtreeError, RecipeError, UntrustedError
from mdtree.factory import call, find, needs_trust
from mdtree.models import cnn
from mdtree.recipes import Trust
from mdtree.runtime import torchvision as vision

FOUND = Trust()  # what a recipe found inside a directory may do
OWN = Trust(any_factory=True)  # what a recipe that the user names may do

MODULE = """
from pathlib import Path

Path(__file__).with_suffix(".ran").touch()  # the trace that it leaves

def make(*, width: int, depth: int = 1) -> tuple[int, int]:
    return width, depth

number = 7
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write modules that leave a trace when they are run, and forget them in the end."""
    written = []

    def write(name: str, text: str = MODULE):
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        written.append(name)
        importlib.invalidate_caches()
        return path

    yield write
    for name in written:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "subprocess:Popen",
        "builtins:exec",
        "torch.hub:load",
        "torchvision.datasets:CIFAR10",
        "torchvision.models.resnet:partial",
        "torchvision.models.resnet:Callable",
        "torchvision.models.resnet:_resnet",
        "torchvision.models:get_model",
        "torchvision.models._api:get_model",
        "torchvision.modelsx:resnet18",
        "timm.models._hub:load_state_dict_from_hf",
        "timm.utils:x",
        "transformers.models.rag.retrieval_rag:LegacyIndex",
        "mdtree.cli:main",
        "mdtree.executors:run",
        "mdtree.models:Path",
        "mdtreex.models:cnn",
    ],
)
def test_a_found_recipe_may_not_name_it(name):
    with pytest.raises(UntrustedError, match=rf"names '{name}', but may only .*--trust {name}"):
        find(name, FOUND)


@pytest.mark.parametrize(
    "name", ["torchvision.models:os", "torchvision:models", "mdtree.models:nn"]
)
def test_a_module_inside_a_known_one_is_no_way_out(name):
    with pytest.raises(RecipeError):
        find(name, FOUND)


def test_what_is_not_trusted_is_not_even_imported(module, monkeypatch):
    path = module("stranger")
    monkeypatch.syspath_prepend(path.parent)
    with pytest.raises(UntrustedError):
        find("stranger:make", FOUND)
    assert needs_trust("stranger:make")
    assert not path.with_suffix(".ran").exists()
    assert "stranger" not in sys.modules
    assert find("stranger:make", OWN)(width=8) == (8, 1)
    assert path.with_suffix(".ran").exists()


def test_a_found_recipe_may_name_factories_of_known_packages():
    assert find("mdtree.models:cnn", FOUND) is cnn
    assert not needs_trust("mdtree.models:cnn")
    network = call(find("torchvision.models:resnet18", FOUND), {"num_classes": 3}, "resnet18")
    assert network.fc.out_features == 3
    assert type(network).__module__ == "torchvision.models.resnet"


@pytest.mark.parametrize("key", ["weights", "pretrained", "checkpoint_path", "pretrained_cfg"])
def test_a_found_recipe_may_not_make_a_factory_fetch_weights(key):
    factory = find("torchvision.models:resnet18", FOUND)
    with pytest.raises(UntrustedError, match=f"leave out {key}, mdtree loads your own weights"):
        call(factory, {key: "evil.pt"}, "torchvision.models:resnet18")
    call(find("torchvision.models:resnet18", FOUND), {"weights": None}, "resnet18")


def test_a_package_that_is_known_and_not_installed_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        RecipeError, match=r"'timm.models:resnet18': .*check that the package is installed"
    ):
        find("timm.models:resnet18", FOUND)


@pytest.mark.parametrize("name", ["mine", "mine:make", "mine.make"])
def test_trust_in_a_module_or_a_name_admits_it_and_finds_it_in_the_folders(module, name):
    path = module("mine")
    trust = Trust(names=frozenset({name}), folders=(path.parent,))
    before = list(sys.path)
    assert find("mine:make", trust)(width=2) == (2, 1)
    assert before == sys.path


def test_trust_in_one_name_does_not_admit_another(module):
    path = module("mine")
    trust = Trust(names=frozenset({"mine:other", "min", "mine.make.x"}), folders=(path.parent,))
    with pytest.raises(UntrustedError):
        find("mine:make", trust)
    assert not path.with_suffix(".ran").exists()


def test_a_folder_cannot_hide_an_installed_module(module):
    sys.modules.pop("colorsys", None)
    path = module("colorsys")
    trust = Trust(any_factory=True, folders=(path.parent,))
    assert find("colorsys:rgb_to_hsv", trust)(r=1, g=0, b=0) == (0, 1, 1)
    assert not path.with_suffix(".ran").exists()


def test_the_path_is_restored_also_after_a_failure_and_keeps_what_the_module_added(module):
    path = module("mine", "import sys\nsys.path.append('/added/by/the/module')\n1 / 0\n")
    trust = Trust(any_factory=True, folders=(path.parent,))
    before = list(sys.path)
    with pytest.raises(RecipeError, match="importing mine failed: ZeroDivisionError"):
        find("mine:make", trust)
    assert sys.path == [*before, "/added/by/the/module"]
    sys.path[:] = before


@pytest.mark.parametrize(
    "name",
    ["make", "mine:", ":make", "mine:a.b", "mine.:make", "a..b:c", "a b:c", "../x:y", "a:b:c"],
)
def test_a_name_of_another_form_is_refused(name):
    with pytest.raises(RecipeError, match=r"a factory must be written as pkg\.module:name, got"):
        find(name, OWN)


@pytest.mark.parametrize(
    ("text", "attribute", "reason"),
    [
        (MODULE, "mkae", r"module 'mine' \(.*mine.py\) has no 'mkae', did you mean 'make'\?"),
        (MODULE, "number", "'mine:number' is a int, not a function or class"),
        (
            "import nowhere_to_be_found",
            "make",
            "No module named 'nowhere_to_be_found'; check that the",
        ),
        ("def make(:", "make", "importing mine failed: SyntaxError"),
        ("raise SystemExit(3)", "make", "mine exits when it is imported; move the code"),
        (
            "def __getattr__(name):\n    import nowhere",
            "make",
            "No module named 'nowhere'; check that the",
        ),
    ],
)
def test_a_module_that_cannot_give_the_factory_says_why(module, text, attribute, reason):
    path = module("mine", text)
    with pytest.raises(RecipeError, match=reason):
        find(f"mine:{attribute}", Trust(any_factory=True, folders=(path.parent,)))


def test_a_module_that_is_nowhere_is_said():
    with pytest.raises(RecipeError, match="or run mdtree in the folder of the module"):
        find("nowhere_to_be_found:make", OWN)


def make(width: int, *, depth: int = 1, **rest: int) -> tuple[int, int, dict[str, int]]:
    return width, depth, rest


def plain(width: int, depth: int = 1) -> tuple[int, int]:
    return width, depth


def test_a_factory_is_called_with_its_arguments():
    assert call(make, {"width": 8, "classes": 3}, "make") == (8, 1, {"classes": 3})


@pytest.mark.parametrize(
    ("kwargs", "reason"),
    [
        (
            {"widht": 8},
            "no argument 'widht', did you mean 'width'? (it takes width, depth)",
        ),
        (
            {"width": 8, "dept": 3},
            "no argument 'dept', did you mean 'depth'? (it takes width, depth)",
        ),
        (
            {"widht": 8, "x": 1},
            "no argument 'widht', did you mean 'width'?; no argument 'x' (it takes width, depth)",
        ),
        ({}, "missing a required argument: 'width' (it takes width, depth)"),
    ],
)
def test_wrong_arguments_are_reported_with_the_right_ones(kwargs, reason):
    with pytest.raises(RecipeError) as error:
        call(plain, kwargs, "plain")
    assert str(error.value) == f"plain: {reason}"


def test_wrong_arguments_of_a_real_network_are_reported():
    with pytest.raises(RecipeError, match="no argument 'widht', did you mean 'width'"):
        call(cnn, {"widht": 8}, "cnn")


def test_a_factory_without_a_signature_is_called_all_the_same():
    assert call(dict, {"a": 1}, "dict") == {"a": 1}
    with pytest.raises(RecipeError, match=r"type with \{'a': 1\} failed: TypeError"):
        call(type, {"a": 1}, "type")


def raises(error):
    raise error


@pytest.mark.parametrize("error", [ValueError("no such width"), SystemExit(2), MemoryError()])
def test_a_factory_that_raises_is_reported_with_its_arguments(error):
    kind = type(error).__name__
    with pytest.raises(RecipeError, match=rf"^raises with \{{'error': .*\}} failed: {kind}: "):
        call(raises, {"error": error}, "raises")


def test_an_error_of_mdtree_itself_keeps_its_kind_and_its_words():
    error = MdtreeError("say it as it is")
    with pytest.raises(MdtreeError) as caught:
        call(raises, {"error": error}, "raises")
    assert caught.value is error


def test_an_interrupt_is_no_failure_of_the_factory():
    with pytest.raises(KeyboardInterrupt):
        call(raises, {"error": KeyboardInterrupt()}, "raises")


@pytest.fixture
def timm(tmp_path, monkeypatch):
    """Put a package in the place of timm, whose factories are what a test writes."""

    def write(text: str) -> None:
        (tmp_path / "timm" / "models").mkdir(parents=True)
        (tmp_path / "timm" / "__init__.py").touch()
        (tmp_path / "timm" / "models" / "__init__.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)

    for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        del sys.modules[name]


def test_no_factory_of_torchvision_fetches_a_backbone_unasked(monkeypatch):
    models = vision.torchvision("torchvision.models")

    def refuse(url, *args, **kwargs):
        raise AssertionError(f"{url} was asked for")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    builders = [models.get_model_builder(name) for name in models.list_models()]
    fetching = [
        f"{builder.__module__}:{builder.__name__}"
        for builder in builders
        if inspect.signature(builder).parameters.get("weights_backbone") is not None
    ]
    assert "torchvision.models.segmentation.fcn:fcn_resnet50" in fetching
    for name in fetching:
        with torch.device("meta"):  # no memory is taken
            made = call(find(name, FOUND), {}, name)
        assert isinstance(made, torch.nn.Module)


def test_every_argument_that_fetches_is_none_unless_the_recipe_gives_it(timm):
    timm(
        "def make(width=1, *, weights='W', weights_backbone='B', pretrained=True,"
        " checkpoint_path='c.pt', pretrained_strict=False, weight_init='x', **rest):\n"
        "    return [width, weights, weights_backbone, pretrained, checkpoint_path,"
        " pretrained_strict, weight_init, rest]\n"
    )
    made = find("timm.models:make", FOUND)
    asked = {"width": 2, "pretrained": False, "depth": 3}
    assert made(**asked) == [2, None, None, False, None, False, "x", {"depth": 3}]
    with pytest.raises(UntrustedError, match="leave out pretrained_cfg, checkpoint_url, mdtree"):
        made(pretrained_cfg={"file": "evil.pt"}, checkpoint_url="https://evil")
    own = find("timm.models:make", Trust(names=frozenset({"timm.models"})))
    assert own()[:5] == [1, "W", "B", True, "c.pt"]


FETCHES = {
    "torch.hub": "torch.hub.load_state_dict_from_url(URL, model_dir=FOLDER)",
    "a file": "torch.hub.download_url_to_file('file:///etc/hostname', FOLDER + '/f')",
    "urllib": "urllib.request.urlopen(URL)",
    "http": "http.client.HTTPSConnection('mdtree.invalid').request('GET', '/')",
    "hub": "huggingface_hub.hf_hub_download('somebody/something', 'weights.bin')",
}


@pytest.mark.parametrize("how", FETCHES)
@pytest.mark.parametrize("when", ["called", "imported"])
def test_a_found_factory_that_fetches_on_its_own_account_is_refused(timm, tmp_path, how, when):
    if how == "hub":
        pytest.importorskip("huggingface_hub")
    step = FETCHES[how].replace("URL", "'https://mdtree.invalid/w.pt'")
    step = step.replace("FOLDER", repr(str(tmp_path)))
    imports = "import http.client, urllib.request\nimport torch\n"
    imports += "import huggingface_hub\n" if how == "hub" else ""
    if when == "called":
        timm(f"{imports}def make():\n    return {step}\n")
    else:
        timm(f"{imports}{step}\ndef make(): pass\n")
    with pytest.raises(RecipeError, match=r"^timm\.models:make needs network access, which is not"):
        call(find("timm.models:make", FOUND), {}, "timm.models:make")
