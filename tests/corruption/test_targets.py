"""What the training sees when its images are cut by the wrong masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pointrad.corruption import cut_targets
from tests.scenes import sphere_views


@pytest.mark.parametrize("background", [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0)])
def test_outside_the_wrong_mask_lies_background_and_inside_the_clean_image(
    background: tuple[float, float, float],
) -> None:
    clean = sphere_views(2)
    wrong = tuple(replace(view, mask=np.roll(view.mask, 3, axis=1), image=view.image * 0) for view in clean)
    for cut, view, mask in zip(cut_targets(clean, wrong, background), clean, (w.mask > 0 for w in wrong), strict=True):
        assert np.array_equal(cut.image[mask], view.image[mask])
        assert np.array_equal(cut.image[~mask], np.broadcast_to(background, cut.image[~mask].shape))
        assert cut.image.dtype == np.float32
        assert np.array_equal(cut.mask, view.mask)
