# One image for the gateway, the workers and the schema job; compose.yaml says which of them a container is.
FROM python:3.13-slim

RUN useradd --system --uid 10001 --create-home firingline \
 && install -d -o firingline -m 0700 /var/lib/firingline /var/lib/firingline/credentials /var/lib/firingline/tracking
WORKDIR /app
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --no-deps -r requirements.lock
COPY schema.sql ./
COPY migrations migrations
COPY bus bus
COPY handlers handlers
COPY gateway gateway
COPY ops ops
COPY simulation simulation
COPY bench bench

USER firingline
ENV FIRINGLINE_HOME=/var/lib/firingline PYTHONPATH=/app PYTHONUNBUFFERED=1
ENTRYPOINT ["python", "-m", "ops.cli"]
