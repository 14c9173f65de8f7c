"""The examination, in its order."""

from __future__ import annotations

from otel_rs.doctor.choice import choices
from otel_rs.doctor.delivery import deliveries, deliveries_of_file
from otel_rs.doctor.file import file, of_file
from otel_rs.doctor.findings import Examination
from otel_rs.doctor.in_force import complaints, in_force
from otel_rs.doctor.lines import Lines
from otel_rs.doctor.versions import versions
from otel_rs.settings import forget_reports, read
from otel_rs.settings.table import SDK_DISABLED


def examine(timeout: float, *, sends: bool = True) -> Examination:
    """`timeout`: seconds that the receiver may take. `sends`: whether it is asked at all."""
    path = file()
    with Lines():
        set_up = list(choices())
        config, about_file = of_file(path) if path else (None, [])
        settings = in_force()
    found = Examination(versions(), [*set_up, *about_file], settings, complaints())
    is_loaded = set_up[0].status == "ok"
    if sends and is_loaded and not read(SDK_DISABLED).value:
        if path is None:
            found.delivery = deliveries(timeout)
        elif config is not None:
            found.delivery = deliveries_of_file(config)
    forget_reports()
    return found
