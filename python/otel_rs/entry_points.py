"""What opentelemetry-instrument finds of this package at every start. It acts only where variables ask for it.

There is no entry point in the group of the configurators: the loader warns at every start of each one that it does not
take. So the distro configures the SDK itself, and for the configurator alone the group that is called next does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_rs.distro import OtelRsDistro

# Not from the settings' table: a start that asks for nothing imports nothing.
_DISTRO, _CONFIGURATOR, _NAME = "OTEL_PYTHON_DISTRO", "OTEL_PYTHON_CONFIGURATOR", "rs"


def load_distro() -> OtelRsDistro | None:
    """The distro ``rs``. None, which the loader skips, unless ``OTEL_PYTHON_DISTRO`` asks for it."""
    if os.environ.get(_DISTRO) != _NAME:
        return None
    from otel_rs.distro import OtelRsDistro

    return OtelRsDistro()


def before_instrumentation() -> None:
    """Configures the SDK where ``OTEL_PYTHON_CONFIGURATOR=rs`` asks for it and the distro has not done it, or where a
    variable asks for a name that nothing has."""
    if os.environ.get(_CONFIGURATOR) == _NAME:
        from otel_rs.distro import configure_for_the_chosen_distro

        configure_for_the_chosen_distro()
    elif os.environ.get(_DISTRO) or os.environ.get(_CONFIGURATOR):
        from otel_rs._misnamed import configure_in_place_of_misnamed

        configure_in_place_of_misnamed()
