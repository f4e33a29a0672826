"""torchvision beside any torch, each case in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

FAKES = {  # what `torchvision/__init__.py` may do elsewhere
    "built for another CUDA": 'raise RuntimeError("compiled with different CUDA major versions")',
    "a library is missing": 'raise ImportError("libcudart.so.13: cannot open shared object file")',
}

ABSENT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torchvision":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.fixture
def run(ready_code):
    """Run code in a process that has torch, but not torchvision, and give what it prints."""

    def run(code: str, *args: object, path: Path | None = None) -> str:
        ran = ready_code(code, *args, path=path)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    return run


def fake(folder: Path, code: str) -> Path:
    (folder / "torchvision").mkdir()
    (folder / "torchvision" / "__init__.py").write_text(code)
    return folder


def test_networks_transforms_and_data_sets_run(run, tmp_path):
    code = """
    import pathlib, sys
    import torch
    from PIL import Image
    from mdtree.runtime.torchvision import torchvision
    models = torchvision("torchvision.models")
    model = models.resnet18(num_classes=3).eval()
    print(tuple(model(torch.zeros(2, 3, 32, 32)).shape))
    import torchvision as later
    print(later is torchvision(), torchvision("torchvision.models") is models)
    root = pathlib.Path(sys.argv[1])
    for number, name in enumerate(["cat", "dog"]):
        (root / name).mkdir()
        Image.new("RGB", (12, 10), (255 * number, 0, 0)).save(root / name / "0.png")
    transforms, data = torchvision("torchvision.transforms"), torchvision("torchvision.datasets")
    steps = [transforms.Resize(8), transforms.CenterCrop(8), transforms.ToTensor()]
    folder = data.ImageFolder(root, transforms.Compose(steps))
    print([(tuple(x.shape), x[0].mean().item(), y) for x, y in folder], folder.classes)
    fake = data.FakeData(size=3, image_size=(3, 9, 9), num_classes=4, transform=steps[2])
    loader = torch.utils.data.DataLoader(fake, batch_size=2)
    print([tuple(x.shape) for x, _ in loader])
    """
    outputs, same, images, batches = run(code, tmp_path).splitlines()
    assert (outputs, same) == ("(2, 3)", "True True")
    assert images == "[((3, 8, 8), 0.0, 0), ((3, 8, 8), 1.0, 1)] ['cat', 'dog']"
    assert batches == "[(2, 3, 9, 9), (1, 3, 9, 9)]"


def test_the_import_of_somebody_elses_module_works_inside(run, tmp_path):
    (tmp_path / "theirs.py").write_text("from torchvision.models import resnet18 as make")
    code = """
    from mdtree.runtime.torchvision import usable
    for _ in range(2):
        with usable():
            import theirs
    print(theirs.make.__module__)
    """
    assert run(code, path=tmp_path) == "torchvision.models.resnet"


CATCH = """
from mdtree.runtime import torchvision as vision
from mdtree.exceptions import MissingExtraError

with vision.usable():
    import json  # whoever needs no torchvision is not disturbed
try:
    vision.torchvision("torchvision.models")
except MissingExtraError as error:
    print(error.exit_code, error)
assert not vision._declared, "another fault is not ours to mend"
"""


def test_without_torchvision_the_package_is_named(run):
    said = run(ABSENT + CATCH)
    assert said.startswith("3 torchvision.models cannot be imported (No module named 'torchvision")
    assert said.endswith("pip install torchvision")


@pytest.mark.parametrize("fault", FAKES)
def test_a_torchvision_that_is_broken_in_another_way_is_told(run, tmp_path, fault):
    said = run(CATCH, path=fake(tmp_path, FAKES[fault]))
    reason = FAKES[fault].split('"')[1]
    assert said.startswith(f"3 torchvision.models cannot be imported ({reason})")
    assert said.endswith("install the build that matches your torch: pip install torchvision")


def test_nothing_is_declared_beside_a_torchvision_that_works(run, tmp_path):
    code = """
    import torch
    from mdtree.runtime.torchvision import torchvision
    print(torchvision().name, hasattr(torch.ops.torchvision, "nms"))
    """
    assert run(code, path=fake(tmp_path, "name = 'works'")) == "works False"
