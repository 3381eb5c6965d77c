# Needs nothing but the classic builder: `docker build -t mediaserver .`

FROM python:3.13-slim AS builder
WORKDIR /src

# Requirements first, so that a change of the sources does not install them again.
COPY requirements/build.txt requirements/runtime.txt requirements/speech.txt requirements/
# The build backend goes to this stage's own Python, which is thrown away; only what runs goes to the venv.
# Without pip in it: nothing is installed into a running server.
RUN pip install --no-cache-dir --require-hashes -r requirements/build.txt \
    && python -m venv --without-pip /opt/mediaserver \
    && pip --python /opt/mediaserver/bin/python install --no-cache-dir --require-hashes -r requirements/runtime.txt

# What speaks and recognises without a network: `docker build --build-arg SPEECH=1 …`.
ARG SPEECH=
RUN test -z "$SPEECH" \
    || pip --python /opt/mediaserver/bin/python install --no-cache-dir --require-hashes -r requirements/speech.txt

COPY pyproject.toml README.md LICENSE config.example.toml ./
COPY mediaserver mediaserver
COPY prompts prompts
# By way of a wheel, since an install from the sources would need the backend in the venv.
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/mediaserver/bin/python install --no-cache-dir --no-deps --no-index dist/*.whl


FROM python:3.13-slim

RUN groupadd --gid 10001 mediaserver \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin mediaserver

# The same path as in the builder: a venv's scripts name their interpreter by its full path.
COPY --from=builder /opt/mediaserver /opt/mediaserver
# The server reads prompts and never writes them, so they stay root's. Before VOLUME, which drops later changes.
COPY prompts /prompts
VOLUME /prompts

# What was decoded, for the next start, where [prompts] cache is "auto": a volume mounted here belongs to the server's
# user, as this does.
RUN install --directory --owner=10001 --group=10001 --mode=700 /var/cache/mediaserver

# No .pyc files: the root file system may be read-only. No buffering: a log line is out when it is written.
# A variable wins over the file, so `[prompts] directory` of a mounted config.toml does not count here.
ENV PATH=/opt/mediaserver/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MEDIASERVER_PROMPTS__DIRECTORY=/prompts \
    XDG_CACHE_HOME=/var/cache \
    HIBARI_HOME=/var/cache/mediaserver/voices

# Mount config.toml here and it is read; or set MEDIASERVER_CONFIG to where it is.
WORKDIR /etc/mediaserver

# Numbers, since Kubernetes' runAsNonRoot cannot tell who a name is.
USER 10001:10001

# VoIPBIN dials 8080. Health and metrics are on 8081, and on the container's loopback alone until
# MEDIASERVER_ADMIN__HOST=0.0.0.0 opens them to probes and scrapers, which takes a MEDIASERVER_ADMIN__TOKEN.
EXPOSE 8080 8081

# slim has no curl. No proxy either: HTTP_PROXY is not meant for the loopback. A port set by the file or by
# --admin-port is not seen here; set it by the variable. Anything but a good answer is a traceback, and exit code 1.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('MEDIASERVER_ADMIN__PORT', '8081') + '/healthz', timeout=4)"]

# Streams get `[server] drain_timeout` seconds to end, 30 by default; `docker stop` kills after 10 unless told --time.
STOPSIGNAL SIGTERM
# Exec form: the server is process 1 and gets the signal itself, with no shell in between.
ENTRYPOINT ["mediaserver"]
CMD ["serve"]
