# The tag follows Debian's and Python's security updates. For a build that can be repeated, say which build of it:
#   --build-arg BASE=docker.io/library/python:3.11-slim-bookworm@sha256:<digest>
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# COMPILED=0 leaves the modules that a request passes through as they are: no compiler, and some 2.6 times the processor time for a chat.
ARG COMPILED=1
# The base follows Debian's updates, and so does the compiler.
# hadolint ignore=DL3008
RUN if [ "$COMPILED" = 1 ]; then \
        apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*; \
    fi
WORKDIR /src
COPY requirements.lock ./
COPY tests/requirements.lock tools.lock
# The tools of the build come from the developers' lock, with hashes: only these of it, beside what we run with, whose types mypyc reads.
RUN python3 -m venv /tools \
    && awk '/^[a-z]/ { wanted = /^(ast-serialize|hatchling|librt|mypy|mypy-extensions|packaging|pathspec|pluggy|setuptools|trove-classifiers)==/ } wanted' \
        tools.lock > build.lock \
    && /tools/bin/pip install --require-hashes --only-binary :all: -r requirements.lock -r build.lock \
    && python3 -m venv --without-pip /opt/sidecar \
    && /tools/bin/pip --python /opt/sidecar/bin/python3 install --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY deploy/compiled deploy/compiled
COPY sidecar sidecar
RUN if [ "$COMPILED" = 1 ]; then export HATCH_BUILD_HOOK_ENABLE_CUSTOM=1; fi \
    && /tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /tools/bin/pip --python /opt/sidecar/bin/python3 install --no-deps --no-index /wheels/*.whl

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="vx11-sidecar" \
      org.opencontainers.image.description="Makes chat in VX11 work: in front of the gateway, inside the client's patience" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm"
ENV PATH=/opt/sidecar/bin:$PATH
COPY --from=build /opt/sidecar /opt/sidecar
# What is there when nothing is mounted: the policy in force, and the ones to choose from.
COPY policies /etc/vx11-sidecar
COPY policies/default.yaml /etc/vx11-sidecar/policy.yaml
# The base comes without byte code of the standard library, and nothing can be written later: a lab that runs for a moment
# leaves that of what is used. The directories are for volumes, which take their owner over.
RUN LAB_SECONDS=0.2 sidecar lab --listen 127.0.0.1:0 --admin 127.0.0.1:0 --control 0 > /dev/null \
    && install -d -o 10001 -g 10001 -m 0750 /var/lib/vx11-sidecar /run/vx11-sidecar
ENV PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8000 9180
STOPSIGNAL SIGTERM
# 2 ms of the shell; an interpreter would be 18, the command line 50 and more. /readyz is not tied to switch or madre.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9180 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["sidecar"]
CMD ["serve", "--listen", "0.0.0.0:8000", "--admin", "0.0.0.0:9180", "--policy", "/etc/vx11-sidecar"]
