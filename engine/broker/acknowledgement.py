"""What counts as acknowledged: a delivery report with an offset."""

from confluent_kafka import KafkaError, Message


def not_acknowledged(error: KafkaError | None, message: Message) -> KafkaError | None:
    """Why a record must be sent again; None only if the broker itself confirmed it.

    librdkafka (`rd_kafka_dr_implicit_ack`) reports a record as delivered, without an offset, when a
    later record of its partition was delivered. That is wrong for a producer's first record there:
    a broker that has no sequence number of the producer yet accepts any.
    """
    if error is not None:
        return error
    offset = message.offset()
    if offset is None or offset < 0:
        return KafkaError(KafkaError._STATE, "the broker acknowledged later records, not this one")
    return None
