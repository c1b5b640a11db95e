"""The layers: counts, three implementations of one function, and everything torch does with a module."""

from __future__ import annotations

import copy
import shutil

import pytest
import torch
from torch import nn

from hw6.layers.convolution import FEW_PIXELS, IMPLEMENTATIONS, MyConvLayer, STMConvLayer, merge_state, split_state
from hw6.layers.measure import Problem, largest_difference, make_layer, tensors

SMALL = {"channels": 6, "width": 2, "branches": 3}
SHAPES = [(2, 9, 5), (1, 1, 1), (3, 2, 2), (1, 1, 12), (0, 4, 4), (1, 17, 17), (2, 1, 3)]
BOUNDS = {torch.float32: 1e-5, torch.float64: 1e-12}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Branch(nn.Module):
    """One branch as the homework describes it."""

    def __init__(self, channels=256, width=4):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv3 = nn.Conv2d(width, channels, 1)

    def forward(self, x):
        return self.conv3(self.conv2(self.conv1(x).relu()).relu()).relu()


class Branches(nn.Module):
    """The independent reference: 32 separate modules, their results added up."""

    def __init__(self, channels=256, width=4, branches=32):
        super().__init__()
        self.branches = nn.ModuleList([Branch(channels, width) for _ in range(branches)])

    def forward(self, x):
        return sum(branch(x) for branch in self.branches)


def pair(dtype=torch.float32, **sizes):
    """The reference and a layer with its parameters."""
    torch.manual_seed(0)
    reference = Branches(**sizes).to(dtype)
    layer = STMConvLayer(**sizes).to(dtype)
    layer.load_state_dict(reference.state_dict())
    return reference, layer


def results(module, x, g=None):
    """Output, input gradient, parameter gradients side by side."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    module.zero_grad()
    out = module(x)
    out.backward(torch.ones_like(out) if g is None else g)
    grads = {name: parameter.grad for name, parameter in module.named_parameters()}
    return [out.detach(), x.grad, *(value for _, value in sorted(merge_state(grads).items()))]


def assert_close(ours, theirs, bound):
    for mine, right in zip(ours, theirs, strict=True):
        assert mine.shape == right.shape
        assert mine.dtype == right.dtype
        if right.numel():
            scale = right.abs().max()
            assert (mine - right).abs().max() <= bound * (scale or 1.0)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def test_parameters_are_counted():
    assert count(MyConvLayer()) == 256 * 128 + 128 + 128 * 128 * 9 + 128 + 128 * 256 + 256 == 213_504
    assert count(STMConvLayer()) == 32 * (256 * 4 + 4 + 4 * 4 * 9 + 4 + 4 * 256 + 256) == 78_592
    assert count(STMConvLayer()) == count(Branches())


def test_my_conv_layer_is_three_convolutions():
    torch.manual_seed(0)
    layer = MyConvLayer(6, 3)
    chain = nn.Sequential(layer.conv1, nn.ReLU(), layer.conv2, nn.ReLU(), layer.conv3, nn.ReLU())
    x = torch.randn(2, 6, 5, 4)
    assert torch.equal(layer(x), chain(x))


@pytest.mark.parametrize("dtype", BOUNDS, ids=str)
@pytest.mark.parametrize("implementation", [*IMPLEMENTATIONS, "auto"])
@pytest.mark.slow
def test_every_implementation_is_the_sum_of_branches(implementation, dtype):
    reference, layer = pair(dtype)
    layer.implementation = implementation
    for shape in SHAPES:
        x = torch.randn(shape[0], 256, *shape[1:], dtype=dtype)
        assert_close(results(layer, x), results(reference, x), BOUNDS[dtype])


@pytest.mark.parametrize("layout", ["channels_last", "transposed", "sliced", "expanded"])
@pytest.mark.parametrize("implementation", ["grouped", "fused"])
def test_any_layout_of_the_input(implementation, layout):
    reference, layer = pair(torch.float64, **SMALL)
    layer.implementation = implementation
    x = torch.randn(3, 6, 7, 5, dtype=torch.float64)
    x = {
        "channels_last": lambda: x.contiguous(memory_format=torch.channels_last),
        "transposed": lambda: x.transpose(2, 3),
        "sliced": lambda: x[:, :, ::2, 1:4],
        "expanded": lambda: x[:1, :, :1].expand(3, -1, 4, -1),
    }[layout]()
    right = reference(x)
    torch.testing.assert_close(layer(x), right, rtol=1e-12, atol=1e-12)
    if layout == "channels_last":
        assert layer(x).is_contiguous(memory_format=torch.channels_last) or implementation == "grouped"
    assert_close(results(layer, x), results(reference, x), 1e-12)


def test_one_image_without_a_batch():
    _, layer = pair(torch.float64, **SMALL)
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    torch.testing.assert_close(layer(x), layer(x[None])[0], rtol=0, atol=0)


@pytest.mark.parametrize("implementation", [*IMPLEMENTATIONS, "auto"])
@pytest.mark.slow
def test_gradcheck(implementation):
    _, layer = pair(torch.float64, **SMALL)
    layer.implementation = implementation
    x = torch.randn(1, 6, 3, 4, dtype=torch.float64, requires_grad=True)
    names, values = zip(*layer.named_parameters(), strict=True)

    def function(image, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (image,))

    assert torch.autograd.gradcheck(function, (x, *values))


def test_state_dicts_convert():
    reference, layer = pair(**SMALL)
    state = reference.state_dict()
    assert split_state(layer.state_dict(), 3).keys() == state.keys()
    for name, value in split_state(layer.state_dict(), 3).items():
        assert torch.equal(value, state[name])
    merged = merge_state(state)
    assert merged.keys() == layer.state_dict().keys()
    back = Branches(**SMALL)
    back.load_state_dict(split_state(merged, 3))
    other = STMConvLayer(**SMALL, implementation="loop")
    other.load_state_dict(layer.state_dict())
    x = torch.randn(1, 6, 3, 3)
    assert torch.equal(back(x), reference(x))
    torch.testing.assert_close(other(x), layer(x))


def test_states_of_the_homeworks_size_split_without_a_number():
    assert split_state(STMConvLayer().state_dict()).keys() == Branches().state_dict().keys()


def test_branches_load_into_a_layer_inside_another_module():
    reference, layer = pair(**SMALL)
    outer, host = nn.Sequential(nn.ReLU(), reference), nn.Sequential(nn.ReLU(), STMConvLayer(**SMALL))
    host.load_state_dict(outer.state_dict())
    assert torch.equal(host[1].conv3.weight, layer.conv3.weight)


def test_what_does_not_fit_is_refused():
    _, layer = pair(**SMALL)
    with pytest.raises(RuntimeError, match=r"Missing key.*conv3\.bias"):
        layer.load_state_dict({name: v for name, v in layer.state_dict().items() if name != "conv3.bias"})
    with pytest.raises(RuntimeError, match="size mismatch"):
        layer.load_state_dict(Branches(6, 2, 4).state_dict())
    with pytest.raises(ValueError, match="loop, grouped, fused"):
        STMConvLayer(implementation="quick")
    for shape in ((1, 5, 3, 3), (3, 3), (1, 1, 6, 3, 3)):
        with pytest.raises(ValueError, match=r"\(batch, 6, height, width\)"):
            layer(torch.zeros(shape))


def test_deepcopy_to_and_training_flags():
    _, layer = pair(**SMALL)
    twin = copy.deepcopy(layer)
    x = torch.randn(2, 6, 4, 4)
    assert torch.equal(twin(x), layer(x))
    with torch.no_grad():
        twin.conv1.weight += 1
    assert not torch.equal(twin(x), layer(x))
    assert layer.to(torch.float64)(x.double()).dtype == torch.float64
    assert layer.to("meta")(x.to("meta").double()).shape == x.shape
    assert "implementation='auto'" in repr(layer)


@pytest.mark.parametrize("implementation", ["grouped", "fused"])
def test_frozen_parameters_and_inputs(implementation):
    reference, layer = pair(torch.float64, **SMALL)
    layer.implementation = implementation
    x = torch.randn(1, 6, 4, 5, dtype=torch.float64)
    layer(x).sum().backward()
    reference(x).sum().backward()
    grads = merge_state({name: parameter.grad for name, parameter in reference.named_parameters()})
    torch.testing.assert_close(layer.conv3.weight.grad, grads["conv3.weight"])
    layer.requires_grad_(False)
    x.requires_grad_()
    (ours,) = torch.autograd.grad(layer(x).sum(), x)
    (theirs,) = torch.autograd.grad(reference(x).sum(), x)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("implementation", [*IMPLEMENTATIONS, "auto"])
def test_autocast(implementation):
    _, layer = pair(**SMALL)
    layer.implementation = implementation
    x = torch.randn(2, 6, 5, 5, requires_grad=True)
    exact = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x)
    assert out.dtype == torch.bfloat16
    assert (out.float() - exact).detach().abs().max() <= 0.05 * exact.detach().abs().max()
    out.float().sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in layer.parameters())


def test_auto_is_grouped_for_few_pixels_and_fused_otherwise():
    layer = STMConvLayer()
    assert layer.implementation == "auto"
    assert layer.chosen(torch.zeros(1, 256, 1, 1)) == "grouped"
    assert layer.chosen(torch.zeros(FEW_PIXELS, 256, 1, 1)) == "grouped"
    assert layer.chosen(torch.zeros(FEW_PIXELS + 1, 256, 1, 1)) == "fused"
    assert layer.chosen(torch.zeros(8, 256, 56, 56)) == "fused"
    for long in ((1, 256, 1, FEW_PIXELS + 1), (1, 256, FEW_PIXELS + 1, 1)):
        assert layer.chosen(torch.zeros(long)) == "fused"


# torch's compiler says this of Python 3.13.0 alone, whatever it compiles.
SLOW_GUARDS = "ignore:Guards may run slower on Python 3.13.0:RuntimeWarning"


@pytest.mark.slow
@pytest.mark.filterwarnings(SLOW_GUARDS)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_compiled_without_a_break(implementation):
    reference, layer = pair(torch.float64, **SMALL)
    layer.implementation = implementation
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    for batch in (2, 3):
        x = torch.randn(batch, 6, 4, 5, dtype=torch.float64)
        ours, theirs = results(compiled, x), results(reference, x)
        assert_close(ours, theirs, 1e-12)
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler")
@pytest.mark.filterwarnings(SLOW_GUARDS)
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # torch's own use
def test_compiled_by_inductor():
    reference, layer = pair(torch.float32)
    layer.implementation = "fused"
    x = torch.randn(2, 256, 6, 5)
    assert_close(results(torch.compile(layer, fullgraph=True), x), results(reference, x), 1e-5)
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.parametrize("implementation", ["grouped", "fused"])
def test_the_headline_size_agrees(implementation):
    """Batch 8, 56 x 56: output and gradients where no ReLU is within rounding of its kink."""
    problem = Problem(0, "float32", 8, 56)
    x, upstream = tensors(problem)
    loop = tuple(results(make_layer(problem, "loop"), x, upstream))
    assert largest_difference(results(make_layer(problem, implementation), x, upstream), loop) <= 1e-5
