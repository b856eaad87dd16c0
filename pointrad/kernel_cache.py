"""Compiled kernels on disk: one folder per user, shared by all clones whose kernels are the same.

Numba's own cache lies beside the sources: every clone compiles anew, and an edit of what a kernel calls in another file
goes unnoticed. Here an entry is found by what the kernel is made of: its bytecode and constants, those of all that it
calls, the versions of Python and Numba, the processor, and the types of the arguments. So nothing is ever out of date,
and entries of several versions lie side by side.

The folder is $NUMBA_CACHE_DIR/pointrad if that is set, else $XDG_CACHE_HOME/pointrad/kernels (~/.cache by default).
Trouble with it, such as a full disk, a damaged file or no folder that can be written, costs time and one warning.
"""

# Numba's classes are untyped.
# mypy: ignore-errors
from __future__ import annotations

import hashlib
import pickle
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import llvmlite
import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.dispatcher import Dispatcher
from numba.core.serialize import dumps

from pointrad.errors import MachineError
from pointrad.files import kernel_folder, replacing_beside_others
from pointrad.progress import tell_of_compilation, warn

_KEPT_DAYS = 90  # an entry that nobody read for so long goes when another is written
_DIGEST_BYTES = 32


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`numba.njit` for a function that Python calls: its machine code is kept on disk, with that of all it calls."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        dispatcher._cache = _KernelCache(dispatcher)
        return dispatcher

    return decorate


def parts(dispatcher) -> list[Dispatcher]:
    """The compiled functions that a kernel is made of, itself the last."""
    found: dict[int, Dispatcher] = {}

    def add(function):
        if id(function) not in found:
            for _, value in _globals(function.py_func):
                if isinstance(value, Dispatcher):
                    add(value)
            found[id(function)] = function

    add(dispatcher)
    return list(found.values())


def folder() -> Path:
    """Where compiled kernels are kept. Raises OSError for a user without a home."""
    if found := kernel_folder():
        return found
    raise FileNotFoundError("there is no home folder")


class _KernelCache(FunctionCache):
    """What a dispatcher asks for a kernel before it compiles, and gives it to afterwards."""

    def __init__(self, dispatcher):
        self._dispatcher = dispatcher
        self._impl_class = _Result
        super().__init__(dispatcher.py_func)

    def _load_overload(self, sig, target_context):
        try:
            path = self._path(sig, target_context.codegen())
            if path.exists() and not path.is_file():
                raise ValueError(f"{path} is no file")  # opening a pipe would wait for ever
            data = path.read_bytes()
            digest, packed = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
            if hashlib.sha256(packed).digest() != digest:
                raise ValueError(f"{path} is damaged")
            result = self._impl.rebuild(target_context, pickle.loads(packed))
        except FileNotFoundError:
            tell_of_compilation()
            return None
        except Exception as error:  # whatever unpickling makes of what another program wrote
            _warn(f"cannot read compiled kernels ({error}); they are compiled again")
            return None
        with suppress(OSError):  # of others, or of a disk that is only read
            path.touch()
        return result

    def _save_overload(self, sig, data):
        if not self._impl.check_cachable(data):
            return
        packed = dumps(self._impl.reduce(data))
        try:
            path = self._path(sig, data.codegen)
            with replacing_beside_others(path) as draft:
                draft.write_bytes(hashlib.sha256(packed).digest() + packed)
            _forget_old(path.parent)
        except (OSError, MachineError) as error:
            _warn(
                f"cannot keep compiled kernels ({error}), so each run compiles them; NUMBA_CACHE_DIR chooses a folder"
            )

    def _path(self, sig, codegen) -> Path:
        made_of = repr((str(sig), codegen.magic_tuple(), content(self._dispatcher)))
        name = self._dispatcher.py_func.__qualname__
        return folder() / _versions() / f"{name}-{hashlib.sha256(made_of.encode()).hexdigest()[:24]}"


class _Result(CompileResultCacheImpl):
    """How a compiled function becomes bytes; Numba asks for a place, too, which is not used."""

    class _NoPlace(_CacheLocator):
        def __init__(self, file):
            self._py_file = file

        @classmethod
        def from_function(cls, py_func, py_file):
            return cls(py_file)

        def get_cache_path(self):
            return ""

        def get_source_stamp(self):
            return ""

        def get_disambiguator(self):
            return ""

    _locator_classes = [_NoPlace]  # noqa: RUF012


def content(dispatcher) -> str:
    """A digest of all that decides on a kernel's machine code but the types of its arguments and the machine."""
    digest = hashlib.sha256()
    for part in parts(dispatcher):
        digest.update(part.py_func.__module__.encode())  # which an entry names, and another clone may not have
        digest.update(repr(sorted(part.targetoptions.items())).encode())
        digest.update(_code(part.py_func.__code__).encode())
        for name, value in _globals(part.py_func):
            digest.update(f"{name}={_described(value)}".encode())
    return digest.hexdigest()


def _described(value) -> str:
    """What a kernel sees of a global: a function of its own by name, of others by its package; a module of ours, or
    what is defined there, by its source; anything else, such as a number, by its value."""
    if isinstance(value, Dispatcher):
        return value.py_func.__qualname__
    if not (callable(value) or isinstance(value, ModuleType)):
        return repr(value)
    name = value.__name__
    module = value if isinstance(value, ModuleType) else sys.modules[value.__module__]
    ours = module.__name__.split(".")[0] not in ("builtins", "math", "numba", "numpy")
    return f"{module.__name__}.{name} {_source(module.__file__) if ours else ''}"


@cache
def _source(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _code(code: CodeType) -> str:
    constants = [_code(value) if isinstance(value, CodeType) else repr(value) for value in code.co_consts]
    return repr((code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars))


def _globals(function: FunctionType):
    """Name and value of the globals and the closure's variables that a function uses."""
    names, codes = set(), [function.__code__]
    while codes:
        code = codes.pop()
        names.update(code.co_names)
        codes += [value for value in code.co_consts if isinstance(value, CodeType)]
    for name in sorted(names & function.__globals__.keys()):
        yield name, function.__globals__[name]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield name, cell.cell_contents


def _versions() -> str:
    python = ".".join(map(str, sys.version_info[:3]))
    return f"numba-{numba.__version__}-llvmlite-{llvmlite.__version__}-python-{python}"


def _forget_old(place: Path) -> None:
    oldest = time.time() - 86400 * _KEPT_DAYS
    for path in place.iterdir():
        with suppress(OSError):  # another process was as quick, or it is no entry
            if path.stat().st_mtime < oldest:
                path.unlink()


@cache
def _warn(message: str) -> None:
    """Of kernels that meet the same trouble, one tells."""
    warn(message)
