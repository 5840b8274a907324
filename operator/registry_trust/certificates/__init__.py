"""Certificates, private keys and pairs: parsed, checked for what runtimes load, re-encoded; no I/O, no clock."""
