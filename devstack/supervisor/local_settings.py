"""Where the local stack differs from production's defaults, and why."""

from collections.abc import Mapping


def local_settings(brokers: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Variables for our own processes and the env file; what the caller set already, wins.

    The bank and the receiver are simulators on loopback, and their days should fit into minutes.
    """
    settings = {
        "PAYSTREAM_WORKER_REPLICATION": str(min(brokers, 3)),
        "PAYSTREAM_API_ALLOW_LOOPBACK": "true",
        "PAYSTREAM_API_REQUESTS_PER_SECOND": "100000",  # load tests are not to be held back
        "PAYSTREAM_API_REQUEST_BURST": "100000",
        "PAYSTREAM_API_REGISTRATION_BURST": "1000",
        "PAYSTREAM_WEBHOOKS_ALLOW_LOOPBACK": "true",
        "PAYSTREAM_WEBHOOKS_SCHEDULE_FACTOR": "0.01",  # retries after 50 ms, 3 s, 18 s, 72 s, …
        "PAYSTREAM_WEBHOOKS_PROBE_SECONDS": "0.2",
        "PAYSTREAM_WEBHOOKS_PROBE_SECONDS_MAX": "2",
        "PAYSTREAM_PAYOUTS_PAY_TEST_MODE": "true",
        "PAYSTREAM_PAYOUTS_RETRY_SECONDS": "1",
        "PAYSTREAM_RECONCILIATION_POLL_SECONDS": "1",  # a closed day is settled at once
    }
    return {name: environment.get(name, value) for name, value in settings.items()}
