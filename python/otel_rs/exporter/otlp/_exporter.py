"""What the OTLP exporters of all signals have in common."""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from opentelemetry.metrics import MeterProvider

from otel_rs import _native, exit
from otel_rs._reload import keep_modules
from otel_rs.exporter.otlp._config import BeyondNative, Prepared, make_native
from otel_rs.exporter.otlp._stock import StockMissingError, distribution, stock_class
from otel_rs.exporter.otlp._stock_names import has_overridden_name
from otel_rs.exporter.otlp._twin import Follower, Twin
from otel_rs.settings import corrected_environment, read
from otel_rs.settings.kinds import without_secrets
from otel_rs.settings.reading import arguments_raise, report_bad
from otel_rs.settings.table import INTERNAL_METRICS, Signal

if TYPE_CHECKING:
    from otel_rs.exporter.otlp._exporter_metrics import ExporterMetrics

_logger = logging.getLogger(__name__)


class Arguments(Protocol):
    """The arguments that a protocol's exporters have in common."""

    def prepare(self, signal: Signal, max_data_points: int | None) -> Prepared: ...


class NativeExporter:
    """Base of the OTLP exporters: a native exporter, its counters, and its stock twin.

    None of its private names is one of the stock exporters', which are in the classes' `StockName`s.
    """

    _signal: Signal
    _stock_names: ClassVar[frozenset[str]]
    _package: ClassVar[str]
    """The stock exporter's: ``grpc`` or ``http``."""
    _shutdown_logger: logging.Logger = _logger
    """Where a call after the shutdown is reported."""
    _own_metrics: ExporterMetrics | None = None

    def _prepare(
        self, arguments: Arguments, meter_provider: MeterProvider | None, max_data_points: int | None = None
    ) -> None:
        keep_modules()
        exit.arrange()
        prepared = arguments.prepare(self._signal, max_data_points)
        self._native = make_native(prepared.config, prepared.sources)
        self._endpoint_url = prepared.config.endpoint
        self._protocol_name = prepared.config.protocol
        self._meter_provider = meter_provider
        self._twin = Twin(prepared.stock_arguments, {**prepared.known, "_max_export_batch_size": max_data_points})
        beyond = prepared.beyond_native
        if beyond is None and has_overridden_name(type(self)):
            beyond = BeyondNative(f"{type(self).__name__} overrides a private name of the stock exporter")
        if beyond is not None and not self._has_stock(beyond):
            self._native = _native.OtlpExporter.that_sends_nothing(prepared.config)
        self._measure(meter_provider)
        if beyond is not None and self._twin.stock is not None:
            self._let_stock_export(logging.WARNING, beyond.why)
        elif prepared.watch is not None:
            prepared.watch(weakref.WeakMethod(self._argument_changed))

    @property
    def protocol(self) -> str:
        """As ``OTEL_EXPORTER_OTLP_PROTOCOL`` has it."""
        return self._protocol_name

    @property
    def endpoint_shown(self) -> str:
        """Where it sends, without user info and query, which may be secrets."""
        return without_secrets(self._endpoint_url)

    def __repr__(self) -> str:
        if "_protocol_name" not in vars(self):  # its constructor has not come so far
            return object.__repr__(self)
        return f"{type(self).__qualname__}(endpoint={self.endpoint_shown!r}, protocol={self._protocol_name!r})"

    # --- The stock exporter, for what the native one cannot do -------------------------------------------------------

    @classmethod
    def _stock_class(cls) -> type[Any]:
        return stock_class(cls._package, cls._signal)

    def _stock(self) -> Any:
        """The twin. Raises StockMissingError, and what the constructor of the stock exporter raises."""
        if self._twin.stock is not None:
            return self._twin.stock
        cls = self._stock_class()
        # Its constructor raises for some of the variables that we have reported and left out.
        with corrected_environment():
            arguments = {**self._twin.arguments(), **self._more_stock_arguments()}
            stock = cls(**arguments, meter_provider=self._meter_provider)
        if self._own_metrics:
            self._own_metrics.share_name(stock._metrics)
        if self._native.is_shut_down():
            stock.shutdown()
        return self._twin.keep(stock)

    def _more_stock_arguments(self) -> dict[str, Any]:
        """Those that only this signal's exporters have."""
        return {}

    def _has_stock(self, beyond: BeyondNative) -> bool:
        """Makes the stock exporter that has to export, or says why nothing can be sent."""
        try:
            self._stock()
        except Exception as error:
            # Of others' errors the type alone: the text may have a secret in it.
            problem = str(error) if isinstance(error, StockMissingError) else f"it raised {type(error).__name__}"
            message = f"{beyond.why}, which only the stock exporter can use, and {problem}"
            _logger.debug("The stock exporter cannot be made", exc_info=error)
            if beyond.variable is None and arguments_raise():
                raise ValueError(message) from error
            source = beyond.variable or f"arguments of {type(self).__name__}"
            instead = "The exporter sends nothing and counts what it gets as failed."
            report_bad(source, beyond.text or message, None, f": {message}", instead)
            return False
        return True

    def _has_twin(self) -> bool:
        """Whether the constructor has come so far."""
        return "_twin" in vars(self)

    def _let_stock_export(self, level: int, why: str) -> None:
        """From now on. One line says so."""
        if not self._twin.in_charge:
            package = distribution(self._package)
            _logger.log(level, "%s of %s: %s sends from now on: %s.", type(self).__name__, self._signal, package, why)
            self._twin.take_over()

    def _argument_changed(self) -> None:
        """Only the stock exporter looks at it for every request."""
        if self._twin.in_charge:
            return
        try:
            self._stock()
        except Exception as error:
            problem = str(error) if isinstance(error, StockMissingError) else f"it raised {type(error).__name__}"
            message = f": only the stock exporter can use a session that was changed, and {problem}"
            report_bad("argument session", message, None, message, "It counts as it was when the exporter was made.")
        else:
            self._let_stock_export(logging.INFO, "the session was changed")

    def _stock_exports(self) -> bool:
        if not self._twin.in_charge and has_overridden_name(type(self)):
            self._stock()
            self._let_stock_export(logging.INFO, "a private name of its class was replaced")
        return self._twin.in_charge

    def _export_by_stock(self, data: Any, items: int) -> Any:
        """The result of the stock class's ``export``. It is called with this exporter, so that it uses what a subclass
        overrides."""
        results = []

        def send() -> bool:
            results.append(type(self._stock()).export(self, data))
            return bool(results[0].name == "SUCCESS")

        self._native.export_elsewhere(items, send)
        return results[0]

    # --- Metrics, counters, the end ----------------------------------------------------------------------------------

    def _measure(self, meter_provider: MeterProvider | None) -> None:
        """The SDK's own metrics go to this provider, or to the global one, from now on."""
        if not read(INTERNAL_METRICS).value:
            return
        # Not imported where nobody measures.
        from otel_rs.exporter.otlp._exporter_metrics import ExporterMetrics

        self._record_metrics()
        self._own_metrics = ExporterMetrics(self._native, self._signal, self._endpoint_url, meter_provider)
        if self._twin.stock is not None:
            self._own_metrics.share_name(self._twin.stock._metrics)

    def _record_metrics(self) -> None:
        if self._own_metrics:
            self._own_metrics.record()

    def counts(self) -> dict[str, int]:
        """What became of what was given to it, by ``export`` and by processors: spans, data points
        or log records.

        ``exported`` the receiver accepted; ``rejected`` it refused in a request that it took;
        ``failed`` were in exports that failed; ``dropped`` were too large for the receiver each by itself;
        ``in_flight`` are in exports under way. ``retries`` are attempts after a first one that failed. ``bytes`` are
        those of the requests before compression, once whatever the number of attempts, and once more for the parts of
        a request that was too large.

        Where the stock exporter sends, its items are ``exported`` or ``failed``, and it counts no retries and bytes.

        They are this process's: a forked child's start at zero.
        """
        return self._native.counts()

    def _refuses_after_shutdown(self) -> bool:
        """Whether it was shut down, which is logged."""
        if self._native.is_shut_down():
            self._shutdown_logger.warning("Exporter already shutdown, ignoring batch")
            return True
        return False

    def _shut_down(self) -> None:
        first = self._native.shutdown()
        stock = self._twin.stock
        if stock is not None and not stock._shutdown:
            stock.shutdown()
        elif not first:
            self._shutdown_logger.warning("Exporter already shutdown, ignoring call")
        self._record_metrics()


def follow_exporter(exporter: object, follower: Follower) -> None:
    """The follower, to which nothing here keeps a strong reference, is told when the exporter leaves the native way, or
    that it did."""
    if isinstance(exporter, NativeExporter):
        exporter._twin.followers.add(follower)
        if exporter._twin.in_charge:
            follower.exporter_left_native()


def native_part(exporter: object, base: type[Any]) -> _native.OtlpExporter | None:
    """The native part that a processor may use in the place of an exporter of the base class, unless a subclass has its
    own ``export`` or the stock exporter exports."""
    if not isinstance(exporter, NativeExporter) or not isinstance(exporter, base):
        return None
    if type(exporter).export is not base.export or "export" in vars(exporter):  # type: ignore[attr-defined]
        return None
    return None if exporter._stock_exports() else exporter._native
