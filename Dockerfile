FROM python:3.11.17-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

COPY requirements/ requirements/
RUN python -m venv --without-pip /opt/heliograph \
    && pip --python /opt/heliograph/bin/python install --require-hashes -r requirements/production.lock
# What builds the project's wheel is pinned and hashed too; it stays in this stage.
RUN sed -n '/^setuptools==/,/[^\\]$/p' requirements/dev.lock > build.lock \
    && pip install --require-hashes -r build.lock

# Without devstack and simulator, which only the commands dev, demo and simulator import.
COPY pyproject.toml bootstrap.py bulk.py cli.py client.py consents.py doctor.py engine.py process.py questions.py setting_forms.py settings.py terminal.py versions.py worker.py ./
COPY activities/ activities/
COPY api/ api/
COPY carrier/ carrier/
COPY notifications/ notifications/
COPY privacy/ privacy/
COPY store/ store/
COPY telemetry/ telemetry/
COPY workflows/ workflows/
RUN pip wheel --no-deps --no-index --no-build-isolation --wheel-dir wheels . \
    && pip --python /opt/heliograph/bin/python install --no-deps --no-index wheels/*.whl


FROM python:3.11.17-slim

RUN groupadd --gid 10001 heliograph \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin heliograph
COPY --from=build /opt/heliograph /opt/heliograph
COPY deploy/worker_health.py /app/

ENV PATH=/opt/heliograph/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Empty but for the health check: settings come from the environment, not from an .env in the image.
WORKDIR /app
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["heliograph"]
