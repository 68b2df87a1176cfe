"""Grafana: provisioning, and boards built by `python -m dashboards.grafana`."""
