"""Which partition a key belongs to: murmur2 as in the Java client's default partitioner (pure)."""

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """32-bit hash of the bytes, equal to org.apache.kafka.common.utils.Utils.murmur2 (unsigned)."""
    h = (_SEED ^ len(data)) & _MASK
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k = (k ^ (k >> 24)) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if rest := data[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    return h ^ (h >> 15)


def partition_of(key: str, partitions: int) -> int:
    """Partition of a record key; librdkafka agrees with `partitioner=murmur2_random`."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
