"""CityHash128 1.0.2 of blocks that ClickHouse itself wrote into files of a table."""

import struct

import pytest

from devstack.clickhouse_http.native_compression import block, checksum

WRITTEN = (
    "938df53b055cb9ac954c6e8669a92c1e020c0000000300000000070e",
    "aca9e7a0b3e3081297e9fe4fbb11090882170000000d000000d000070e151c232a31383f464d54",
    "bc1a0f1f79d41c4bad532362645c178502310000002800000000070e151c232a31383f464d545b62697077"
    "7e858c939aa1a8afb6bdc4cbd2d9e0e7eef501080f16",
    "ed4fa1ec5ae4602c75dd7671dda3186882d3000000c8000000f0b900070e151c232a31383f464d545b6269"
    "70777e858c939aa1a8afb6bdc4cbd2d9e0e7eef501080f161d242b323940474e555c636a71787f868d949b"
    "a2a9b0b7bec5ccd3dae1e8eff6020910171e252c333a41484f565d646b727980878e959ca3aab1b8bfc6cd"
    "d4dbe2e9f0f7030a11181f262d343b424950575e656c737a81888f969da4abb2b9c0c7ced5dce3eaf1f804"
    "0b121920272e353c434a51585f666d747b828990979ea5acb3bac1c8cfd6dde4ebf2f9050c131a21282f36"
    "3d444b525960676e757c838a",
)


@pytest.mark.parametrize("text", WRITTEN)
def test_the_checksum_is_clickhouses(text: str) -> None:
    written = bytes.fromhex(text)
    assert struct.unpack_from("<QQ", written) == checksum(written[16:])


def test_a_block_as_it_is_equals_clickhouses() -> None:
    assert block(bytes(range(0, 15, 7))).hex() == WRITTEN[0]
