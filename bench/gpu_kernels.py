"""Compile the Triton kernels for GPUs that need not be here and print what they use: python -m bench.gpu_kernels

Registers and spills are per lane, shared memory per program (a tile of pixels), all as ptxas tells of the final code.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARCHITECTURES = (80, 90)
# As the renderer launches them; torch allocates on multiples of 16 bytes, which Triton reads off the pointers.
SIGNATURES = {
    "forward": {
        "splats": "*fp32", "point_of": "*i32", "tile_start": "*i32", "image": "*fp32", "transmittance": "*fp32",
        "last": "*i32", "columns": "i32", "height": "i32", "width": "i32", "channels": "i32", "radius": "fp32",
        "nearest": "i32",
    },
    "backward": {
        "splats": "*fp32", "point_of": "*i32", "slot_of": "*i32", "tile_start": "*i32", "gradient": "*fp32",
        "behind": "*fp32", "transmittance": "*fp32", "last": "*i32", "slots": "*fp32", "columns": "i32",
        "height": "i32", "width": "i32", "channels": "i32", "radius": "fp32",
    },
    "photometric": {
        "image": "*fp32", "transmittance": "*fp32", "background": "*fp32", "target": "*fp32", "weights": "*fp32",
        "shifts": "*i32", "gradient": "*fp32", "behind": "*fp32", "sums": "*fp32", "columns": "i32", "height": "i32",
        "width": "i32", "count": "i32", "weight": "fp32",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Usage:
    """What a kernel compiled for an architecture uses; bytes, and 32-bit registers of a lane."""

    kernel: str
    architecture: int
    registers: int
    shared_bytes: int
    spilled_bytes: int
    stack_bytes: int
    instructions: int

    def __str__(self) -> str:
        return (
            f"| {self.kernel} | sm_{self.architecture} | {self.registers} | {self.shared_bytes} | "
            f"{self.spilled_bytes} | {self.stack_bytes} | {self.instructions} |"
        )


HEADER = """\
| kernel | GPU | registers | shared bytes | spilled bytes | stack bytes | PTX instructions |
|---|---|---|---|---|---|---|"""


def compiled(name: str, architecture: int, ones: Sequence[str] = ()) -> Any:
    """The kernel `name` of `triton_kernels`, compiled by Triton for sm_`architecture`; needs no device.

    ones: integer arguments that are 1, for which Triton compiles a kernel of its own (an image one tile wide, K = 1).
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from pointrad.render import triton_kernels as kernels

    function = getattr(kernels, name)
    signature = SIGNATURES[name] | dict.fromkeys(ones, "constexpr")
    assert tuple(signature) == tuple(function.arg_names), f"{name}: signature and kernel differ"
    aligned = {(place,): [["tt.divisibility", 16]] for place, kind in enumerate(signature.values()) if kind[0] == "*"}
    source = ASTSource(function, signature, constexprs=dict.fromkeys(ones, 1), attrs=aligned)
    return triton.compile(source, target=GPUTarget("cuda", architecture, 32), options={"num_warps": kernels.WARPS})


def usage(name: str, architecture: int) -> Usage:
    """Assembles the compiled kernel once more, for what ptxas says of it."""
    from triton.knobs import nvidia

    kernel = compiled(name, architecture)
    ptx: str = kernel.asm["ptx"]
    suffix = re.search(r"^\.target (\w+)", ptx, re.MULTILINE)
    assert suffix
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(ptx)
        told = subprocess.run(
            [nvidia.ptxas.path, "-v", f"--gpu-name={suffix[1]}", str(source), "-o", str(source.with_suffix(".cubin"))],
            capture_output=True, text=True, check=True,
        ).stderr  # fmt: skip
    stack, *spills = _numbers(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", told)
    return Usage(
        kernel=name,
        architecture=architecture,
        registers=_numbers(r"Used (\d+) registers", told)[0],
        shared_bytes=kernel.metadata.shared,
        spilled_bytes=sum(spills),
        stack_bytes=stack,
        instructions=len(re.findall(r";$", ptx[ptx.index("{") :], re.MULTILINE)),
    )


def usages() -> Iterator[Usage]:
    for architecture in ARCHITECTURES:
        for name in SIGNATURES:
            yield usage(name, architecture)


def _numbers(pattern: str, text: str) -> list[int]:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"ptxas did not say {pattern!r}:\n{text}")
    return [int(number) for number in found.groups()]


def main() -> None:
    if os.environ.get("TRITON_INTERPRET") == "1":
        sys.exit("Error: TRITON_INTERPRET is 1, with which Triton compiles nothing; unset it")
    print(HEADER)
    for each in usages():
        print(each)


if __name__ == "__main__":
    main()
