"""Tests by kind; what they are built from stands in tools/."""
