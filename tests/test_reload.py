"""`importlib.reload` of any module of ours leaves a working program."""

from .support.program import run


def test_a_program_goes_on_after_each_module_was_reloaded() -> None:
    done = run(
        """
        import importlib, sys
        import otel_rs
        otel_rs.install()
        from opentelemetry.sdk import trace as sdk
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        import otel_rs.cli, otel_rs.distro, otel_rs.settings.page, otel_rs.trace.sampling
        import otel_rs.exporter.otlp.grpc, otel_rs.exporter.otlp.http
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

        memory = InMemorySpanExporter()
        provider = sdk.TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(memory))
        old = provider.get_tracer("x").start_span("old")
        before = {name: module.__spec__ for name, module in sys.modules.items() if name.startswith("otel_rs")}
        assert len(before) > 40, before
        for name in sorted(before):
            module = sys.modules[name]
            assert importlib.reload(module) is module
            provider.get_tracer(name).start_span(name).end()
            assert isinstance(provider, otel_rs.TracerProvider)
            assert isinstance(old, sdk.Span)
            assert sdk.TracerProvider is otel_rs.TracerProvider
            assert native(OTLPSpanExporter("http://127.0.0.1:1/v1/traces"))
            assert native(OTLPMetricExporter("http://127.0.0.1:1"))
        old.end()
        assert provider.force_flush()
        assert sorted(span.name for span in memory.get_finished_spans()) == sorted([*before, "old"])
        assert all(sys.modules[name].__spec__ is spec for name, spec in before.items())
        fresh = otel_rs.TracerProvider(shutdown_on_exit=False)
        fresh.add_span_processor(otel_rs.BatchSpanProcessor(memory))
        fresh.get_tracer("x").start_span("fresh").end()
        assert fresh.force_flush()
        assert memory.get_finished_spans()[-1].name == "fresh"
        otel_rs.uninstall()
        assert not native(sdk.TracerProvider)
        print("done")
        """
    )
    assert done.stdout.strip() == "done"
    assert not done.stderr
