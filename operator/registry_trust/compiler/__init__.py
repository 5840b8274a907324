"""From trusts and sources to the bundle, and from the fleet's reports to each trust's status; no I/O, no clock."""
