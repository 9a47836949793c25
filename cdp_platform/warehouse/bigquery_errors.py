"""What BigQuery refuses, in the platform's words: what it was, whose statement, and what to do.

Messages of BigQuery's repeat values, with quotes or without; so of most of them only the kind of trouble is told, and
the job's name, under which the whole message stands in the project's own history of jobs.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.exceptions import GoogleAuthError

from cdp_platform.errors import CdpError, WarehouseError

# What the client says of a broken connection is an OSError.
Failures = (GoogleAPICallError, RetryError, GoogleAuthError, OSError)

# What these say after the colon is a name, never a value.
_OF_NAMES = re.compile(
    r"Not found: [A-Za-z]+|Unrecognized name: |Already Exists: |Access Denied: |Function not found: |Permission "
    r"|Table \S+ must be qualified|Cannot (?:add|set|alter)|Column \S+ |Duplicate column|Transaction is aborted"
)
_REMEDIES = (
    (
        r"bytesBilledLimitExceeded|bytes billed",
        "Raise maximum_bytes_billed in warehouses.yaml, or read less: fewer columns, a partitioned model.",
    ),
    (r"Not found: Project|project .* not", "Check `project` in warehouses.yaml."),
    (r"Not found: Dataset", "Make the dataset, or let the platform: grant bigquery.datasets.create."),
    (r"Access Denied|accessDenied|Permission|does not have", "Hand what `cdp doctor` prints to an administrator."),
    (r"quotaExceeded|Quota exceeded|rateLimitExceeded", "Wait, or have the project's quota raised; then run it again."),
    (r"billingNotEnabled|billing", "Switch billing on for the project."),
    (r"aborted due to concurrent|Could not serialize", "Another program writes the same table: run this again."),
)


@contextmanager
def translated(purpose: str, job: str = "") -> Iterator[None]:
    """Raise WarehouseError for whatever the client raises; `purpose` and `job` say whose statement it was."""
    try:
        yield
    except CdpError:
        raise
    except Failures as error:
        raise explained(error, purpose, job) from error


def explained(error: Exception, purpose: str, job: str = "") -> WarehouseError:
    """Say an error of the client's without any value."""
    text, of = str(error), f"{purpose}, job {job}" if job else purpose
    if isinstance(error, GoogleAuthError):
        return WarehouseError(
            f"Google did not accept the credentials of the BigQuery warehouse ({type(error).__name__}; {of}).",
            remedy="Check the key file, or log in again: gcloud auth application-default login.",
        )
    if not isinstance(error, GoogleAPICallError):
        return WarehouseError(
            f"the connection to BigQuery was lost ({type(error).__name__}; {of}).",
            remedy="Run this again: nothing is half done.",
        )
    remedy = next((said for pattern, said in _REMEDIES if re.search(pattern, text)), "")
    return WarehouseError(f"the warehouse refused a statement: {_told(error)} ({of})", remedy=remedy)


def _told(error: GoogleAPICallError) -> str:
    details = error.errors[0] if error.errors else {}
    message = str(details.get("message") or error.message or "").split("\n", 1)[0]
    reason = str(details.get("reason") or error.code or "")
    if _OF_NAMES.search(message):
        return re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", message)[:300]
    kind = re.split(r"[:'\"`(;]|\d", message, maxsplit=1)[0].strip()
    return f"{kind or 'an error'} [{reason}]"[:300]
