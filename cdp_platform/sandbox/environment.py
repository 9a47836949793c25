"""The variables by which a `defs.yaml` finds the stand-ins: for each vendor an address and its credentials."""

from typing import Final

_BASE_PATHS: Final = {
    "HUBSPOT": "",
    "SALESFORCE": "",
    "META": "/v26.0",
    "GOOGLE": "",
    "ZOHO": "/inventory/v1",
}
"""What each vendor's API stands under, as in the vendor's own base URL."""
_CLIENT: Final = "sandbox"


def environment_of(address: str, token: str) -> dict[str, str]:
    """Return the variables of a sandbox at `address` whose token file holds `token`.

    For each of HUBSPOT, SALESFORCE, META, GOOGLE and ZOHO: `_BASE_URL` and `_TOKEN`; for OAuth `_CLIENT_ID`,
    `_CLIENT_SECRET` and `_REFRESH_TOKEN`. And `CDP_SANDBOX_URL`, which is told the replayed day.
    """
    variables = {"CDP_SANDBOX_URL": address}
    for vendor, path in _BASE_PATHS.items():
        variables |= {
            f"{vendor}_BASE_URL": address + path,
            f"{vendor}_TOKEN": token,
            f"{vendor}_CLIENT_ID": _CLIENT,
            f"{vendor}_CLIENT_SECRET": token,
            f"{vendor}_REFRESH_TOKEN": token,
        }
    return variables
