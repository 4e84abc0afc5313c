"""Compiling the kernels: plain Python over numpy columns, made machine code by numba (docs/decisions/0017)."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])

# Its name begins with an underscore because code that allocates cannot be compiled so; ours does not.
_WITHOUT_REFERENCE_COUNTS: Final[dict[str, Any]] = {"_nrt": False}
_SOURCES: Final = Path(__file__).parent
_KEPT: Final = "kernels-"


def _place() -> Path:
    """Where the machine code of just these sources is kept: numba notices a change of a function's own file, and none of
    what it calls or takes from another, and would go on with machine code of constants that have changed."""
    digest = hashlib.sha256()
    for source in sorted(_SOURCES.glob("*.py")):
        digest.update(source.read_bytes())
    return _whereabouts() / f"{_KEPT}{digest.hexdigest()[:12]}"


def _whereabouts() -> Path:
    """Where NUMBA_CACHE_DIR says; else beside the sources, or in the user's cache where those may not be written."""
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(given)
    beside = _SOURCES / "__pycache__"
    if os.access(beside if beside.exists() else _SOURCES, os.W_OK):
        return beside
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tongluo"


_PLACE: Final = _place()
numba.config.CACHE_DIR = str(_PLACE)  # type: ignore[attr-defined] # made at runtime of the environment


def forget_others() -> None:
    """Remove what was compiled of other sources."""
    for other in _PLACE.parent.glob(f"{_KEPT}*"):
        if other != _PLACE:
            shutil.rmtree(other, ignore_errors=True)


def compiled(function: F) -> F:
    """The same function as machine code, kept between starts where there is a place to keep it.

    Deterministic: no fast-math, one thread. `.py_func` is the Python it was made of. It may not allocate: without numba's
    reference counts a call costs a fraction of what it costs with them, and what would allocate does not compile.
    """
    return _made(function, forceinline=False)


def inlined(function: F) -> F:
    """The same, as a part of whoever calls it: a call copies the headers of all arrays it is given."""
    return _made(function, forceinline=True)


def _made(function: F, *, forceinline: bool) -> F:
    try:
        made = numba.njit(cache=True, forceinline=forceinline, **_WITHOUT_REFERENCE_COUNTS)(function)
    except RuntimeError:
        # Neither beside the source nor in the user's cache may be written: compiled anew at every start.
        made = numba.njit(forceinline=forceinline, **_WITHOUT_REFERENCE_COUNTS)(function)
    return cast("F", made)
