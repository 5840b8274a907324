"""Certificates as Go reads them: DER, names, extensions, structure and hosts, by the standard library alone."""
