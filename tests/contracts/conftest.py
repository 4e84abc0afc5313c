"""Every contract test runs against each backend of the log."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from tests.backends import Backend
from tongluo.log.port import Log


@pytest.fixture
def open_backend(backend: Backend) -> Callable[[], AbstractAsyncContextManager[Log]]:
    return backend.open
