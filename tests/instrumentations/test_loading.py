"""An instrumentation is loaded when its library is imported. Each program runs in its own process.

The made-up libraries have the names of real ones that are not installed here: which library an instrumentation is for
is known by the name of its instrumentor.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ..support.receiver import DEADLINE_SECONDS

LOADER = "opentelemetry.instrumentation.auto_instrumentation._load"

# Notes when it is imported and what it finds then, and marks the library.
INSTRUMENTOR = """
import builtins, {library}, sys
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

class {name}(BaseInstrumentor):
    def instrumentation_dependencies(self):
        return ()
    def _instrument(self, **kwargs):
        {instrument}
        {library}.Client = type("Instrumented", ({library}.Client,), {{}})
        builtins.loaded = [*getattr(builtins, "loaded", []), "{name}"]
    def _uninstrument(self, **kwargs):
        pass
"""

KINDS = {
    "pika": "PikaInstrumentor",
    "redis": "RedisInstrumentor",
    "pymssql": "PyMSSQLInstrumentor",
    "unheard_of": "UnheardOfInstrumentor",
}


class Site:
    """A folder on the path, with libraries and instrumentations."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def library(self, name: str, body: str = "") -> None:
        (self.folder / f"{name}.py").write_text(f"{body}\nclass Client: pass\n")
        self.distribution(name)

    def distribution(self, name: str, entry_points: str = "", version: str = "1", requires: str = "") -> None:
        information = self.folder / f"{name}-{version}.dist-info"
        information.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        metadata += (
            f'Provides-Extra: instruments\nRequires-Dist: {requires}; extra == "instruments"\n' if requires else ""
        )
        (information / "METADATA").write_text(metadata)
        (information / "entry_points.txt").write_text(entry_points)

    def instrumentation(
        self, library: str, instrument: str = "pass", body: str | None = None, requires: str = ""
    ) -> None:
        module, kind = f"{library}", KINDS[library]
        place = self.folder / "opentelemetry" / "instrumentation" / f"{module}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(body or INSTRUMENTOR.format(library=library, name=kind, instrument=instrument))
        entry_point = f"{library} = opentelemetry.instrumentation.{module}:{kind}"
        self.distribution(
            f"otel_{library}", f"[opentelemetry_instrumentor]\n{entry_point}\n", requires=requires or library
        )

    def both(self, library: str, **instrumentation: str) -> None:
        self.library(library)
        self.instrumentation(library, **instrumentation)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder)


Run = Callable[..., "Done"]


class Done:
    def __init__(self, stdout: str, stderr: str) -> None:
        self.stderr = stderr
        self.result = json.loads(stdout) if stdout.strip() else None


@pytest.fixture
def run(tmp_path: Path, site: Site) -> Run:
    """`run(program, VARIABLE=value)` runs it with the site on its path; what it prints is JSON."""

    def start(program: str, *options: str, **environment: str) -> Done:
        script = tmp_path / "program.py"
        script.write_text(program)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
        exporters = dict.fromkeys((f"OTEL_{signal}_EXPORTER" for signal in ("TRACES", "METRICS", "LOGS")), "none")
        done = subprocess.run(
            [sys.executable, "-m", "otel_rs.cli", "run", *(options or [str(script)])],
            env={**inherited, **exporters, "PYTHONPATH": str(site.folder), **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return Done(done.stdout, done.stderr)

    return start


# --- When ------------------------------------------------------------------------------------------------------------

IMPORTED = """
import json, sys
{imports}
libraries = "flask", "django", "fastapi", "celery", "sqlalchemy", "httpx", "grpc"
print(json.dumps([name for name in libraries if name in sys.modules]))
"""


def test_a_library_that_the_program_does_not_use_is_not_imported(run: Run) -> None:
    assert run(IMPORTED.format(imports="import flask")).result == ["flask"]


def test_all_are_imported_at_the_start_if_the_setting_says_so(run: Run) -> None:
    eager = run(IMPORTED.format(imports=""), OTEL_RS_LAZY_INSTRUMENTATIONS="false")
    assert eager.result == ["flask", "django", "fastapi", "celery", "sqlalchemy", "httpx", "grpc"]


def test_a_bad_setting_costs_itself(run: Run) -> None:
    done = run(IMPORTED.format(imports=""), OTEL_RS_LAZY_INSTRUMENTATIONS="perhaps")
    assert done.result == []
    (line,) = done.stderr.splitlines()
    assert line.startswith("OTEL_RS_LAZY_INSTRUMENTATIONS is 'perhaps'")


@pytest.mark.parametrize(
    "imports",
    [
        "from pika import Client",
        "import pika; Client = pika.Client",
        "from importlib import import_module; Client = import_module('pika').Client",
        "import importlib.util as u; s = u.find_spec('pika'); m = u.module_from_spec(s); import sys; "
        "sys.modules['pika'] = m; s.loader.exec_module(m); Client = m.Client",
        "from opentelemetry.instrumentation.pika import PikaInstrumentor; from pika import Client",
        "def f():\n    from pika import Client\n    return Client\nClient = f()",
    ],
)
def test_whoever_imports_the_library_gets_the_instrumented_one(run: Run, site: Site, imports: str) -> None:
    site.both("pika")
    program = f"import builtins, json\nassert not hasattr(builtins, 'loaded')\n{imports}\n"
    program += "print(json.dumps([Client.__name__, builtins.loaded]))"
    done = run(program)
    assert done.result == ["Instrumented", ["PikaInstrumentor"]]
    assert done.stderr == ""


@pytest.mark.parametrize("imports", ["from flask import Flask", "import flask.app; from flask import Flask"])
def test_flask(run: Run, imports: str) -> None:
    assert run(f"{imports}\nimport json; print(json.dumps(Flask.__name__))").result == "_InstrumentedFlask"


def test_under_opentelemetry_instrument(run: Run, site: Site, tmp_path: Path) -> None:
    site.both("pika")
    program = tmp_path / "under.py"
    program.write_text("import builtins, json\nearly = hasattr(builtins, 'loaded')\nfrom pika import Client\n")
    with program.open("a") as file:
        file.write("print(json.dumps([early, Client.__name__]))")
    code = "import sys; from opentelemetry.instrumentation.auto_instrumentation import run; sys.argv[0] = 'x'; run()"
    # `otel-rs run` sets nothing up twice: it runs what comes after it.
    lazy = run("", sys.executable, "-c", code, sys.executable, str(program), OTEL_PYTHON_DISTRO="rs")
    assert lazy.result == [False, "Instrumented"]


# --- Which are loaded at the start -----------------------------------------------------------------------------------

LOADED = "import builtins, json, sys\nprint(json.dumps([getattr(builtins, 'loaded', []), 'pika' in sys.modules]))"


def test_one_that_we_do_not_know_is_loaded_at_the_start(run: Run, site: Site) -> None:
    site.both("unheard_of")
    assert run(LOADED).result == [["UnheardOfInstrumentor"], False]


def test_one_whose_library_is_imported_already(run: Run, site: Site) -> None:
    site.both("pika")
    site.both("unheard_of")
    (site.folder / "sitecustomize.py").write_text("import pika")
    assert run(LOADED).result[0] == ["PikaInstrumentor", "UnheardOfInstrumentor"]


def test_all_are_loaded_before_what_is_to_run_after_them(run: Run, site: Site) -> None:
    site.both("pika")
    site.distribution("later", "[opentelemetry_post_instrument]\nlater = later:later\n")
    (site.folder / "later.py").write_text("import builtins\ndef later(): builtins.loaded.append('later')")
    assert run(LOADED).result == [["PikaInstrumentor", "later"], True]


def test_a_disabled_one_is_not_loaded(run: Run, site: Site) -> None:
    site.both("pika")
    done = run("import pika\n" + LOADED, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="pika")
    assert done.result == [[], True]


def test_one_for_another_version_of_the_library_is_not_loaded_and_the_error_is_upstreams(run: Run, site: Site) -> None:
    site.both("pika", requires="pika >= 2")
    lazy, eager = (run("import pika\n" + LOADED, OTEL_RS_LAZY_INSTRUMENTATIONS=lazy) for lazy in ("true", "false"))
    assert lazy.result == eager.result == [[], True]
    assert lazy.stderr == eager.stderr
    assert 'pika only instruments "pika>=2; extra == "instruments"", but' in lazy.stderr


# --- Several ---------------------------------------------------------------------------------------------------------


def test_a_library_that_another_one_imports_waits_for_the_whole_of_it(run: Run, site: Site) -> None:
    """As if the outer one's instrumentation had come first, so that its classes derive from those that are plain."""
    site.library("redis", "assert 'pika' in __import__('sys').modules")
    site.library("pika", "from redis import Client as Inner")
    site.instrumentation("redis")
    site.instrumentation("pika", instrument="assert 'redis' in sys.modules")
    program = "import pika, redis\nimport builtins, json\n"
    done = run(program + "print(json.dumps([sorted(builtins.loaded), pika.Inner.__name__, redis.Client.__name__]))")
    assert done.result == [["PikaInstrumentor", "RedisInstrumentor"], "Client", "Instrumented"]


def test_an_instrumentation_that_imports_another_library(run: Run, site: Site) -> None:
    site.both("redis")
    site.both("pika", instrument="import redis")
    done = run("import pika\n" + LOADED)
    assert done.result[0] == ["PikaInstrumentor", "RedisInstrumentor"]


def test_several_for_one_library_are_loaded_in_the_order_of_their_entry_points(run: Run, site: Site) -> None:
    site.library("grpc")
    body = "import builtins\nfrom opentelemetry.instrumentation.instrumentor import BaseInstrumentor\n"
    names = ["GrpcInstrumentorServer", "GrpcAioInstrumentorClient", "GrpcInstrumentorClient"]
    for name in names:
        body += f"class {name}(BaseInstrumentor):\n"
        body += "    def instrumentation_dependencies(self): return ()\n    def _uninstrument(self, **kwargs): pass\n"
        body += "    def _instrument(self, **kwargs):\n"
        body += f"        builtins.loaded = [*getattr(builtins, 'loaded', []), '{name}']\n"
    place = site.folder / "opentelemetry" / "instrumentation" / "grpc.py"
    place.parent.mkdir(parents=True)
    place.write_text(body)
    points = "".join(f"made{number} = opentelemetry.instrumentation.grpc:{name}\n" for number, name in enumerate(names))
    site.distribution("otel_grpc", f"[opentelemetry_instrumentor]\n{points}")
    assert run("import grpc\n" + LOADED, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="x").result[0] == names


# --- Failures --------------------------------------------------------------------------------------------------------

FAILURES = {
    "raise ImportError('broken')": "Importing of pika failed, skipping it",
    "raise ValueError('broken')": "Instrumenting of pika failed",
    "import not_there": "Skipping instrumentation pika: No module named 'not_there'",
}
TO_STDERR = "import logging\nlogging.basicConfig(level=logging.DEBUG, format='%(name)s %(levelname)s %(message)s')\n"


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_costs_itself_and_the_loaders_line(run: Run, site: Site, failure: str) -> None:
    site.both("pika", instrument=failure)
    site.both("redis")
    done = run(TO_STDERR + "import pika, redis\n" + LOADED)
    assert done.result[0] == ["RedisInstrumentor"]
    lines = [line for line in done.stderr.splitlines() if line.startswith(LOADER)]
    level = "DEBUG" if failure.startswith("import") else "ERROR"
    assert lines == [f"{LOADER} {level} {FAILURES[failure]}", f"{LOADER} DEBUG Instrumented redis"]


def test_the_line_that_one_is_instrumented_comes_when_it_is(run: Run, site: Site) -> None:
    site.both("pika")
    log = "import logging\nlogging.basicConfig(level=logging.DEBUG, format='%(name)s %(levelname)s %(message)s')\n"
    (site.folder / "sitecustomize.py").write_text(log)
    done = run("import logging\nlogging.info('begin')\nimport pika\nlogging.info('end')")
    lines = [line for line in done.stderr.splitlines() if " Instrumented " in line or line.startswith("root")]
    assert [line for line in lines if "logging" not in line] == [
        "root INFO begin",
        f"{LOADER} DEBUG Instrumented pika",
        "root INFO end",
    ]


def test_a_library_that_is_imported_at_the_second_attempt(run: Run, site: Site) -> None:
    site.library("pika", "import builtins, redis\nassert hasattr(builtins, 'works'), 'the first time'")
    site.library("redis")
    site.instrumentation("pika")
    site.instrumentation("redis")
    program = "import builtins\ntry: import pika\nexcept AssertionError: builtins.works = list(builtins.loaded)\n"
    program += (
        "from pika import Client\nimport json\nprint(json.dumps([builtins.works, builtins.loaded, Client.__name__]))"
    )
    assert run(program).result == [["RedisInstrumentor"], ["RedisInstrumentor", "PikaInstrumentor"], "Instrumented"]


# --- Other ways of importing -----------------------------------------------------------------------------------------


def test_threads_that_import_at_once_all_get_the_instrumented_one(run: Run, site: Site) -> None:
    site.library("pika", "import time; time.sleep(0.05)")
    site.instrumentation("pika", instrument="import time; time.sleep(0.05)")
    program = """
import builtins, json, sys, threading
sys.setswitchinterval(1e-5)
ways = (
    "from pika import Client",
    "import pika; Client = pika.Client",
    "from opentelemetry.instrumentation.pika import PikaInstrumentor; from pika import Client",
)
found, start = [], threading.Barrier(6)
def imports(way):
    names = {}
    start.wait()
    exec(way, names)
    found.append(names["Client"].__name__)
threads = [threading.Thread(target=imports, args=(way,)) for way in ways * 2]
for thread in threads: thread.start()
for thread in threads: thread.join()
import pika
print(json.dumps([len(found), builtins.loaded, pika.Client.__name__]))
"""
    done = run(program)
    assert done.result == [6, ["PikaInstrumentor"], "Instrumented"]
    assert done.stderr == ""


def test_the_module_is_as_without_us(run: Run, site: Site) -> None:
    site.both("pika")
    program = """
import importlib, importlib.util, inspect, json
spec = importlib.util.find_spec("pika")
before = [spec.origin, spec.loader.get_filename("pika"), spec.loader.is_package("pika"), spec.loader.path]
import pika
loader = pika.__loader__
after = [pika.__file__, inspect.getsource(pika) != "", type(loader).__name__, pika.__spec__.loader is loader]
again = importlib.reload(pika)
print(json.dumps([before, after, again.Client.__name__]))
"""
    file = str(site.folder / "pika.py")
    assert run(program).result == [[file, file, False, file], [file, True, "SourceFileLoader", True], "Client"]


def test_a_lazy_loader(run: Run, site: Site) -> None:
    site.both("pika")
    program = """
import builtins, importlib.util, json, sys
spec = importlib.util.find_spec("pika")
spec.loader = importlib.util.LazyLoader(spec.loader)
module = importlib.util.module_from_spec(spec)
sys.modules["pika"] = module
spec.loader.exec_module(module)
early = hasattr(builtins, "loaded")
module.Client
print(json.dumps([early, module.Client.__name__]))
"""
    assert run(program).result == [False, "Instrumented"]


def test_a_library_in_an_archive(run: Run, site: Site) -> None:
    site.both("pika")
    archive = site.folder.parent / "libraries.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(site.folder / "pika.py", "pika.py")
    (site.folder / "pika.py").unlink()
    program = "import json, pika\nprint(json.dumps([pika.Client.__name__, type(pika.__loader__).__name__]))"
    paths = os.pathsep.join([str(site.folder), str(archive)])
    assert run(program, PYTHONPATH=paths).result == ["Instrumented", "zipimporter"]


def test_a_library_that_is_run_as_a_program(run: Run, site: Site) -> None:
    site.library("pika", "if __name__ == '__main__': print('[1]')")
    site.instrumentation("pika")
    assert run("", "-m", "pika").result == [1]


def test_celery_which_puts_another_module_in_its_place(run: Run) -> None:
    program = "import json\nfrom celery import Celery\nfrom celery.signals import task_prerun\n"
    assert run(program + "print(json.dumps(len(task_prerun.receivers)))").result == 1
