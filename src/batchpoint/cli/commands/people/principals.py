"""``user`` and ``principal``: who may use a server. Their secrets are printed once, when they are made."""

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from batchpoint.cli import listing
from batchpoint.cli.call import Call
from batchpoint.cli.commands.people.scopes import SCOPE, scope_of
from batchpoint.cli.grammar import YES, Command, Flag
from batchpoint.errors import BatchpointError

if TYPE_CHECKING:
    from batchpoint.client.access.people import NewPrincipal, Principals

#: The first word of a command → what it is about, in words.
_WHAT = {"user": "user", "principal": "service principal"}


def _collection(call: Call, word: str) -> "Principals":
    return call.client.users if word == "user" else call.client.principals


def _create(word: str) -> Callable[[Call], object]:
    def create(call: Call) -> object:
        """With a role where one is named, and not at all where that cannot be given."""
        flags, collection = call.flags, _collection(call, word)
        made = collection.create(flags.name, days=flags.days, issuer=flags.issuer, object_id=flags.object_id)
        role: dict[str, str] = {}
        if flags.role:
            try:
                given = call.client.roles.assign(made.principal.id, flags.role, scope_of(call))
            except BatchpointError:
                # Its secret is not shown to anybody: the same line with another role must find the name free.
                collection.delete(made.principal.id)
                raise
            role = {"role": given.role, "scope": given.scope}
        return _shown(call, made) | role

    return create


def _show(word: str) -> Callable[[Call], object]:
    return lambda call: _collection(call, word).get(call.flags.name)


def _list(word: str) -> Callable[[Call], object]:
    return lambda call: listing.shortened(call, _collection(call, word).list())


def _delete(word: str) -> Callable[[Call], None]:
    def delete(call: Call) -> None:
        name = call.flags.name
        question = f"Delete the {_WHAT[word]} {name} with its secrets and roles? What it made stays."
        call.remove(question, lambda: _collection(call, word).delete(name))

    return delete


def _switch(word: str, *, disabled: bool) -> Callable[[Call], object]:
    return lambda call: _collection(call, word).switch(call.flags.name, disabled=disabled)


def _reset(word: str) -> Callable[[Call], object]:
    def reset(call: Call) -> object:
        made = _collection(call, word).reset_secret(call.flags.name, days=call.flags.days, append=call.flags.append)
        return _shown(call, made)

    return reset


def _delete_secrets(word: str) -> Callable[[Call], None]:
    def delete(call: Call) -> None:
        name = call.flags.name
        question = f"Delete every secret of the {_WHAT[word]} {name}? It cannot log in until it has a new one."
        call.remove(question, lambda: _collection(call, word).delete_secrets(name))

    return delete


def _shown(call: Call, made: "NewPrincipal") -> dict[str, Any]:
    """Who can log in, and with what; how, is said beside it."""
    who = made.principal
    if not made.secret:
        call.say(f"{who.name} logs in at {who.issuer}; there is no secret here.")
        return {"name": who.name, "object_id": who.id, "issuer": who.issuer}
    named = {"client_id": who.client_id} if who.client_id else {}
    if who.client_id:
        call.say(
            "The secret is shown this once. To log in with it: az login --service-principal --username CLIENT_ID "
            "--password SECRET --tenant TENANT. For the SDK, beside what 'batchpoint connect' prints, set "
            "AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_TENANT_ID=adfs and AZURE_AUTHORITY_HOST, the server's address."
        )
    else:
        call.say(
            "The secret is shown this once. It is the password of the server's login page, and of the token endpoint. "
            f"Lines for a shell that speaks for this user: batchpoint connect --principal {shlex.quote(who.name)}"
        )
    return {
        "name": who.name,
        "object_id": who.id,
        **named,
        "tenant": made.tenant,
        "secret": made.secret,
        "expires_at": made.expires_at,
    }


_EXAMPLE = {"user": "anna", "principal": "nightly"}
_DAYS = Flag("--days", "Days that the secret is good for; default 365.", "N", number=int)


def _one(word: str) -> Flag:
    return Flag("--name -n --id", f"Name, object id or client id of the {_WHAT[word]}.", "NAME", required=True)


def _commands(word: str) -> tuple[Command, ...]:
    what, one, example = _WHAT[word], _one(word), _EXAMPLE[word]
    return (
        Command(
            f"{word} create",
            f"Create a {what}, and print its secret once.",
            _create(word),
            (
                Flag("--name -n", f"Name of the {what}.", "NAME", required=True),
                _DAYS,
                Flag("--role", "Role to give it at --scope; default none.", "ROLE"),
                SCOPE,
                Flag("--issuer", "Issuer of its tokens, where it logs in elsewhere; default here.", "URL"),
                Flag("--object-id", "What the tokens of --issuer call it; default a new one.", "ID"),
            ),
            example=f"{word} create --name {example} --role Invoker",
        ),
        Command(f"{word} list", f"List the {what}s.", _list(word), (listing.most(),), example=f"{word} list -o table"),
        Command(f"{word} show", f"Show a {what}.", _show(word), (one,), example=f"{word} show --name {example}"),
        Command(
            f"{word} delete",
            f"Delete a {what} with its secrets and roles.",
            _delete(word),
            (one, YES),
            example=f"{word} delete --name {example} --yes",
        ),
    )


def _later(word: str) -> tuple[Command, ...]:
    """What is done to one that there is: it is let in or not, and gets other secrets."""
    what, one, example = _WHAT[word], _one(word), _EXAMPLE[word]
    return (
        Command(
            f"{word} disable",
            f"Let nobody come in as this {what}.",
            _switch(word, disabled=True),
            (one,),
            example=f"{word} disable --name {example}",
        ),
        Command(
            f"{word} enable",
            f"Let this {what} come in again.",
            _switch(word, disabled=False),
            (one,),
            example=f"{word} enable --name {example}",
        ),
        Command(
            f"{word} reset-secret",
            "Make a new secret, and print it once; the others count no more.",
            _reset(word),
            (one, _DAYS, Flag("--append", "Let the secrets that there are count as well.")),
            example=f"{word} reset-secret --name {example}",
        ),
        Command(
            f"{word} delete-secrets",
            "Delete every secret.",
            _delete_secrets(word),
            (one, YES),
            example=f"{word} delete-secrets --name {example} --yes",
        ),
    )


COMMANDS = tuple(command for word in _WHAT for command in (*_commands(word), *_later(word)))
