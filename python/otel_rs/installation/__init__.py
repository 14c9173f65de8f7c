"""``install``: the native classes under upstream's names, for programs that import those.

`replacements` says what goes where, `exchange` puts it there and back, `importing` reaches modules that are imported
later, `on_demand` keeps the exporters' modules from importing what nobody needs, and `stand_ins` makes those that are
not installed.
"""

from __future__ import annotations

import logging
import sys
import threading
from importlib import import_module
from types import ModuleType

from opentelemetry import trace as trace_api

from otel_rs._announced import tell_installed
from otel_rs._finder import FINDER
from otel_rs._last_resort import show_on_stderr
from otel_rs._reload import keep_modules
from otel_rs.installation.exchange import Exchange
from otel_rs.installation.importing import NativeModules
from otel_rs.installation.releases import why_unknown
from otel_rs.installation.replacements import DEFERRED_MODULES, replacements
from otel_rs.installation.stand_ins import StandIns
from otel_rs.settings import read, tolerate_arguments
from otel_rs.settings.table import LOG_LEVEL

_logger = logging.getLogger("otel_rs")

STOCK_IS_USED = "The stock SDK is used instead of otel-rs: %s"

_changing = threading.RLock()
_exchange: Exchange | None = None
_native_modules: NativeModules | None = None
_stand_ins = StandIns()


def install() -> None:
    """Puts the native classes under their names in ``opentelemetry.sdk.*`` and ``opentelemetry.exporter.otlp.*``.

    Call it before anything else imports those: a name that a module took earlier stays what it was, and so does a
    provider that exists already, of which a warning tells. What was replaced is in a debug line of the logger
    ``otel_rs``. Calling it again changes nothing. Threads may call it at once. ``uninstall`` undoes it.

    At info level one line tells what is native, and one for each signal where it goes, once its provider has an
    exporter. ``OTEL_LOG_LEVEL=info`` shows them.

    Until then an argument that the stock class would take does not raise, in any module: a bad one is reported and left
    out, as a bad variable is.

    On a release of opentelemetry-sdk that is newer than the known ones it does nothing but say so:
    `OTEL_RS_UNKNOWN_SDK` (false).
    """
    global _exchange, _native_modules
    if (level := read(LOG_LEVEL).value) is not None:
        show_on_stderr(_logger, level)
    if (why := why_unknown()) is not None:
        _logger.warning(STOCK_IS_USED, why)
        return
    wanted = replacements()
    with _changing:
        if _exchange is not None:
            return
        exchange = _exchange = Exchange(wanted)
        # What the program passes is meant for the stock classes.
        tolerate_arguments(True)
        _native_modules = NativeModules(wanted, DEFERRED_MODULES, _put)
        # First, so that none is missed that another thread imports meanwhile.
        FINDER.add(_stand_ins, _stand_ins.names)
        FINDER.add(_native_modules, wanted)
        keep_modules()
        _put_in_imported(exchange)
    if _logger.isEnabledFor(logging.DEBUG):
        _logger.debug(
            "Replaced %s. On import: %s. Imported earlier and not native: %s.",
            ", ".join(exchange.places()),
            ", ".join(sorted(name for name in wanted if name not in sys.modules)) or "nothing",
            ", ".join(_taken_earlier(exchange)) or "nothing",
        )
    tell_installed()
    _warn_of_a_provider()


def reach_names_taken_earlier() -> None:
    """Puts the native classes also where other packages' modules took the stock ones before `install`."""
    if (exchange := _exchange) is not None:
        for module in _modules_of_others():
            exchange.reach(module)


def uninstall() -> None:
    """Puts upstream's classes back. Without ``install`` it does nothing.

    Objects made meanwhile stay what they are, and so do names that other modules took meanwhile.
    """
    global _exchange, _native_modules
    with _changing:
        if _exchange is None or _native_modules is None:
            return
        FINDER.remove(_native_modules)
        FINDER.remove(_stand_ins)
        # A thread may have found a module before the finder was there, and imported it with native names after.
        _put_in_imported(_exchange)
        _exchange.restore()
        _stand_ins.remove_modules()
        tolerate_arguments(False)
        _exchange = _native_modules = None


def _put_in_imported(exchange: Exchange) -> None:
    for name in exchange.wanted:
        if name in sys.modules:
            # Waits for a thread that is still importing it.
            exchange.put(import_module(name))


def _put(module: ModuleType) -> None:
    """By the installation of now: a module may outlast the one that it was imported under.

    A module that its package imports has to wait for the rest of that, which the native classes need.
    """
    if (exchange := _exchange) is None:
        return
    package = module.__name__.rpartition(".")[0]
    if package in exchange.wanted and getattr(sys.modules[package].__spec__, "_initializing", False):
        return
    exchange.put(module)
    for name in exchange.wanted:
        if name.rpartition(".")[0] == module.__name__ and (submodule := sys.modules.get(name)) is not None:
            exchange.put(submodule)


def _taken_earlier(exchange: Exchange) -> list[str]:
    """Names in the program's modules for classes that were replaced too late for them."""
    originals = {id(original) for original in exchange.originals() if isinstance(original, type)}
    return sorted(
        f"{module.__name__}.{attribute}"
        for module in _modules_of_others()
        for attribute, value in list(vars(module).items())
        if id(value) in originals
    )


def _modules_of_others() -> list[ModuleType]:
    return [
        module
        for name, module in list(sys.modules.items())
        if isinstance(module, ModuleType) and name.partition(".")[0] not in ("opentelemetry", "otel_rs")
    ]


def _warn_of_a_provider() -> None:
    from otel_rs.trace import TracerProvider

    provider = trace_api._TRACER_PROVIDER
    if provider is not None and not isinstance(provider, TracerProvider):
        _logger.warning(
            "The program set a tracer provider before otel_rs.install(): %s.%s stays in use, and so do its processors, "
            "which are not native. Call install() before the provider is made.",
            type(provider).__module__,
            type(provider).__qualname__,
        )
