"""What counts as acknowledged: a delivery report with an offset (decision 0021)."""

from confluent_kafka import KafkaError, Message


def not_acknowledged(error: KafkaError | None, message: Message) -> KafkaError | None:
    """Why a record must be sent again; None only if the broker itself confirmed it.

    librdkafka (`rd_kafka_dr_implicit_ack`) reports a record as delivered when a later record of its
    partition was, and then knows no offset. That is wrong for a producer's first record there: a
    broker that knows no sequence number of the producer yet accepts any.
    """
    if error is not None:
        return error
    offset = message.offset()
    if offset is None or offset < 0:
        return KafkaError(KafkaError._STATE, "the broker acknowledged later records, not this one")
    return None
