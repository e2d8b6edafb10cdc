"""What answers without a token: the one list. The gate closes everything else; the policy of routes asks it, too.

A line is the template of a route, spelled as its router spells it.
"""

from starlette.routing import compile_path

#: Template of a route → the methods that anybody may send there. What it answers must tell nothing of a home.
OPENINGS: dict[str, frozenset[str]] = {
    # Editors fetch the schemas of YAML files without a token.
    "/schemas": frozenset({"GET", "HEAD"}),
    "/schemas/{name}": frozenset({"GET", "HEAD"}),
    # Whoever watches the server.
    "/healthz": frozenset({"GET", "HEAD"}),
    # Clients ask where the services of a workspace are before they have a token for them.
    "/discovery": frozenset({"GET", "HEAD"}),
    # What a client needs to know before it can ask for a token.
    "/metadata/endpoints": frozenset({"GET", "HEAD"}),
    "/common/discovery/instance": frozenset({"GET", "HEAD"}),
    "/{tenant}/.well-known/openid-configuration": frozenset({"GET", "HEAD"}),
    "/{tenant}/v2.0/.well-known/openid-configuration": frozenset({"GET", "HEAD"}),
    "/{tenant}/discovery/keys": frozenset({"GET", "HEAD"}),
    "/{tenant}/discovery/v2.0/keys": frozenset({"GET", "HEAD"}),
    # Where it shows a secret and gets a token.
    "/{tenant}/oauth2/token": frozenset({"POST"}),
    "/{tenant}/oauth2/v2.0/token": frozenset({"POST"}),
    "/msi/token": frozenset({"GET"}),
    # Where people at a browser do so; both check for themselves who sends the form.
    "/login": frozenset({"GET", "HEAD", "POST"}),
    "/logout": frozenset({"POST"}),
    # Styles and scripts of our pages.
    "/pages/{name}": frozenset({"GET", "HEAD"}),
}

_PATTERNS = [(compile_path(template)[0], methods) for template, methods in OPENINGS.items()]


def is_open(method: str, path: str) -> bool:
    """Whether anybody may send a request to this path."""
    return any(method in methods and pattern.match(path) for pattern, methods in _PATTERNS)


def is_open_route(method: str, template: str) -> bool:
    """The same for a route, by its template."""
    return method in OPENINGS.get(template, ())
