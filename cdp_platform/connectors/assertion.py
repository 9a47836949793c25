"""A client that signs who it is (RFC 7523), in place of a secret that travels: an RS256 assertion of two minutes.

Salesforce takes assertions of three minutes at most: help.salesforce.com remoteaccess_oauth_jwt_flow, read 2026-11-22.
"""

import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from cdp_platform.domain.syncs import OAuth
from cdp_platform.errors import AuthenticationFailed

if TYPE_CHECKING:
    from cdp_platform.connectors.token_endpoint import Secrets

_GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SECONDS: Final = 120


def asserted(oauth: OAuth, secrets: "Secrets") -> dict[str, str]:
    """Return the form that asks for a token with a new assertion; raise AuthenticationFailed for a key of no use."""
    # Half a tenth of a second to import, and wanted by this grant only.
    import jwt

    parts = urlsplit(oauth.token_url)
    claims = {
        "iss": secrets.client_id.reveal(),
        "sub": oauth.subject,
        "aud": oauth.audience or f"{parts.scheme}://{parts.netloc}",
        "exp": int(time.time()) + _SECONDS,
    }
    try:
        assertion = jwt.encode(claims, secrets.client.reveal(), algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError):
        raise AuthenticationFailed(
            f"The private key that {oauth.client_secret_env} names cannot be used.",
            remedy="It must be an RSA key in PEM, without a password.",
        ) from None
    form = {"grant_type": _GRANT_TYPE, "assertion": assertion}
    return form | ({"scope": oauth.scope} if oauth.scope else {})
