"""Runs a real Kubernetes on one machine: control plane, registry and nodes, for tests, the demo and `make cluster`."""
