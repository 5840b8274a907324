"""Certificates, private keys and pairs: parsed, checked for what runtimes load, written anew; no I/O, no clock."""
