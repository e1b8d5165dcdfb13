# The one image of every role: `docker run IMAGE operator`, `worker --brand solis`, `api`, `migrate`. docs/image.md says what is in it.
# Builds with the legacy builder too, and twice to the same layers: no file carries the time of the build.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
# The time of every file in the image, in seconds since 1970; any fixed one will do.
ARG SOURCE_DATE_EPOCH=1767225600
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /build

# The product's dependencies, into an environment without pip. Wheels only: nothing is compiled here.
COPY requirements/run.txt requirements/
RUN python -m venv --without-pip /opt/solarinvest \
 && pip --python /opt/solarinvest/bin/python install --quiet --no-compile --only-binary :all: --require-hashes -r requirements/run.txt

# What builds our wheel, in an environment that stays behind. It has no lock file of its own: these are the lines of requirements/dev.txt.
COPY requirements/dev.txt requirements/
RUN awk '/^[^ ]/ {wanted = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/} wanted' requirements/dev.txt > requirements/build.txt \
 && python -m venv --without-pip /opt/build \
 && pip --python /opt/build/bin/python install --quiet --no-compile --only-binary :all: --require-hashes -r requirements/build.txt

COPY pyproject.toml README.md LICENSE ./
COPY controller controller
COPY integrations integrations
COPY fixtures fixtures
COPY hack/sbom.py hack/
# Left out: the Kubernetes client's asyncio twin (38 MB; nothing imports it), the libraries' own tests and their commands.
RUN /opt/build/bin/python -m hatchling build --target wheel \
 && pip --python /opt/solarinvest/bin/python install --quiet --no-compile --no-deps --no-index dist/*.whl \
 && cd /opt/solarinvest/lib/python3*/site-packages \
 && rm -r kubernetes/aio huey/tests websocket/tests \
 && find /opt/solarinvest/bin ! -type d ! -name 'python*' ! -name solarinvest ! -name kubectl-solar -delete \
 && /opt/solarinvest/bin/python /build/hack/sbom.py > /opt/solarinvest/sbom.cdx.json \
 && mkdir -p /image/opt && mv /opt/solarinvest /image/opt/ \
 && find /image -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="solarinvest-monitor" \
      org.opencontainers.image.description="Tells, for each solar plant and at any moment, whether it is well." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="python:3.13-slim"
# The root file system may be read-only. Where /tmp is writable, a first start leaves its bytecode there (20 MB), and the next takes 0.5 s
# instead of 2. USER and HOME: user 10001 has no line in /etc/passwd.
ENV PATH=/opt/solarinvest/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPYCACHEPREFIX=/tmp/pycache PYTHONUNBUFFERED=1 TZ=UTC HOME=/tmp USER=solarinvest
COPY --from=build /image/ /
USER 10001:10001
ENTRYPOINT ["solarinvest"]
CMD ["--help"]
