"""Random changes of images: each agrees with a formula written once more, and leaves all other draws of a run alone."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from scipy.stats import beta

from study.config.build import build_combined
from study.errors import ConfigError
from study.models import MLP
from study.regularizers.augmentation import Augment, CutMix, Cutout, moved, resized
from study.regularizers.data_side import GradientPenalty
from study.training.crew import train_alone
from study.training.run import begin_run
from study.training.task import Task
from tests.config.test_identity import config, resolved
from tests.regularizers.regularizing import combined


@pytest.fixture
def images():
    """Grey images (n, height, width) in which every pixel has another value above 0."""
    generator = torch.Generator().manual_seed(3)
    return 0.01 + torch.rand(900, 6, 7, dtype=torch.float64, generator=generator)


def hooks_for(regularizer, lam=1.0):
    return combined(regularizer, lam, MLP(42, [5], 4).double(), classes=4)


def moved_once_more(image, down, right, mirrored):
    """One image (height, width), moved in a frame of zeros."""
    height, width = image.shape
    frame = np.zeros((3 * height, 3 * width))
    frame[height + down : 2 * height + down, width + right : 2 * width + right] = image[:, ::-1] if mirrored else image
    return frame[height : 2 * height, width : 2 * width]


def test_images_are_mirrored_and_shifted_in_a_frame_of_zeros(images):
    batch = images[:24].reshape(8, 3, 6, 7)
    down, right = torch.tensor([0, 2, -2, 5, -5, 0, 1, 0]), torch.tensor([0, -1, 3, 0, 6, -6, 1, 0])
    mirrored = torch.tensor([False, False, True, True, False, True, True, True])
    found = moved(batch, down, right, mirrored)
    for i in range(8):
        for channel in range(3):
            expected = moved_once_more(batch[i, channel].numpy(), int(down[i]), int(right[i]), bool(mirrored[i]))
            np.testing.assert_array_equal(found[i, channel].numpy(), expected)


def test_every_shift_in_the_range_and_its_mirror_image_are_equally_likely(images):
    hooks = hooks_for(Augment(shift=1))
    seen = Counter()
    for _ in range(2):
        changed, _ = hooks.on_batch(images, torch.zeros(900, dtype=torch.int64))
        assert changed.shape == images.shape
        kinds = [(down, right, mirrored) for down in (-1, 0, 1) for right in (-1, 0, 1) for mirrored in (False, True)]
        for before, after in zip(images.numpy(), changed.numpy(), strict=True):
            (kind,) = [kind for kind in kinds if np.array_equal(moved_once_more(before, *kind), after)]
            seen[kind] += 1
    assert len(seen) == 18
    assert sum((count - 100) ** 2 / 100 for count in seen.values()) < 40.8  # 0.999 quantile of χ² with 17 degrees


def test_lam_is_the_share_of_images_that_change(images):
    for lam in (0.0, 0.3, 1.0):
        changed, _ = hooks_for(Augment(shift=3, flip=False, crop=0.5), lam).on_batch(
            images, torch.zeros(900, dtype=torch.int64)
        )
        share = float((changed != images).flatten(1).any(dim=1).double().mean())
        assert share == pytest.approx(lam, abs=0.05 if 0 < lam < 1 else 0)


def test_a_crop_is_scipy_s_bilinear_interpolation(images):
    batch = images[:4].reshape(2, 2, 6, 7)
    top, left = torch.tensor([0.0, 0.31]).double(), torch.tensor([0.0, 0.4]).double()
    height, width = torch.tensor([1.0, 0.5]).double(), torch.tensor([0.8, 0.6]).double()
    found = resized(batch, top, left, height, width)
    for i in range(2):
        rows = 6 * (float(top[i]) + float(height[i]) * (np.arange(6) + 0.5) / 6) - 0.5
        columns = 7 * (float(left[i]) + float(width[i]) * (np.arange(7) + 0.5) / 7) - 0.5
        places = np.stack(np.meshgrid(rows, columns, indexing="ij"))
        for channel in range(2):
            expected = map_coordinates(batch[i, channel].numpy(), places, order=1, mode="nearest")
            np.testing.assert_allclose(found[i, channel].numpy(), expected, rtol=1e-9)


def test_crops_have_areas_from_the_given_share_to_1_and_places_all_over_the_image():
    """In two channels that hold the places of pixels, the slopes and the first values show where a crop lies."""
    size, n = 40, 2000
    places = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    images = torch.stack([places.expand(size, size), places[:, None].expand(size, size)]).expand(n, 2, size, size)
    hooks = hooks_for(Augment(shift=0, flip=False, crop=0.25))
    changed, _ = hooks.on_batch(images, torch.zeros(n, dtype=torch.int64))
    inner = changed[:, :, 15:25, 15:25]  # far from the edges, where places are clamped
    width = size * (inner[:, 0, 0, -1] - inner[:, 0, 0, 0]) / 9
    height = size * (inner[:, 1, -1, 0] - inner[:, 1, 0, 0]) / 9
    left = inner[:, 0, 0, 0] - 15.5 * width / size
    area, uncut = width * height, (width < 1 - 1e-6) & (height < 1 - 1e-6)
    assert 0.25 - 1e-6 <= float(area[uncut].min()) <= 0.26
    assert float(area.max()) <= 1 + 1e-6
    assert float(area.median()) == pytest.approx(0.62, abs=0.03)  # that of U(0.25, 1), less a little for what is cut
    aspect = (width / height)[uncut]
    assert 3 / 4 - 1e-6 <= float(aspect.min()) <= 0.77
    assert 1.3 <= float(aspect.max()) <= 4 / 3 + 1e-6
    room = left[width < 0.9] / (1 - width[width < 0.9])
    assert -1e-6 <= float(room.min()) <= 0.02
    assert 0.98 <= float(room.max()) <= 1 + 1e-6
    assert float(room.mean()) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("size", [1, 3, 4])
def test_cutout_covers_one_square_whose_centre_is_uniform_over_the_pixels(images, size):
    hooks, seen = hooks_for(Cutout(size)), Counter()
    for _ in range(4):
        batch = images.reshape(450, 2, 6, 7)
        changed, _ = hooks.on_batch(batch, torch.zeros(450, dtype=torch.int64))
        covered = (changed != batch).numpy()
        assert (changed.numpy()[covered] == 0).all()
        assert (covered[:, 0] == covered[:, 1]).all()
        seen.update(square.tobytes() for square in covered[:, 0])
    expected = Counter()
    for row in range(6):
        for column in range(7):
            square = np.zeros((6, 7), dtype=bool)
            for down in range(row - size // 2, row - size // 2 + size):
                for right in range(column - size // 2, column - size // 2 + size):
                    if 0 <= down < 6 and 0 <= right < 7:
                        square[down, right] = True
            expected[square.tobytes()] += 1800 / 42
    assert seen.keys() == expected.keys()
    excess = sum((seen[square] - count) ** 2 / count for square, count in expected.items())
    assert excess < 74.7  # 0.999 quantile of χ² with 41 degrees


def test_cutout_has_half_the_shorter_side_by_default_and_lam_is_its_probability(images):
    for lam in (0.0, 0.4, 1.0):
        changed, _ = hooks_for(Cutout(), lam).on_batch(images, torch.zeros(900, dtype=torch.int64))
        covered = (changed != images).flatten(1).sum(dim=1)
        assert float((covered > 0).double().mean()) == pytest.approx(lam, abs=0.05 if 0 < lam < 1 else 0)
        assert int(covered.max()) == (9 if lam else 0)


@pytest.mark.parametrize("lam", [1e-3, 1.0, 1e300])
def test_cutmix_replaces_one_rectangle_and_mixes_the_targets_by_its_pixels(images, lam):
    hooks, labels = hooks_for(CutMix(), lam), torch.arange(12) % 4
    batch = images[:24].reshape(12, 2, 6, 7)
    numbers = torch.arange(12, dtype=torch.float64)[:, None, None, None].expand(12, 2, 6, 7)
    for _ in range(5):
        state = hooks.state_dict()
        mixed, targets = hooks.on_batch(batch, labels)
        hooks.load_state_dict(state)
        sources = hooks.on_batch(numbers, labels)[0].long()  # by the same draws: the image of each pixel
        torch.testing.assert_close(mixed, batch.gather(0, sources), rtol=0, atol=0)
        for i in range(12):
            of_others = sources[i] != i
            rows, columns = of_others[0].any(dim=1).nonzero(), of_others[0].any(dim=0).nonzero()
            if len(rows):
                rectangle = sources[i, :, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
                assert len(rectangle.unique()) == 1
                assert rectangle.numel() == of_others.sum()
            shares = torch.zeros(4, dtype=torch.float64)
            for pixel in sources[i].flatten():
                shares[labels[pixel]] += 1 / 84
            torch.testing.assert_close(targets[i], shares)


@pytest.mark.parametrize("lam", [0.3, 1.0, 5.0])
def test_cutmix_draws_rectangles_of_beta_distributed_areas_with_uniform_centres(lam):
    """The mean and the mean square of the share replaced are those of all quantiles of c and all centres."""
    hooks, images = hooks_for(CutMix(), lam), torch.arange(20.0)[:, None, None].expand(20, 12, 10)
    found = []
    for _ in range(1500):
        mixed, _ = hooks.on_batch(images, torch.zeros(20, dtype=torch.int64))
        found.append(float((mixed != images).float().mean(dim=(1, 2)).max()))  # an image may be its own partner
    for power in (1, 2):
        expected = []
        for c in beta.ppf((np.arange(200) + 0.5) / 200, lam, lam):
            means = []
            for length in (12, 10):
                size = int(length * np.sqrt(1 - c))
                starts = np.arange(length) - size // 2
                covered = np.minimum(starts + size, length) - np.maximum(starts, 0)
                means.append(np.mean((covered / length) ** power))
            expected.append(np.prod(means))
        assert np.mean(np.power(found, power)) == pytest.approx(np.mean(expected), rel=0.08)


def test_cutmix_of_lam_0_mixes_nothing(images):
    labels = torch.zeros(900, dtype=torch.int64)
    mixed, targets = hooks_for(CutMix(), 0.0).on_batch(images, labels)
    assert torch.equal(mixed, images)
    assert targets is labels


def trained(tmp_path, *overrides):
    run = resolved("model.hidden=[8]", "model.dropout=0.3", "data.train_size=100", "epochs=2", *overrides)
    folder = tmp_path / run.run_id
    outcome = train_alone(begin_run(Task.of(run, "variant", folder), folder, lambda epoch, row: True))
    assert outcome.state == "complete", outcome.cause
    return (folder / "weights.csv").read_bytes()


def test_batches_initial_weights_and_dropout_are_those_of_a_run_without_it(tmp_path):
    alone = trained(tmp_path, "reg=none")
    assert trained(tmp_path, "reg=augment", "lam=0") == alone
    assert trained(tmp_path, "reg=augment") != alone


@pytest.mark.parametrize("kind", [Augment, Cutout, CutMix])
def test_no_draw_is_torch_s_global_generator_s(images, kind):
    hooks, before = hooks_for(kind()), torch.get_rng_state()
    changed, _ = hooks.on_batch(images, torch.zeros(900, dtype=torch.int64))
    assert not torch.equal(changed, images)
    assert torch.equal(torch.get_rng_state(), before)


def test_two_parts_of_one_kind_draw_different_numbers_and_the_first_those_of_one_alone():
    single, double = (
        build_combined(config(*given, "model.hidden=[4]"), MLP(64, [4], 10), 10)
        for given in (["reg=augment"], ["reg=combine", "reg.parts=[{reg: augment}, {reg: augment, crop: 0.5}]"])
    )
    draws = [torch.rand(9, generator=part.generator) for hooks in (single, double) for part in hooks.regularizers]
    torch.testing.assert_close(draws[0], draws[1], rtol=0, atol=0)
    assert not torch.equal(draws[1], draws[2])


def test_the_gradient_penalty_of_changed_images_works_in_either_order(images):
    model, labels = MLP(42, [5], 4).double(), torch.arange(9) % 4
    for order in (0, 1):
        parts = [hooks_for(Augment()), combined(GradientPenalty(), 0.3, model, classes=4)]
        seen = images[:9].clone()
        for hooks in reversed(parts) if order else parts:
            seen, _ = hooks.on_batch(seen, labels)
        logits = model(seen)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        torch.testing.assert_close(parts[1].on_loss(loss, seen, logits), parts[1].penalty(model, seen, labels))


@pytest.mark.parametrize(
    ("overrides", "message"),
    {
        ("reg=augment", "data=mnist1d"): "cannot be used here: it requires images, and the examples of this data set"
        " have the shape (40,)",
        ("reg=augment", "reg.shift=8"): "reg.shift=8: must be smaller than the images, 8x8 pixels",
        ("reg=augment", "reg.shift=-1"): "reg.shift=-1: a whole number of pixels of at least 0 is allowed",
        ("reg=augment", "reg.crop=0"): "reg.crop=0.0: a number in (0, 1] is allowed",
        ("reg=augment", "reg.shift=0", "reg.flip=false"): "no change is left. Set one of them",
        ("reg=augment", "lam=1.1"): "lam=1.1: a number in [0, 1] is allowed",
        ("reg=cutout", "data=mnist1d"): "reg=cutout cannot be used here: it requires images",
        ("reg=cutout", "reg.size=0"): "reg.size=0: a whole number of pixels of at least 1 is allowed",
        ("reg=cutout", "reg.size=9"): "reg.size=9: must not be larger than the images, 8x8 pixels",
    }.items(),
)
def test_what_cannot_work_is_refused_in_one_line(overrides, message):
    with pytest.raises(ConfigError) as error:
        config(*overrides)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
