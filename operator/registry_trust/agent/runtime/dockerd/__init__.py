"""dockerd: one root, /etc/docker/certs.d, that no option moves, rootless mode apart (moby daemon/pkg/registry).

Which names it looks for there depends on its image store, and for some registries it ignores what it finds. Read in
moby's source at 20.10, 27.5, 28.5 and 29.7; the tests ask the loaders of 20.10.27, 28.5.2 and moby 2.0.0-beta.24, and
pull with that dockerd.
"""
