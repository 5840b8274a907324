"""Measurements: ratios against a floor that was measured in the same run; nothing here is asserted."""
