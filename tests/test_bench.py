import pytest

from bench.profile_step import STEPS, profile


@pytest.mark.slow  # compiles what training calls from within kernels alone
def test_the_profile_of_a_step_times_each_of_its_kernels() -> None:
    by_kernel, whole = profile(50)
    assert {name: len(times) for name, times in by_kernel.items()} == dict.fromkeys(
        (
            "count_intersections", "begin_tiles", "share_tiles", "bin_splats", "composite", "photometric",
            "differentiate", "adam",
        ),
        STEPS,
    )  # fmt: skip
    assert len(whole) == STEPS
