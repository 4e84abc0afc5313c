"""Compiling the kernels: plain Python over numpy columns, made machine code by numba (docs/decisions/0017)."""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])

# Its name begins with an underscore because code that allocates cannot be compiled so; ours does not.
_WITHOUT_REFERENCE_COUNTS: Final[dict[str, Any]] = {"_nrt": False}


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
