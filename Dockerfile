# One image for both processes: Python, the locked packages and registry-trust on an otherwise empty file system. No shell,
# no package manager, no compiler, no pip. Python and the libraries that it loads are Debian's, copied out of BASE_IMAGE.
#
#   docker build -t localhost/registry-trust:0.1.0 .        (podman and buildah: the same)
#
# Where packages come from is the builder's business: its proxy arguments are passed on, and a pip.conf of yours is used
# during the build with --secret id=pip,src=pip.conf.
ARG BASE_IMAGE=docker.io/library/debian:trixie-slim

FROM ${BASE_IMAGE} AS build
ENV DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3-venv ca-certificates

# pip stays in an environment of its own (/build) and installs into the one that is shipped.
WORKDIR /source
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,required=false \
    python3 -m venv /build \
 && python3 -m venv --without-pip /opt/registry-trust \
 && /build/bin/pip install --quiet --require-hashes --only-binary :all: --no-compile -r requirements/build.txt \
 && /build/bin/pip --python /opt/registry-trust install --quiet --require-hashes --only-binary :all: --no-compile \
      -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
RUN /build/bin/pip wheel --quiet --no-deps --no-index --no-build-isolation --wheel-dir /wheels . \
 && /build/bin/pip --python /opt/registry-trust install --quiet --no-deps --no-index --no-compile /wheels/*.whl

# Drop what nothing here imports: the Kubernetes client's asynchronous twin and its generated calls (ours are plain JSON),
# tests, other packages' commands, and the parts of the standard library that need a terminal, a display or a database.
# Then compile once, by hash and unchecked: the root is read-only at run time, and no file's time has to match. One process
# and one seed: what is compiled is then the same, byte for byte, in each build.
RUN set -eu; \
    python=$(readlink -f /usr/bin/python3); library=/usr/lib/${python##*/}; cd /opt/registry-trust/lib/*/site-packages; \
    rm -rf kubernetes/aio kubernetes/client/api/*_api.py; \
    find ../../../bin ! -type d ! -name 'python*' ! -name registry-trust -delete; \
    find . -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +; \
    cd "$library"; \
    rm -rf ensurepip idlelib pydoc_data test tkinter turtle* venv lib-dynload/_curses* lib-dynload/readline* \
      lib-dynload/_sqlite3* lib-dynload/_dbm* lib-dynload/_gdbm* lib-dynload/_tkinter* lib-dynload/_test*; \
    find . /opt/registry-trust -name __pycache__ -prune -exec rm -rf {} +; \
    PYTHONHASHSEED=0 "$python" -m compileall -q --invalidation-mode unchecked-hash . /opt/registry-trust/lib

# Collect it under /image, with every shared library that is linked, under the names by which they are looked up. Scanners
# find the Debian packages that the files come from in var/lib/dpkg/status.d.
RUN set -eu; \
    python=$(readlink -f /usr/bin/python3); library=/usr/lib/${python##*/}; \
    mkdir -p /image/etc /image/usr/lib /image/usr/lib64 /image/tmp; chmod 1777 /image/tmp; \
    ln -s usr/lib /image/lib; ln -s usr/lib64 /image/lib64; \
    cp -a --parents /usr/bin/python3 "$python" "$library" /opt/registry-trust /usr/lib/os-release /etc/os-release /image; \
    find "$python" "$library" /opt/registry-trust -type f \( -name '*.so*' -o -path "$python" \) -exec ldd {} + \
      | grep -oE '/[^ ]+ \(0x' | cut -d' ' -f1 | sort -u | while read -r file; do \
        mkdir -p "/image${file%/*}"; cp -aL "$file" "/image$file"; \
      done; \
    mkdir -p /image/var/lib/dpkg/status.d; cd /image; \
    find etc usr ! -type d | sed 's,^,/,' | xargs dpkg-query --search 2>/dev/null | cut -d: -f1 | sort -u \
      | while read -r package; do dpkg-query --status "$package" > "var/lib/dpkg/status.d/$package"; done; \
    test -s var/lib/dpkg/status.d/libc6; \
    echo 'root:x:0:0::/:/nonexistent' > /image/etc/passwd; \
    echo 'registry-trust:x:65532:65532::/:/nonexistent' >> /image/etc/passwd; \
    echo 'root:x:0:' > /image/etc/group; \
    echo 'registry-trust:x:65532:' >> /image/etc/group

FROM scratch
LABEL org.opencontainers.image.title="registry-trust" \
      org.opencontainers.image.description="Makes container runtimes trust private registries: a Kubernetes operator and a node agent." \
      org.opencontainers.image.source="https://github.com/registry-trust/registry-trust" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image /
ENV PATH=/opt/registry-trust/bin LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["registry-trust"]
