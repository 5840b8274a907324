"""CRI-O, with Podman, Buildah and Skopeo: six roots, of which the first that has the registry's directory counts.

All of them ask one library, and registries.conf sends some of its pulls elsewhere. Read in go.podman.io/image v5.42
(earlier versions lack three of the roots) and go.podman.io/storage v1.65; asked of the library itself by the tests.
"""
