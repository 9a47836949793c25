"""Show that a value is there, and not what it is."""


def masked(value: str) -> str:
    """Keep the first character; of an e-mail address also the last label of its domain (`a•••@•••.com`)."""
    if not value:
        return ""
    local, at, host = value.partition("@")
    if not at:
        return f"{value[0]}•••"
    return f"{local[:1]}•••@•••.{host.rpartition('.')[2]}"
