"""Certificates, private keys and pairs: parsed, checked for what every runtime loads, and written anew; no I/O, no clock."""
