"""The table of settings as a page of Markdown: `docs/configuration.md`."""

from __future__ import annotations

from otel_rs.settings.table import GROUPS, Setting

_INTRODUCTION = """\
# Configuration

Made by `python -m otel_rs.settings`. These are the environment variables that this package reads, or that the parts of
the SDK that it sets up read.

**Order.** An argument comes first, then the signal's variable, then the general one, then the default. Where a signal's
form is listed, `[SIGNAL_]` stands for `TRACES_`, `METRICS_`, `LOGS_` or nothing: the general form. An empty variable
counts as not set. Spaces around a value are left out, and quotes that a file or a shell left around it, with a warning.

**A bad value costs itself.** The next one in the order counts, so a signal's variable that is bad leaves the general
one in force. One error line of the logger `otel_rs.settings` names the variable, its value (no header value; no user
info or query of an endpoint), what is accepted and what is done instead, once in a process. Nothing raises, and the
other signals and the program go on. Numbers that are too large count as the largest one. There are two exceptions:

- a bad truth value counts as false, as the specification wants;
- an endpoint or a certificate's file has no substitute: data must not go to another receiver, or without the
  authentication that was asked for, and nothing wider is trusted. The exporter sends nothing and counts what it gets as
  failed. Of `SSL_CERT_FILE` and `SSL_CERT_DIR` one may be bad.

**A bad argument raises ValueError.** While `otel_rs.install()` is in force it is treated as a bad variable is, unless
the stock class refuses it as well: the program was written for the stock SDK.
"""


def page() -> str:
    parts = [_INTRODUCTION]
    for title, settings in GROUPS.items():
        parts.append(f"\n## {title}\n\n| variable | accepted | default | what for |\n|---|---|---|---|\n")
        parts.extend(_row(setting) for setting in settings)
    return "".join(parts)


def _row(setting: Setting) -> str:
    variable = setting.variable
    if setting.of_signals:
        variable = variable.replace("OTLP_", "OTLP_[SIGNAL_]")
    purpose = setting.purpose
    if setting.secret:
        purpose += " Secret."
    if setting.general:
        purpose += f" Else `{setting.general.variable}` counts."
    return f"| `{variable}` | {setting.kind.accepted} | {_default(setting)} | {purpose} |\n"


def _default(setting: Setting) -> str:
    if setting.default is None:
        return setting.default_in_words or "none"
    return f"`{setting.kind.text(setting.default)}`"
