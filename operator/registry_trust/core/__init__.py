"""Decisions as functions of values: names, bundle, layouts, plan, reports; no I/O, no clock, no logging."""
