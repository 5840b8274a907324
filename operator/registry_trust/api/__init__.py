"""The Kubernetes API of registry-trust: the two kinds, their CRDs, and the way from an object to a checked value."""
