# The card network, the bank and the webhook receiver of the local stack. Never part of production.
FROM python:3.12-slim
WORKDIR /srv/paystream
COPY requirements-dev.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements-dev.lock
COPY schemas schemas
COPY runtime runtime
COPY devstack devstack
RUN useradd --system --create-home paystream \
    && install --directory --owner paystream /var/lib/paystream
USER paystream
ENV PYTHONUNBUFFERED=1 PYTHONPATH=/srv/paystream
