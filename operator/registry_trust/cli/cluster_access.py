"""The way to a cluster that a command was given: chosen as kubectl does, and checked before anything is asked."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import click
import yaml
from kubernetes.config import ConfigException

from registry_trust.api.fields import may_be_key, show
from registry_trust.controller import connection
from registry_trust.core.text import clip, escape

_OWN = "~/.kube/config"


def chosen(given: str) -> str:
    """Return the kubeconfig to use: the given one (option or `$KUBECONFIG`), none inside a pod, else the user's own."""
    if given or os.environ.get("KUBERNETES_SERVICE_HOST"):
        return given
    own = Path(_OWN).expanduser()
    return str(own) if own.is_file() else ""


def checked(kubeconfig: str) -> str:
    """Return a kubeconfig after a first use of everything that it names.

    Args:
        kubeconfig: files, with `:` between them; empty inside a cluster.

    Raises:
        click.ClickException: it can't be used; says which file and why.
    """
    if not kubeconfig:
        name = "the pod's service account"
    else:
        name = f"kubeconfig {escape(kubeconfig)}"
        if not any(Path(each).expanduser().exists() for each in kubeconfig.split(os.pathsep) if each):
            raise click.ClickException(f"{name} does not exist; name another with --kubeconfig or $KUBECONFIG")
    try:
        connection.api_client(connection.load(kubeconfig))
    except ConfigException as error:
        if not kubeconfig:
            raise click.ClickException(
                f"no cluster was given: use --kubeconfig or $KUBECONFIG, or write {_OWN} (this is not a pod with a "
                f"service account: {escape(str(error))})"
            ) from None
        raise click.ClickException(f"{name} can't be used: {_words(str(error))}") from None
    except Exception as error:  # noqa: BLE001 - the client trusts the file's shape: anything may come out
        raise click.ClickException(f"{name} can't be used: {_why(error)}") from None
    return kubeconfig


def _words(said: str) -> str:
    return "an object in it does not have the right form" if may_be_key(said) else clip(escape(said), 300)


def _why(error: Exception) -> str:
    """Say what is wrong; an exception of another kind may repeat a token or key, so only its type is shown."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: this is not YAML"
    if isinstance(error, ssl.SSLError):
        return f"its CA or client certificate or key can't be loaded ({error.reason or type(error).__name__})"
    if isinstance(error, OSError):
        return f"{show(str(error.filename))}: {error.strerror}"
    return f"it is not a kubeconfig as kubectl writes it ({type(error).__name__}); see `kubectl config view`"
