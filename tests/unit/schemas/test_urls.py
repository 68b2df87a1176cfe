"""What may stand in a URL that a merchant gives: one rule for the door and the sender."""

import pytest

from schemas.urls import TargetRules, url_error

STRICT = TargetRules()
DEVELOPMENT = TargetRules(allow_loopback=True)
INSIDE = TargetRules(allow_private_addresses=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/hooks",
        "http://127.0.0.1/hooks",
        "https://127.0.0.1/hooks",
        "https://10.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest",
        "https://localhost/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://shop.example:99999/",
        "https://shop.example:0/",
        "https://shop.example:/",
        "https://shop.example:port/",
        "ftp://shop.example/hooks",
        "https://user:password@shop.example/",
        "https://user@shop.example/",
        "https:///hooks",
        "https://[::1/",
        "shop.example/hooks",
        "//shop.example/",
        " https://shop.example/",
        "https://shop.example/\n",
        "https://shop.example/\r\nX: y",
        "https://shop.example/\t",
        "https://shop.example/\x00",
        "https://sh\u00f6p.example/",
        "https://shop..example/",
        "https://-shop.example/",
        "https://shop.example\\@10.0.0.1/",
        "javascript:alert(1)",
        "https://shop.example/" + "a" * 2048,
        "",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    assert url_error(url, STRICT)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example:8443/hooks?a=b",
        "https://SHOP.example./x#y",
        "https://xn--shp-sna.example/",
        "https://93.184.216.34/hooks",
        "https://[2606:4700:4700::1111]:443/",
        "https://10-0-0-1.shop.example/",
        "https://shop_1.example/%E2%82%AC",
    ],
)
def test_urls_that_are_taken(url: str) -> None:
    assert url_error(url, STRICT) is None


def test_plain_http_goes_only_to_this_machine_in_development() -> None:
    for url in ("http://127.0.0.1:9000/hooks", "http://localhost/hooks", "http://[::1]/"):
        assert url_error(url, DEVELOPMENT) is None
        assert url_error(url, STRICT)
    assert url_error("https://localhost:8443/", DEVELOPMENT) is None
    assert url_error("http://localhost.shop.example/", DEVELOPMENT)
    everything = TargetRules(allow_loopback=True, allow_private_addresses=True)
    assert url_error("http://10.0.0.1/", everything)


def test_private_addresses_are_taken_by_setting() -> None:
    assert url_error("https://10.0.0.1/", INSIDE) is None
    assert url_error("https://127.0.0.1/", INSIDE)
