"""What changes the batch or the loss: each agrees with a formula written once more, and scores see none of it."""

import pytest
import torch
import torch.nn.functional as F
from scipy.special import softmax
from scipy.stats import entropy

from study.models import MLP
from study.regularizers.data_side import ConfidencePenalty, GradientPenalty, LabelSmoothing, Mixup, Noise
from tests.regularizers.regularizing import combined


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(3)
    return torch.rand(400, 6, dtype=torch.float64, generator=generator), torch.arange(400) % 4


def hooks_for(regularizer, lam, model=None):
    return combined(regularizer, lam, model or MLP(6, [5], 4).double(), classes=4)


def test_label_smoothing_is_torch_s(batch):
    images, labels = batch
    same, targets = hooks_for(LabelSmoothing(), 0.15).on_batch(images, labels)
    logits = torch.randn(400, 4, dtype=torch.float64)
    assert same is images
    torch.testing.assert_close(
        F.cross_entropy(logits, targets), F.cross_entropy(logits, labels, label_smoothing=0.15), rtol=1e-12, atol=0
    )


def test_noise_has_the_standard_deviation_lam_and_differs_from_step_to_step(batch):
    images, labels = batch
    hooks = hooks_for(Noise(), 0.3)
    first, same = hooks.on_batch(images, labels)
    assert same is labels
    noise = first - images
    assert float(noise.std()) == pytest.approx(0.3, rel=0.05)
    assert abs(float(noise.mean())) < 0.03
    assert not torch.equal(hooks.on_batch(images, labels)[0], first)


@pytest.mark.parametrize("lam", [1e-3, 0.2, 1.0, 50.0])
def test_mixup_mixes_images_and_targets_with_one_share(batch, lam):
    images, labels = batch
    torch.manual_seed(0)
    mixed, targets = hooks_for(Mixup(), lam).on_batch(images, labels)
    assert torch.isfinite(mixed).all()
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(400, dtype=torch.float64))
    shares = targets[torch.arange(400), labels]
    lone = shares < 1  # mixed with an image of another class: there the share can be read off
    share = shares[lone].min()
    torch.testing.assert_close(shares[lone], share.expand(int(lone.sum())))
    other = (mixed - share * images) / (1 - share)  # must be images of the batch
    distance = torch.cdist(other, images).min(dim=1).values
    assert (distance < 1e-6).all()


def test_mixup_draws_its_share_from_a_beta_distribution(batch):
    """Beta(λ, λ) has the variance 1/(4(2λ + 1)); a share counts as itself or as the rest, which have the same law."""
    images, labels = batch
    torch.manual_seed(0)
    hooks = hooks_for(Mixup(), 0.4)
    shares = []
    for _ in range(2000):
        _, targets = hooks.on_batch(images[:8], labels[:8])
        of_label = targets[torch.arange(8), labels[:8]]
        shares.append(float(of_label[of_label < 1].min()) if (of_label < 1).any() else 1.0)
    variance = sum((share - 0.5) ** 2 for share in shares) / len(shares)
    assert variance == pytest.approx(1 / (4 * (2 * 0.4 + 1)), rel=0.07)


def test_mixup_of_lam_0_mixes_nothing(batch):
    images, labels = hooks_for(Mixup(), 0.0).on_batch(*batch)
    assert images is batch[0]
    assert labels is batch[1]


def test_smoothing_what_mixup_has_mixed_is_the_same_in_either_order(batch):
    results = []
    mixup, smoothing = hooks_for(Mixup(), 0.2), hooks_for(LabelSmoothing(), 0.2)
    for order in ((mixup, smoothing), (smoothing, mixup)):
        torch.manual_seed(0)
        images, targets = batch
        for hooks in order:
            images, targets = hooks.on_batch(images, targets)
        results.append(targets)
    torch.testing.assert_close(*results)


def test_the_gradient_penalty_is_the_mean_squared_gradient_of_each_example_s_own_loss(batch):
    images, labels = batch[0][:7], batch[1][:7]
    model = MLP(6, [5], 4).double()
    total = 0.0
    for image, label in zip(images, labels, strict=True):
        leaf = image[None].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(model(leaf), label[None]), leaf)
        total += float(gradient.square().sum())
    hooks = hooks_for(GradientPenalty(), 0.3, model)
    assert float(hooks.penalty(model, images, labels)) == pytest.approx(0.3 * total / 7, rel=1e-12)
    seen, targets = hooks.on_batch(images.clone(), labels)
    logits = model(seen)
    loss = F.cross_entropy(logits, targets)
    assert float(hooks.on_loss(loss, seen, logits)) == pytest.approx(0.3 * total / 7, rel=1e-12)


def test_the_gradient_penalty_is_differentiated_twice(batch):
    """Its gradient by the weights agrees with finite differences."""
    images, labels = batch[0][:7], batch[1][:7]
    model = MLP(6, [5], 4).double()
    hooks = hooks_for(GradientPenalty(), 0.3, model)
    w = model.hidden[0].weight
    (gradient,) = torch.autograd.grad(hooks.penalty(model, images, labels), w)
    with torch.no_grad():
        for place in ((0, 0), (3, 2)):
            values = []
            for shift in (1e-6, -2e-6):
                w[place] += shift
                with torch.enable_grad():
                    values.append(float(hooks.penalty(model, images, labels)))
            w[place] += 1e-6
            assert float(gradient[place]) == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-9)


def test_the_confidence_penalty_is_minus_the_mean_entropy_of_the_predictions(batch):
    images, labels = batch
    model = MLP(6, [5], 4).double()
    hooks = hooks_for(ConfidencePenalty(), 0.3, model)
    logits = model(images)
    expected = -0.3 * entropy(softmax(logits.detach().numpy(), axis=1), axis=1).mean()
    seen = hooks.on_loss(F.cross_entropy(logits, labels), images, logits)
    assert float(seen.detach()) == pytest.approx(expected, rel=1e-12)
    assert float(hooks.penalty(model, images, labels).detach()) == pytest.approx(expected, rel=1e-12)


def test_the_confidence_penalty_has_the_gradient_of_label_smoothing_s_divergence_turned_around(batch):
    """KL(p ‖ uniform) = log K − H has the same gradient, and p log p of a class of probability 0 counts as 0."""
    logits = torch.tensor([[0.3, -1.2, 2.0, 0.1], [0.0, 0.0, 900.0, -900.0]], dtype=torch.float64, requires_grad=True)
    hooks = hooks_for(ConfidencePenalty(), 1.0)
    (gradient,) = torch.autograd.grad(hooks.on_loss(torch.zeros(()), batch[0], logits), logits)
    divergence = F.kl_div(torch.full((1, 4), 0.25).double().log(), logits[:1].softmax(dim=1), reduction="sum") / 2
    torch.testing.assert_close(gradient[:1], torch.autograd.grad(divergence, logits)[0][:1])
    assert torch.equal(gradient[1], torch.zeros(4, dtype=torch.float64))
