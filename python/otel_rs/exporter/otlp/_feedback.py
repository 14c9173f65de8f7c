"""What is never exported, because to export it would make the next of its kind."""

# Where failed exports of logs are reported, by the native part too. Records of this logger are not exported: each would
# make the next one.
LOG_EXPORT_LOGGER = "otel_rs.export.logs"
