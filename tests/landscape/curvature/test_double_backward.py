from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mdtree.exceptions import MdtreeError
from mdtree.landscape import NoSecondDerivativeError, double_backward
from mdtree.landscape.curvature.double_backward import check_double_backward
from tests.support.exact import OnceDifferentiable

CUDNN = "Double backwards is not supported for CuDNN RNNs due to limitations in the CuDNN API"


def second_derivative():
    """Differentiate attention twice."""
    x = torch.randn(1, 1, 3, 4, requires_grad=True)
    loss = F.scaled_dot_product_attention(x, x, x).square().sum()
    (gradient,) = torch.autograd.grad(loss, x, create_graph=True)
    return torch.autograd.grad(gradient.sum(), x)[0]


def fused():
    return torch.backends.cuda.flash_sdp_enabled(), torch.backends.cudnn.enabled


def test_attention_is_differentiated_under_the_math_kernel_and_that_is_told():
    before = fused()
    with pytest.raises(RuntimeError, match="not implemented"):
        second_derivative()

    derived = double_backward(second_derivative)

    assert derived.result.isfinite().all()
    assert derived.notes == (
        "attention ran with the math kernel: the fused kernel has no second derivative",
    )
    assert before == fused()


def test_what_works_is_done_once_and_needs_no_note():
    calls = []
    assert ((outcome := double_backward(lambda: calls.append(1))).notes, outcome.result) == (
        (),
        None,
    )
    assert calls == [1]


def test_a_network_with_attention_and_recurrent_layers_needs_two_detours():
    """The words are those of cuDNN, which only a CUDA device has."""

    def work():
        if torch.backends.cudnn.enabled:
            raise RuntimeError(CUDNN)
        return second_derivative()

    before = fused()
    derived = double_backward(work)
    assert [note.split()[0] for note in derived.notes] == ["recurrent", "attention"]
    assert before == fused()


@pytest.mark.parametrize(
    "words",
    [
        CUDNN,  # although cuDNN is off already
        "cudnn RNN backward can only be called in training mode",
        "derivative for aten::_foo_backward is not implemented",
        "torch.compile with aot_autograd does not currently support double backward",
        "trying to differentiate twice a function that was marked with @once_differentiable",
    ],
)
def test_without_a_way_around_it_is_told_what_has_no_second_derivative(words):
    def work():
        raise RuntimeError(words + "\nException raised from ...")

    before = fused()
    with pytest.raises(NoSecondDerivativeError) as raised:
        double_backward(work)
    assert f"the network or the loss has no second derivative: {words}" == str(raised.value)
    assert isinstance(raised.value.__cause__, RuntimeError)
    assert before == fused()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shapes do not fit"),
        torch.OutOfMemoryError("CUDA out of memory: cudnn is not supported"),
        MdtreeError("differentiate twice"),
        KeyboardInterrupt(),
    ],
)
def test_other_errors_pass_unchanged(error):
    def work():
        raise error

    with pytest.raises(type(error)) as raised:
        double_backward(work)
    assert error is raised.value


def test_an_operation_that_is_once_differentiable_is_found_wherever_it_is():
    """Torch itself would pass it by, and give zero."""
    x = torch.ones(3, requires_grad=True)
    (gradient,) = torch.autograd.grad(
        ((x * OnceDifferentiable.apply(x**2)) ** 2).sum(), x, create_graph=True
    )
    with pytest.raises(NoSecondDerivativeError, match="marked as once differentiable"):
        check_double_backward([x, gradient])


def test_long_graphs_are_searched_without_deep_recursion():
    x = torch.ones(1, requires_grad=True)
    y = x
    for _ in range(5000):
        y = y * x
    check_double_backward([y])
