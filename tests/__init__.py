"""Tests by kind, and the programs around them: the real cluster and the demo."""
