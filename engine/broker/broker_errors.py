"""What a broker rejects permanently: an operator must act, waiting does not help."""

from __future__ import annotations

from confluent_kafka import KafkaError

from engine.errors import NonRetriableBrokerError

AUTHORIZATION_CODES = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError._AUTHENTICATION,
    }
)


def raise_if_unauthorized(error: KafkaError, place: str) -> None:
    """Raises `NonRetriableBrokerError` for a missing right; `place`: operation and target."""
    if error.code() in AUTHORIZATION_CODES:
        raise NonRetriableBrokerError(
            f"The broker denies {place}: {error}. Nothing was committed. Check the rights of this "
            "worker."
        )
