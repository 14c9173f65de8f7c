"""Forks in C, as uWSGI does; in the child a thread starts its first span while another creates the new Resource."""

import ctypes
import os
import threading

from opentelemetry.sdk import trace as sdk

from otel_rs import TracerProvider

provider = TracerProvider(shutdown_on_exit=False)
tracer = provider.get_tracer("fork")
tracer.start_span("parent").end()

detect = sdk._get_process_dependent_resource
detecting, go_on = threading.Event(), threading.Event()


def detect_slowly() -> sdk.Resource:
    detecting.set()
    go_on.wait(0.5)  # reaches the timeout if the second thread waits for the first, as it should
    return detect()


sdk._get_process_dependent_resource = detect_slowly

if pid := ctypes.PyDLL(None).fork():
    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
first = threading.Thread(target=lambda: tracer.start_span("first").end())
first.start()
detecting.wait()
second = tracer.start_span("second")
go_on.set()
first.join()
os._exit(0 if second.resource.attributes["process.pid"] == os.getpid() else 1)
