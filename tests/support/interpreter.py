"""What kind of Python runs the tests."""

from __future__ import annotations

import sysconfig

import pytest

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

# Without the GIL, Python collects garbage between two instructions of Python code alone, and seldom.
collects_at_allocations = pytest.mark.skipif(FREE_THREADED, reason="allocations collect no garbage")
# Without the GIL, Python has mimalloc alone.
has_c_allocator = pytest.mark.skipif(FREE_THREADED, reason="Python cannot use C's allocator")
