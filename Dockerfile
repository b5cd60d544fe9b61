# Ballast's images: one target per process, each with only what that process runs.
#
#   docker build --target operator -t localhost/ballast-operator:dev .
#   docker build --target agent    -t localhost/ballast-agent:dev .
#   docker build --target exporter -t localhost/ballast-exporter:dev .
#   docker build --target trainer  -t localhost/ballast-trainer:dev \
#       --build-arg BASE_IMAGE=docker.io/library/python:3.12.12-bookworm .
#
# BASE_IMAGE needs python3 (3.11 or later) with venv, and CA certificates; its package manager is never called. The
# trainer's needs a C++ compiler and Python's headers too, because torch.compile makes its kernels at run time: python's
# image that is not slim has them (some 0.9 GB more). With the slim base everything but `--with compile` works.
# Every download is checked against the hashes in lock/.
#
# Layers, oldest first: the base; the process's dependencies, which change only with their lock file and the recipe (the
# trainer's is torch with its CUDA libraries: 6.1 GB in one layer); Ballast's own code, some hundred kB.
#
# Behind a private certificate authority: --secret id=ca-bundle,src=/path/to/bundle.crt

ARG BASE_IMAGE=docker.io/library/python:3.12.12-slim-bookworm


# What every image has in common: an unprivileged user and an empty prefix for Python. The user stands in passwd
# because torch asks for its name. Without pip: nothing can be added at run time.
FROM ${BASE_IMAGE} AS runtime
ENV PATH=/opt/ballast/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp
RUN echo 'ballast:x:65532:65532:Ballast:/tmp:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'ballast:x:65532:' >> /etc/group \
    && python3 -m venv --without-pip /opt/ballast


# The installers and the build back end, for the next stage.
FROM runtime AS tools
RUN --mount=type=bind,source=lock/build.txt,target=/lock/build.txt \
    --mount=type=secret,id=ca-bundle,target=/etc/ssl/certs/ca-certificates.crt \
    python3 -m venv /tools \
    && PIP_CERT=/etc/ssl/certs/ca-certificates.crt /tools/bin/python -m pip install \
        --quiet --no-cache-dir --disable-pip-version-check --only-binary=:all: --require-hashes -r /lock/build.txt


# The project itself, as a tree to lay over a layer of dependencies. An image needs no long description: an edit of
# README.md rebuilds nothing.
FROM tools AS code
WORKDIR /src
COPY pyproject.toml LICENSE ./
COPY operator/ballast operator/ballast
COPY workloads/frugal workloads/frugal
RUN : > README.md \
    && /tools/bin/python -m hatchling build -t wheel -d /wheels \
    && /tools/bin/uv pip install --python /opt/ballast/bin/python --prefix /code \
        --no-cache --offline --no-deps --compile-bytecode /wheels/*.whl \
    && rm -f /code/.lock


# Dependencies are installed straight into the final stages' parents: by way of a build stage, 6 GB would be stored
# twice and compared at every build. The installers live on a tmpfs meanwhile, so that none stays behind (a bind
# mount from the tools stage would do, but is empty in buildah before 1.29 once that stage is cached). The same steps
# for each, word for word: a shared stage or an argument would make one image's layer depend on another's.
FROM runtime AS operator-dependencies
COPY lock/operator.txt /opt/ballast/requirements.txt
RUN --mount=type=bind,source=lock/build.txt,target=/lock/build.txt \
    --mount=type=secret,id=ca-bundle,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,id=ballast-uv,target=/var/cache/uv \
    --mount=type=tmpfs,target=/tools \
    python3 -m venv /tools \
    && PIP_CERT=/etc/ssl/certs/ca-certificates.crt /tools/bin/python -m pip install \
        --quiet --no-cache-dir --disable-pip-version-check --only-binary=:all: --require-hashes -r /lock/build.txt \
    && UV_CACHE_DIR=/var/cache/uv UV_LINK_MODE=copy /tools/bin/uv pip install --python /opt/ballast/bin/python \
        --system-certs --only-binary :all: --require-hashes --compile-bytecode -r /opt/ballast/requirements.txt \
    && rm -f /opt/ballast/.lock


FROM runtime AS agent-dependencies
COPY lock/agent.txt /opt/ballast/requirements.txt
RUN --mount=type=bind,source=lock/build.txt,target=/lock/build.txt \
    --mount=type=secret,id=ca-bundle,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,id=ballast-uv,target=/var/cache/uv \
    --mount=type=tmpfs,target=/tools \
    python3 -m venv /tools \
    && PIP_CERT=/etc/ssl/certs/ca-certificates.crt /tools/bin/python -m pip install \
        --quiet --no-cache-dir --disable-pip-version-check --only-binary=:all: --require-hashes -r /lock/build.txt \
    && UV_CACHE_DIR=/var/cache/uv UV_LINK_MODE=copy /tools/bin/uv pip install --python /opt/ballast/bin/python \
        --system-certs --only-binary :all: --require-hashes --compile-bytecode -r /opt/ballast/requirements.txt \
    && rm -f /opt/ballast/.lock


FROM runtime AS exporter-dependencies
COPY lock/exporter.txt /opt/ballast/requirements.txt
RUN --mount=type=bind,source=lock/build.txt,target=/lock/build.txt \
    --mount=type=secret,id=ca-bundle,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,id=ballast-uv,target=/var/cache/uv \
    --mount=type=tmpfs,target=/tools \
    python3 -m venv /tools \
    && PIP_CERT=/etc/ssl/certs/ca-certificates.crt /tools/bin/python -m pip install \
        --quiet --no-cache-dir --disable-pip-version-check --only-binary=:all: --require-hashes -r /lock/build.txt \
    && UV_CACHE_DIR=/var/cache/uv UV_LINK_MODE=copy /tools/bin/uv pip install --python /opt/ballast/bin/python \
        --system-certs --only-binary :all: --require-hashes --compile-bytecode -r /opt/ballast/requirements.txt \
    && rm -f /opt/ballast/.lock


FROM runtime AS trainer-dependencies
COPY lock/trainer.txt /opt/ballast/requirements.txt
RUN --mount=type=bind,source=lock/build.txt,target=/lock/build.txt \
    --mount=type=secret,id=ca-bundle,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,id=ballast-uv,target=/var/cache/uv \
    --mount=type=tmpfs,target=/tools \
    python3 -m venv /tools \
    && PIP_CERT=/etc/ssl/certs/ca-certificates.crt /tools/bin/python -m pip install \
        --quiet --no-cache-dir --disable-pip-version-check --only-binary=:all: --require-hashes -r /lock/build.txt \
    && UV_CACHE_DIR=/var/cache/uv UV_LINK_MODE=copy /tools/bin/uv pip install --python /opt/ballast/bin/python \
        --system-certs --only-binary :all: --require-hashes --compile-bytecode -r /opt/ballast/requirements.txt \
    && rm -f /opt/ballast/.lock


FROM operator-dependencies AS operator
COPY --from=code /code /opt/ballast
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["python", "-m", "ballast"]


# The driver's libnvidia-ml.so.1 is in no image: NVIDIA's container runtime puts it in, or the chart's user mounts it.
# As root, because NVML lets nobody else set a power limit or lock clocks; the chart makes the file system read-only.
FROM agent-dependencies AS agent
COPY --from=code /code /opt/ballast
# Threads that seldom allocate need no heaps of their own.
ENV MALLOC_ARENA_MAX=2
USER 0:0
WORKDIR /tmp
ENTRYPOINT ["python", "-m", "ballast"]


# Beside every trainer, so small: its threads seldom allocate and need no heaps of their own.
FROM exporter-dependencies AS exporter
COPY --from=code /code /opt/ballast
ENV MALLOC_ARENA_MAX=1
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["python", "-m", "ballast"]


# `frugal` and `torchrun` are on the PATH.
FROM trainer-dependencies AS trainer
COPY --from=code /code /opt/ballast
USER 65532:65532
WORKDIR /tmp
CMD ["frugal", "--help"]
