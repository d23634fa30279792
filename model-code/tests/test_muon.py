"""The optimizer of the kernels; needs PyTorch."""

import pytest

torch = pytest.importorskip("torch")

from ethnicity_prediction.muon import STEPS, A, B, C, Muon, orthogonal  # noqa: E402


@pytest.mark.parametrize("shape", [(16, 64), (64, 16), (20, 20)])
def test_singular_values_come_near_one_and_vectors_stay(shape: tuple[int, int]):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    result = orthogonal(matrix)
    assert result.shape == matrix.shape
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.3
    assert values.max() < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    inside = left.T @ result @ right.T
    assert torch.allclose(inside, torch.diag(torch.diagonal(inside)), atol=1e-4)


def test_it_is_the_iteration_of_its_source_step_by_step():
    matrix = torch.randn(24, 96, generator=torch.Generator().manual_seed(3))
    x = matrix / matrix.norm()
    for _ in range(STEPS):
        square = x @ x.T
        x = A * x + (B * square + C * square @ square) @ x
    assert torch.allclose(orthogonal(matrix), x, atol=1e-5)


def test_the_step_has_the_length_of_the_rate_whatever_the_gradient():
    lengths = []
    for scale in (1e-4, 1e4):
        weight = torch.nn.Parameter(torch.zeros(16, 4, 3, 3))
        weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)) * scale
        Muon([weight], lr=0.1).step()
        lengths.append(float(torch.linalg.matrix_norm(weight.detach().flatten(1), 2)))
    assert lengths == pytest.approx([0.1, 0.1], rel=0.3)
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-3)


def test_weights_decay_apart_from_the_gradient():
    weight = torch.nn.Parameter(torch.ones(4, 4))
    weight.grad = torch.zeros(4, 4)
    Muon([weight], lr=0.1, weight_decay=0.5).step()
    assert torch.allclose(weight, torch.full((4, 4), 0.95))


def test_a_mean_of_squares_is_driven_to_nothing():
    generator = torch.Generator().manual_seed(2)
    target = torch.randn(8, 2, 3, 3, generator=generator)
    weight = torch.nn.Parameter(torch.zeros_like(target))
    optimizer = Muon([weight], lr=0.3)
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.3 * (1 - step / 200)
        optimizer.zero_grad()
        ((weight - target) ** 2).mean().backward()
        optimizer.step()
    assert float(((weight.detach() - target) ** 2).mean()) < 0.02 * float((target**2).mean())
