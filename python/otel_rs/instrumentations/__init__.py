"""Instrumentation packages under our distro: when they are loaded."""
